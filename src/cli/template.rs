//! `redis-gitops template`: what `helm template` prints, from the same flags.

use std::{
    fs,
    io::{self, Read, Write},
    path::PathBuf,
};

use super::folder::Folder;
use crate::{
    chart::{
        Capabilities, Chart, ChartError, Clock, Entropy, KubeVersion, Release, RenderError, RenderInputs, Rendered,
        RenderedManifest, is_test_hook, path_match, render, split_documents,
    },
    reconcile::{SystemClock, SystemEntropy},
    template::{Execution, Host, Limits, TemplateError, TemplateSet, Value},
    values::{SetKind, Values, ValuesError, ValuesFile},
};

/// Render a chart to manifests, byte for byte as `helm template` does
///
/// Nothing is sent anywhere and no cluster is asked: `lookup` finds nothing.
/// For what the daemon would apply to an environment, see `redis-gitops render`.
#[derive(Debug, Default, clap::Args)]
pub struct TemplateArgs {
    /// The release's name and the chart's folder; the name may be left out
    #[arg(value_names = ["NAME", "CHART"], num_args = 1..=2, required = true)]
    pub target: Vec<String>,
    /// Values and where they come from
    #[command(flatten)]
    pub values: ValueArgs,
    /// The namespace that templates see as .Release.Namespace
    #[arg(short, long, default_value = "default")]
    pub namespace: String,
    /// A template for the release's name, such as 'cache-{{ randAlpha 4 | lower }}'
    #[arg(long, value_name = "TEMPLATE")]
    pub name_template: Option<String>,
    /// The Kubernetes version that templates see, such as 1.36.0
    #[arg(long, value_name = "VERSION")]
    pub kube_version: Option<String>,
    /// API versions that templates see besides the built-in ones (repeatable)
    #[arg(short, long, value_name = "VERSION", value_delimiter = ',')]
    pub api_versions: Vec<String>,
    /// Print the files below crds/ first
    #[arg(long)]
    pub include_crds: bool,
    /// Print only what these templates render, such as templates/service.yaml (repeatable)
    #[arg(short, long, value_name = "PATH")]
    pub show_only: Vec<String>,
    /// Leave out hooks that only `helm test` runs
    #[arg(long)]
    pub skip_tests: bool,
    /// Leave out all hooks
    #[arg(long)]
    pub no_hooks: bool,
    /// Set .Release.IsUpgrade instead of .Release.IsInstall
    #[arg(long)]
    pub is_upgrade: bool,
}

/// The flags that set values, in the order in which they win: files, then
/// --set-json, --set, --set-string, --set-file, --set-literal.
#[derive(Debug, Default, clap::Args)]
pub struct ValueArgs {
    /// A YAML file of values, or - for standard input (repeatable; the last wins)
    #[arg(short = 'f', long = "values", value_name = "FILE")]
    pub files: Vec<String>,
    /// Set values: a.b=1,list[0]=x,c={1,2} (repeatable)
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Set values, each as text
    #[arg(long, value_name = "KEY=TEXT")]
    pub set_string: Vec<String>,
    /// Set values, each as JSON, or give a JSON object
    #[arg(long, value_name = "KEY=JSON")]
    pub set_json: Vec<String>,
    /// Set values to the content of files
    #[arg(long, value_name = "KEY=FILE")]
    pub set_file: Vec<String>,
    /// Set one value to everything after the first =
    #[arg(long, value_name = "KEY=TEXT")]
    pub set_literal: Vec<String>,
}

/// `template` (or `lint`) did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum TemplateCommandError {
    /// A values file could not be read.
    #[error("values file {file}: {cause}")]
    ValuesFile {
        /// The file.
        file: String,
        /// Why.
        cause: io::Error,
    },
    /// Values are malformed.
    #[error(transparent)]
    Values(#[from] ValuesError),
    /// The chart could not be loaded.
    #[error(transparent)]
    Chart(#[from] ChartError),
    /// The chart could not be rendered.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// `--kube-version` is malformed.
    #[error("--kube-version {0:?} is not a version; write it as 1.36.0")]
    KubeVersion(String),
    /// `--name-template` failed.
    #[error("--name-template: {0}")]
    NameTemplate(TemplateError),
    /// The release's name is not a valid one.
    #[error("release name {0:?} is not valid: lower case letters, digits, dots and dashes, at most 53")]
    ReleaseName(String),
    /// NAME and `--name-template` exclude each other.
    #[error("give either a NAME or --name-template, not both")]
    TwoNames,
    /// `--show-only` names nothing.
    #[error("could not find template {0} in the chart")]
    ShowOnly(String),
    /// The output could not be written.
    #[error("the output could not be written: {0}")]
    Output(#[from] io::Error),
}

impl ValueArgs {
    /// Reads the files and applies the flags.
    pub fn read(&self) -> Result<Values, TemplateCommandError> {
        let mut files = Vec::new();
        for name in &self.files {
            let fail = |cause| TemplateCommandError::ValuesFile { file: name.clone(), cause };
            let text = if name == "-" {
                let mut text = String::new();
                io::stdin().read_to_string(&mut text).map_err(fail)?;
                text
            } else {
                fs::read_to_string(name).map_err(fail)?
            };
            files.push(ValuesFile { name: name.clone(), text });
        }
        let mut values = Values::from_files(files)?;
        let read = |name: &str| fs::read_to_string(name).map_err(|cause| format!("{name}: {cause}"));
        let groups = [
            (SetKind::Json, &self.set_json),
            (SetKind::Typed, &self.set),
            (SetKind::Text, &self.set_string),
            (SetKind::File(&read), &self.set_file),
            (SetKind::Literal, &self.set_literal),
        ];
        for (kind, settings) in groups {
            for setting in settings {
                values.set(kind, setting)?;
            }
        }
        Ok(values)
    }
}

/// Loads the chart in the folder `path`.
pub fn load_chart(path: &str) -> Result<Chart, ChartError> {
    let path = PathBuf::from(path);
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    match (path.parent(), name) {
        (Some(parent), Some(name)) => {
            let parent = if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent.to_owned() };
            Chart::load(&Folder::new(parent), &name)
        }
        _ => Chart::load(&Folder::new(path), ""),
    }
}

/// Prints the manifests.
pub fn run(args: &TemplateArgs, out: &mut dyn Write) -> Result<(), TemplateCommandError> {
    let (given_name, chart_path) = match args.target.as_slice() {
        [name, chart, ..] => (Some(name.as_str()), chart.as_str()),
        [chart] => (None, chart.as_str()),
        [] => (None, "."),
    };
    let name = release_name(given_name, args.name_template.as_deref())?;
    let values = args.values.read()?;
    let chart = load_chart(chart_path)?;
    let release = Release { name, namespace: args.namespace.clone(), revision: 1, is_upgrade: args.is_upgrade };
    let rendered = render(
        &chart,
        &RenderInputs {
            values: &values,
            release: &release,
            capabilities: &capabilities(args)?,
            lookup: None,
            clock: &SystemClock,
            entropy: &SystemEntropy,
            lenient: false,
            limits: Limits::default(),
        },
    )?;
    let text = print(&rendered, args);
    if args.show_only.is_empty() {
        out.write_all(text.as_bytes())?;
        return Ok(());
    }
    for document in selected(&text, &args.show_only)? {
        writeln!(out, "---\n{document}")?;
    }
    Ok(())
}

fn capabilities(args: &TemplateArgs) -> Result<Capabilities, TemplateCommandError> {
    let mut capabilities = Capabilities::default();
    if let Some(version) = &args.kube_version {
        capabilities.kube_version =
            KubeVersion::parse(version).ok_or_else(|| TemplateCommandError::KubeVersion(version.clone()))?;
    }
    capabilities.api_versions.extend(args.api_versions.iter().cloned());
    Ok(capabilities)
}

/// The longest name that leaves room for suffixes in object names.
const MAX_NAME: usize = 53;

fn release_name(given: Option<&str>, template: Option<&str>) -> Result<String, TemplateCommandError> {
    let name = match (given, template) {
        (Some(_), Some(_)) => return Err(TemplateCommandError::TwoNames),
        (Some(name), None) => name.to_owned(),
        (None, Some(template)) => {
            let mut set = TemplateSet::default();
            set.add("name-template", template).map_err(TemplateCommandError::NameTemplate)?;
            let bytes = Execution::new(set, &NameHost, Limits::default())
                .run("name-template", &Value::Nil)
                .map_err(TemplateCommandError::NameTemplate)?;
            String::from_utf8_lossy(&bytes).into_owned()
        }
        (None, None) => "release-name".to_owned(),
    };
    let label = |part: &str| {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        !part.is_empty() && part.bytes().all(inner) && !part.starts_with('-') && !part.ends_with('-')
    };
    if name.len() > MAX_NAME || !name.split('.').all(label) {
        return Err(TemplateCommandError::ReleaseName(name));
    }
    Ok(name)
}

struct NameHost;

impl Host for NameHost {
    fn lookup(&self, _: &str, _: &str, _: &str, _: &str) -> Result<Value, String> {
        Err("a name cannot depend on the cluster".to_owned())
    }

    fn now(&self) -> (i64, u32) {
        SystemClock.now()
    }

    fn random(&self, buffer: &mut [u8]) {
        SystemEntropy.fill(buffer);
    }

    fn lenient(&self) -> bool {
        false
    }
}

/// The whole output: CRDs, manifests, hooks.
fn print(rendered: &Rendered, args: &TemplateArgs) -> String {
    let mut text = String::new();
    if args.include_crds {
        for (name, content) in &rendered.crds {
            text.push_str(&format!("---\n# Source: {name}\n{content}\n"));
        }
    }
    let append = |text: &mut String, manifests: &[&RenderedManifest]| {
        for manifest in manifests {
            manifest.print(text);
        }
    };
    append(&mut text, &rendered.manifests.iter().collect::<Vec<_>>());
    let mut text = text.trim().to_owned();
    text.push('\n');
    if !args.no_hooks {
        let kept = rendered.hooks.iter().filter(|hook| !(args.skip_tests && is_test_hook(hook)));
        append(&mut text, &kept.collect::<Vec<_>>());
    }
    text
}

/// The documents that come from the named templates, in the order of the names.
fn selected(text: &str, names: &[String]) -> Result<Vec<String>, TemplateCommandError> {
    let documents = split_documents(text);
    let source = |document: &str| {
        let line = document.lines().find_map(|line| line.strip_prefix("# Source: "))?;
        line.split_once('/').map(|(_, path)| path.to_owned())
    };
    let mut found = Vec::new();
    for name in names {
        let before = found.len();
        found.extend(documents.iter().filter(|d| source(d).is_some_and(|path| path_match(name, &path))).cloned());
        if found.len() == before {
            return Err(TemplateCommandError::ShowOnly(name.clone()));
        }
    }
    Ok(found)
}

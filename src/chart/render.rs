//! Renders a chart.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::{
    Capabilities, Chart,
    context::{self, Entry},
    dependencies,
    manifests::{self, RenderedManifest},
};
use crate::{
    template::{Execution, Host, Limits, MapKind, Str, TemplateError, TemplateSet, Value},
    values::{self, Origin, Table, Values, ValuesFile, yaml::YamlError},
};

/// What templates see as `.Release`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The name.
    pub name: String,
    /// The namespace.
    pub namespace: String,
    /// 1 for the first.
    pub revision: u32,
    /// Whether an older revision is replaced.
    pub is_upgrade: bool,
}

/// Reads live objects for the function `lookup`.
pub trait Lookup: Send + Sync {
    /// The object, or a list when `name` is empty, or an empty object when
    /// there is none. Every other failure must be an error: it fails the render.
    fn lookup(&self, api_version: &str, kind: &str, namespace: &str, name: &str) -> Result<Json, LookupError>;
}

/// A live object could not be read.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct LookupError(pub String);

/// The time of a render.
pub trait Clock: Send + Sync {
    /// Seconds since 1970 and nanoseconds.
    fn now(&self) -> (i64, u32);
}

/// The randomness of a render.
pub trait Entropy: Send + Sync {
    /// Fills `buffer`.
    fn fill(&self, buffer: &mut [u8]);
}

/// Everything a render depends on, besides the chart.
#[derive(Clone, Copy)]
pub struct RenderInputs<'a> {
    /// What the user gives over the chart's defaults.
    pub values: &'a Values,
    /// `.Release`
    pub release: &'a Release,
    /// `.Capabilities`
    pub capabilities: &'a Capabilities,
    /// For `lookup`; without it every lookup finds nothing.
    pub lookup: Option<&'a dyn Lookup>,
    /// For `now` and its like.
    pub clock: &'a dyn Clock,
    /// For random strings and keys.
    pub entropy: &'a dyn Entropy,
    /// Let `required` and `fail` pass, as `helm lint` does.
    pub lenient: bool,
    /// What the render may consume.
    pub limits: Limits,
}

/// The result of a render.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// In install order.
    pub manifests: Vec<RenderedManifest>,
    /// Hooks, in install order.
    pub hooks: Vec<RenderedManifest>,
    /// Files below `crds/`: name and raw text.
    pub crds: Vec<(String, String)>,
    /// The chart's own notes.
    pub notes: Option<String>,
    /// What looked wrong without being an error.
    pub warnings: Vec<String>,
}

/// A value that `values.schema.json` refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidValue {
    /// The chart whose schema refuses it.
    pub chart: String,
    /// The path, such as `redis.appendfsync`.
    pub path: String,
    /// What the schema wants. Never quotes the value.
    pub message: String,
    /// Where it was set.
    pub origin: Origin,
}

impl std::fmt::Display for InvalidValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.origin {
            Origin::File(location) => write!(f, "{location}: ")?,
            Origin::Flag => f.write_str("a --set flag: ")?,
            Origin::Elsewhere => write!(f, "chart {}: ", self.chart)?,
        }
        let path = if self.path.is_empty() { "the values" } else { &self.path };
        write!(f, "{path}: {}", self.message)
    }
}

/// A chart could not be rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// Nothing of a library chart can be installed.
    #[error("chart {0} is a library chart, which only offers definitions; it cannot be rendered alone")]
    Library(String),
    /// Listed in `Chart.yaml`, but not below `charts/`.
    #[error("chart {chart} needs {}, which charts/ does not hold; run `helm dependency build`", .missing.join(", "))]
    MissingDependencies {
        /// The chart.
        chart: String,
        /// What is missing.
        missing: Vec<String>,
    },
    /// The cluster is too old or too new.
    #[error("chart {chart} needs Kubernetes {wanted}, but the cluster has {found}")]
    KubeVersion {
        /// The chart.
        chart: String,
        /// Its constraint.
        wanted: String,
        /// The version.
        found: String,
    },
    /// The values of a dependency are no table.
    #[error(transparent)]
    NotATable(#[from] dependencies::NotATable),
    /// A schema refuses values.
    #[error("the values are refused:\n{}", .0.iter().map(|v| format!("  {v}")).collect::<Vec<_>>().join("\n"))]
    InvalidValues(Vec<InvalidValue>),
    /// A schema is itself wrong.
    #[error("values.schema.json of chart {chart} cannot be used: {reason}")]
    Schema {
        /// The chart.
        chart: String,
        /// Why.
        reason: String,
    },
    /// A template is malformed or failed.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A template rendered to bytes that are not UTF-8.
    #[error("{0}: the output is not UTF-8 text")]
    NotText(String),
    /// A template rendered to something that is not a manifest.
    #[error("{template}: the output is not a manifest: line {}, column {} of the document: {}{}", .cause.line, .cause.column, .cause.message, excerpt(.text, .cause))]
    NotAManifest {
        /// The template.
        template: String,
        /// The document.
        text: String,
        /// What is wrong, and where in the document.
        cause: YamlError,
    },
}

/// The line of the document an error is about, with the place marked. Nothing
/// of a Secret is shown.
fn excerpt(text: &str, cause: &YamlError) -> String {
    if text.lines().any(|line| line.trim_start().starts_with("kind:") && line.contains("Secret")) {
        return "\n  (a Secret; its text is not shown)".to_owned();
    }
    match text.lines().nth(cause.line.saturating_sub(1)) {
        Some(line) => {
            let shown: String = line.chars().take(160).collect();
            let lead = cause.column.saturating_sub(1).min(160);
            let gutter = cause.line.to_string();
            let blank = " ".repeat(gutter.len());
            format!("\n{blank} |\n{gutter} | {shown}\n{blank} | {:lead$}^", "")
        }
        None => String::new(),
    }
}

struct Lender<'a>(&'a RenderInputs<'a>);

impl Host for Lender<'_> {
    fn lookup(&self, api_version: &str, kind: &str, namespace: &str, name: &str) -> Result<Value, String> {
        match self.0.lookup {
            Some(lookup) => {
                let found = lookup.lookup(api_version, kind, namespace, name).map_err(|error| error.to_string())?;
                Ok(if found.is_null() {
                    Value::from_json(&Json::Object(Table::new()))
                } else {
                    Value::from_json(&found)
                })
            }
            None => Ok(Value::from_json(&Json::Object(Table::new()))),
        }
    }

    fn now(&self) -> (i64, u32) {
        self.0.clock.now()
    }

    fn random(&self, buffer: &mut [u8]) {
        self.0.entropy.fill(buffer);
    }

    fn lenient(&self) -> bool {
        self.0.lenient
    }
}

/// Renders `chart` as `helm template` does.
pub fn render(chart: &Chart, inputs: &RenderInputs<'_>) -> Result<Rendered, RenderError> {
    let name = &chart.metadata.name;
    if chart.is_library() {
        return Err(RenderError::Library(name.clone()));
    }
    let missing = dependencies::missing(chart);
    if !missing.is_empty() {
        return Err(RenderError::MissingDependencies { chart: name.clone(), missing });
    }
    let mut warnings = Vec::new();
    let (processed, mut files) = prepare_and_execute(chart, inputs, &mut warnings)?;
    let notes_name = format!("{name}/templates/NOTES.txt");
    let notes = files.remove(&notes_name);
    files.retain(|name, _| !name.ends_with("NOTES.txt"));
    let (manifests, hooks) = manifests::sort(files).map_err(|bad| RenderError::NotAManifest {
        template: bad.source,
        text: bad.text,
        cause: bad.cause,
    })?;
    let mut crds = Vec::new();
    collect_crds(&processed, name, &mut crds);
    Ok(Rendered { manifests, hooks, crds, notes, warnings })
}

/// The output of every template by its name, before it is split and sorted.
pub(super) fn render_files(chart: &Chart, inputs: &RenderInputs<'_>) -> Result<BTreeMap<String, String>, RenderError> {
    prepare_and_execute(chart, inputs, &mut Vec::new()).map(|(_, files)| files)
}

fn prepare_and_execute(
    chart: &Chart,
    inputs: &RenderInputs<'_>,
    warnings: &mut Vec<String>,
) -> Result<(Chart, BTreeMap<String, String>), RenderError> {
    let processed = dependencies::process(chart, inputs.values.table(), warnings)?;
    let values = dependencies::coalesce(&processed, inputs.values.table().clone(), false)?;
    check_schemas(&processed, &values, inputs.values)?;
    let kube = &inputs.capabilities.kube_version;
    let wanted = &processed.metadata.kube_version;
    if !wanted.is_empty() && !kube.satisfies(wanted) {
        return Err(RenderError::KubeVersion {
            chart: chart.metadata.name.clone(),
            wanted: wanted.clone(),
            found: kube.version.clone(),
        });
    }
    let files = execute(&processed, &values, inputs)?;
    Ok((processed, files))
}

/// Executes all templates, those of the deepest charts first; the outputs by
/// name.
fn execute(chart: &Chart, values: &Table, inputs: &RenderInputs<'_>) -> Result<BTreeMap<String, String>, RenderError> {
    let top = match Value::from_json(&Json::Object(values.clone())) {
        Value::Map(map) => Value::Map(map.retyped(MapKind::Values)),
        other => other,
    };
    let shared = (context::release(inputs.release), context::capabilities(inputs.capabilities));
    let mut entries: Vec<Entry> = Vec::new();
    context::collect(chart, &chart.metadata.name, true, top, &shared, &mut entries);
    let depth = |entry: &Entry| entry.name.matches('/').count();
    entries.sort_by(|a, b| depth(b).cmp(&depth(a)).then_with(|| b.name.cmp(&a.name)));
    let mut set = TemplateSet::default();
    let mut seen = BTreeSet::new();
    entries.retain(|entry| seen.insert(entry.name.clone()));
    for entry in &entries {
        set.add_parsed(&entry.template.parse(&entry.name)?);
    }
    let host = Lender(inputs);
    let mut execution = Execution::new(set, &host, inputs.limits);
    let mut outputs = BTreeMap::new();
    for entry in &entries {
        let base = entry.name.rsplit('/').next().unwrap_or_default();
        if base.starts_with('_') {
            continue;
        }
        let template = crate::template::Map::of(
            MapKind::Values,
            [
                (Str::from("Name"), Value::str(entry.name.as_str())),
                (Str::from("BasePath"), Value::str(entry.base_path.as_str())),
            ]
            .into_iter()
            .collect(),
        );
        entry.context.set(Str::from("Template"), Value::Map(template));
        let out = execution.run(&entry.name, &Value::Map(entry.context.clone()))?;
        let text = String::from_utf8(out).map_err(|_| RenderError::NotText(entry.name.clone()))?;
        outputs.insert(entry.name.clone(), text);
    }
    Ok(outputs)
}

fn check_schemas(chart: &Chart, values: &Table, given: &Values) -> Result<(), RenderError> {
    let mut invalid = Vec::new();
    check_schema(chart, "", values, given, &mut invalid)?;
    if invalid.is_empty() { Ok(()) } else { Err(RenderError::InvalidValues(invalid)) }
}

/// Checks a chart and its dependencies, whose values stand at `prefix` (a JSON
/// pointer) in the whole.
fn check_schema(
    chart: &Chart,
    prefix: &str,
    values: &Table,
    given: &Values,
    invalid: &mut Vec<InvalidValue>,
) -> Result<(), RenderError> {
    let name = &chart.metadata.name;
    if let Some(schema) = &chart.schema {
        let violations = values::check(schema, &Json::Object(values.clone()))
            .map_err(|reason| RenderError::Schema { chart: name.clone(), reason })?;
        for violation in violations {
            let pointer = format!("{prefix}{}", violation.pointer);
            let origin = match given.origin(&pointer) {
                Origin::Elsewhere => {
                    let own = ValuesFile { name: format!("{name}/values.yaml"), text: chart.values_text.clone() };
                    let found = values::locate(&own, &violation.pointer).filter(|_| !pointer.is_empty());
                    found.map_or(Origin::Elsewhere, Origin::File)
                }
                origin => origin,
            };
            let path = pointer.trim_start_matches('/').replace('/', ".").replace("~1", "/").replace("~0", "~");
            invalid.push(InvalidValue { chart: name.clone(), path, message: violation.message, origin });
        }
    }
    for child in &chart.dependencies {
        let key = &child.metadata.name;
        if let Some(Json::Object(inner)) = values.get(key) {
            check_schema(child, &format!("{prefix}/{key}"), inner, given, invalid)?;
        }
    }
    Ok(())
}

fn collect_crds(chart: &Chart, path: &str, crds: &mut Vec<(String, String)>) {
    for file in &chart.files {
        let extension = file.name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
        let manifest = matches!(extension.as_deref(), Some("yaml" | "yml" | "json"));
        if file.name.starts_with("crds/") && manifest {
            crds.push((format!("{path}/{}", file.name), String::from_utf8_lossy(&file.data).into_owned()));
        }
    }
    for child in &chart.dependencies {
        collect_crds(child, &format!("{path}/charts/{}", child.metadata.name), crds);
    }
}

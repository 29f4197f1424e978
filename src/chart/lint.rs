//! Finds what `helm lint` finds in a chart: mistakes in `Chart.yaml`, values
//! that the schema refuses, templates that fail or render to something odd.

use serde_json::{Map, Value};

use super::{Chart, RenderError, RenderInputs, render::render_files};
use crate::{
    snapshot::FileTree,
    template::semver::Version,
    values::{
        split_at_dashes,
        yaml::{self, Numbers},
    },
};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Likely wrong.
    Warning,
    /// The chart cannot be used like this.
    Error,
}

/// Something that lint has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The file inside the chart.
    pub file: String,
    /// What is wrong.
    pub message: String,
}

/// Findings, in the order of the checks.
#[derive(Default)]
struct Report(Vec<Finding>);

impl Report {
    fn add(&mut self, severity: Severity, file: &str, message: impl Into<String>) {
        self.0.push(Finding { severity, file: file.to_owned(), message: message.into() });
    }

    fn error(&mut self, file: &str, message: impl Into<String>) {
        self.add(Severity::Error, file, message);
    }
}

/// Lints the chart in the folder `path` of `tree`. `inputs` gives the values to
/// render with; `required` and `fail` pass.
pub fn lint(tree: &dyn FileTree, path: &str, inputs: &RenderInputs<'_>) -> Vec<Finding> {
    let mut report = Report::default();
    let file = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
    let data = tree.read(&file("Chart.yaml")).ok().flatten();
    let text = data.map(|data| String::from_utf8_lossy(&data).into_owned());
    match text.map(|text| yaml::read(&text, Numbers::Exact)) {
        None => report.error("Chart.yaml", "the file is missing"),
        Some(Err(error)) => report.error("Chart.yaml", format!("unable to parse YAML: {error}")),
        Some(Ok(Value::Object(table))) => check_metadata(&table, &mut report),
        Some(Ok(_)) => report.error("Chart.yaml", "the file must hold a table"),
    }
    if !matches!(tree.read(&file("values.yaml")), Ok(Some(_))) {
        report.add(Severity::Info, "values.yaml", "file does not exist");
    }
    match Chart::load(tree, path) {
        Err(error) => report.error("templates/", error.to_string()),
        Ok(chart) => {
            check_dependencies(&chart, &mut report);
            check_templates(&chart, inputs, &mut report);
            check_crds(&chart, &mut report);
        }
    }
    report.0
}

fn check_metadata(table: &Map<String, Value>, report: &mut Report) {
    const FILE: &str = "Chart.yaml";
    let text = |key: &str| table.get(key).and_then(Value::as_str).unwrap_or_default();
    let name = text("name");
    if name.is_empty() {
        report.error(FILE, "name is required");
    } else if name.contains('/') {
        report.error(FILE, format!("chart name {name:?} is invalid"));
    }
    match text("apiVersion") {
        "v1" | "v2" => {}
        "" => report.error(FILE, "apiVersion is required. The value must be either \"v1\" or \"v2\""),
        other => {
            report.error(FILE, format!("apiVersion {other:?} is not valid. The value must be either \"v1\" or \"v2\""))
        }
    }
    for key in ["version", "appVersion"] {
        if table.get(key).is_some_and(|value| !value.is_string()) {
            report.error(FILE, format!("{key} should be text; put it in quotes"));
        }
    }
    check_version(table.get("version"), report);
    for maintainer in table.get("maintainers").and_then(Value::as_array).into_iter().flatten() {
        if maintainer.get("name").and_then(Value::as_str).unwrap_or_default().is_empty() {
            report.error(FILE, "each maintainer requires a name");
        }
    }
    match text("icon") {
        "" => report.add(Severity::Info, FILE, "icon is recommended"),
        icon if !icon.contains("://") => report.error(FILE, format!("invalid icon URL {icon:?}")),
        _ => {}
    }
    if text("apiVersion") != "v2" {
        if table.contains_key("type") {
            report.error(FILE, "chart type is not valid in apiVersion v1; it is valid in v2");
        }
        if table.contains_key("dependencies") {
            report.error(FILE, "dependencies are not valid in the Chart file with apiVersion v1; they are valid in v2");
        }
    }
}

fn check_version(version: Option<&Value>, report: &mut Report) {
    const FILE: &str = "Chart.yaml";
    let version = match version {
        None | Some(Value::Null) => return report.error(FILE, "version is required"),
        Some(Value::String(version)) => version.clone(),
        Some(other) => other.to_string(),
    };
    match Version::parse(&version) {
        Err(_) => report.error(FILE, format!("version {version:?} is not a valid SemVer")),
        Ok(parsed) if parsed.numbers == [0; 3] && parsed.pre.is_empty() => {}
        Ok(parsed) if parsed.to_string() != version => {
            report.add(Severity::Warning, FILE, format!("version {version:?} is not a valid SemVerV2"));
        }
        Ok(_) => {}
    }
}

fn check_dependencies(chart: &Chart, report: &mut Report) {
    let missing = super::dependencies::missing(chart);
    if !missing.is_empty() {
        let message = format!("chart directory is missing these dependencies: {}", missing.join(","));
        report.add(Severity::Warning, "charts/", message);
    }
    let listed = |name: &str| chart.metadata.dependencies.iter().flatten().any(|want| want.name == name);
    let unlisted: Vec<&str> =
        chart.dependencies.iter().map(|child| child.metadata.name.as_str()).filter(|name| !listed(name)).collect();
    if !unlisted.is_empty() {
        report.error("charts/", format!("chart metadata is missing these dependencies: {}", unlisted.join(",")));
    }
}

fn check_templates(chart: &Chart, inputs: &RenderInputs<'_>, report: &mut Report) {
    if chart.templates.is_empty() {
        report.add(Severity::Warning, "templates/", "directory does not exist");
        return;
    }
    let files = match render_files(chart, &RenderInputs { lenient: true, lookup: None, ..*inputs }) {
        Ok(files) => files,
        Err(RenderError::InvalidValues(invalid)) => {
            for value in invalid {
                report.error("values.yaml", value.to_string());
            }
            return;
        }
        Err(error) => {
            report.error("templates/", error.to_string());
            return;
        }
    };
    for template in &chart.templates {
        let name = template.name.as_str();
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        if !matches!(extension, "yaml" | "yml" | "tpl" | "txt") {
            report.error(name, format!("file extension {extension:?} not valid; use .yaml, .yml, .tpl, or .txt"));
        }
        if !matches!(extension.to_ascii_lowercase().as_str(), "yaml" | "yml") {
            continue;
        }
        let rendered = files.get(&format!("{}/{name}", chart.metadata.name)).map_or("", String::as_str);
        if !rendered.trim().is_empty() && !check_rendered(name, rendered, report) {
            return;
        }
    }
}

/// Checks the output of one template; false when it is not even YAML.
fn check_rendered(name: &str, rendered: &str, report: &mut Report) -> bool {
    if let Some(line) = rendered.lines().find(|line| !line.trim().is_empty())
        && line.starts_with([' ', '\t'])
    {
        let message = format!("document starts with an illegal indent: {line:?}, which may cause parsing problems");
        report.add(Severity::Warning, name, message);
    }
    for document in split_at_dashes(rendered) {
        let object = match yaml::read(document, Numbers::Exact) {
            Ok(Value::Null) => continue,
            Ok(Value::Object(object)) => object,
            Ok(_) => {
                report.error(name, "unable to parse YAML: a manifest must be a mapping");
                return false;
            }
            Err(error) => {
                report.error(name, format!("unable to parse YAML: {error}"));
                return false;
            }
        };
        check_object(name, &object, rendered, report);
    }
    true
}

fn check_object(file: &str, object: &Map<String, Value>, rendered: &str, report: &mut Report) {
    let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default();
    // Scalars such as an unquoted n or 5 are taken as text here, as Helm does.
    let name = match object.get("metadata").and_then(|metadata| metadata.get("name")) {
        Some(Value::String(name)) => name.clone(),
        Some(other) if !other.is_null() => other.to_string(),
        _ => String::new(),
    };
    if !valid_name(kind, &name) {
        let message = format!("object name does not conform to Kubernetes naming requirements: {name:?}");
        report.add(Severity::Warning, file, message);
    }
    let selects = matches!(kind, "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet");
    if selects && !rendered.contains("matchLabels") && !rendered.contains("matchExpressions") {
        report.error(file, format!("a {kind} must contain matchLabels or matchExpressions, and {name:?} does not"));
    }
    let items = object.get("items").and_then(Value::as_array).into_iter().flatten();
    let kept = |item: &Value| item.pointer("/metadata/annotations/helm.sh~1resource-policy").is_some();
    if kind == "List" && items.into_iter().any(kept) {
        report.error(file, "annotation 'helm.sh/resource-policy' within List objects are ignored");
    }
}

/// The rules for names differ by kind.
fn valid_name(kind: &str, name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let label =
        |part: &str| !part.is_empty() && part.bytes().all(inner) && !part.starts_with('-') && !part.ends_with('-');
    match kind.to_ascii_lowercase().as_str() {
        "certificatesigningrequest" => true,
        "role" | "clusterrole" | "rolebinding" | "clusterrolebinding" => {
            !matches!(name, "." | "..") && !name.contains(['/', '%'])
        }
        "service" => name.len() <= 63 && label(name) && !name.starts_with(|c: char| c.is_ascii_digit()),
        "namespace" => name.len() <= 63 && label(name),
        _ => name.len() <= 253 && name.split('.').all(label),
    }
}

fn check_crds(chart: &Chart, report: &mut Report) {
    for file in chart.files.iter().filter(|file| file.name.starts_with("crds/")) {
        let name = file.name.as_str();
        if !name.ends_with(".yaml") && !name.ends_with(".yml") {
            continue;
        }
        for document in split_at_dashes(&String::from_utf8_lossy(&file.data)) {
            match yaml::read(document, Numbers::Exact) {
                Ok(Value::Null) => {}
                Err(error) => report.error(name, format!("unable to parse YAML: {error}")),
                Ok(object) => {
                    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
                    if !text("apiVersion").starts_with("apiextensions.k8s.io") {
                        report.error(name, "apiVersion is not in 'apiextensions.k8s.io'");
                    }
                    if text("kind") != "CustomResourceDefinition" {
                        report.error(name, "object kind is not 'CustomResourceDefinition'");
                    }
                }
            }
        }
    }
}

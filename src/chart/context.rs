//! The values that templates start from: `.Chart`, `.Release`,
//! `.Capabilities` and the rest.

use std::{any::Any, collections::BTreeMap, rc::Rc};

use super::{Capabilities, Chart, Dependency, KubeVersion, Metadata, Release, Template, files::Files};
use crate::template::{List, ListKind, Map, MapKind, Object, Str, Value};

fn map(entries: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    Value::Map(Map::of(MapKind::Any, entries.into_iter().map(|(k, v)| (Str::from(k), v)).collect()))
}

fn list(items: impl IntoIterator<Item = Value>) -> Value {
    Value::List(List::any(items.into_iter().collect()))
}

fn texts(items: &[String]) -> Value {
    list(items.iter().map(|item| Value::str(item.as_str())))
}

/// `.Chart`: the metadata under the names of Go's fields.
fn chart(metadata: &Metadata, root: bool) -> Value {
    let text = |text: &String| Value::str(text.as_str());
    let maintainer = |person: &super::Maintainer| {
        map([("Name", text(&person.name)), ("Email", text(&person.email)), ("URL", text(&person.url))])
    };
    let annotations: BTreeMap<Str, Value> =
        metadata.annotations.iter().map(|(k, v)| (Str::from(k.as_str()), Value::str(v.as_str()))).collect();
    map([
        ("Name", text(&metadata.name)),
        ("Home", text(&metadata.home)),
        ("Sources", texts(&metadata.sources)),
        ("Version", text(&metadata.version)),
        ("Description", text(&metadata.description)),
        ("Keywords", texts(&metadata.keywords)),
        ("Maintainers", list(metadata.maintainers.iter().map(maintainer))),
        ("Icon", text(&metadata.icon)),
        ("APIVersion", text(&metadata.api_version)),
        ("Condition", text(&metadata.condition)),
        ("Tags", text(&metadata.tags)),
        ("AppVersion", text(&metadata.app_version)),
        ("Deprecated", Value::Bool(metadata.deprecated)),
        ("Annotations", Value::Map(Map::of(MapKind::Strings, annotations))),
        ("KubeVersion", text(&metadata.kube_version)),
        ("Dependencies", list(metadata.dependencies.iter().flatten().map(dependency))),
        ("Type", text(&metadata.kind)),
        ("IsRoot", Value::Bool(root)),
    ])
}

fn dependency(dependency: &Dependency) -> Value {
    map([
        ("Name", Value::str(dependency.name.as_str())),
        ("Version", Value::str(dependency.version.as_str())),
        ("Repository", Value::str(dependency.repository.as_str())),
        ("Condition", Value::str(dependency.condition.as_str())),
        ("Tags", texts(&dependency.tags)),
        ("Enabled", Value::Bool(dependency.enabled)),
        ("ImportValues", list(dependency.import_values.iter().map(Value::from_json))),
        ("Alias", Value::str(dependency.alias.as_str())),
    ])
}

pub(super) fn release(release: &Release) -> Value {
    map([
        ("Name", Value::str(release.name.as_str())),
        ("Namespace", Value::str(release.namespace.as_str())),
        ("IsUpgrade", Value::Bool(release.is_upgrade)),
        ("IsInstall", Value::Bool(!release.is_upgrade)),
        ("Revision", Value::int(i64::from(release.revision))),
        ("Service", Value::str("Helm")),
    ])
}

/// A template with the values it sees.
pub(super) struct Entry {
    /// Such as `redis/templates/service.yaml`.
    pub name: String,
    pub template: Template,
    pub context: Map,
    pub base_path: String,
}

/// Collects the templates of a chart and its dependencies, each with its own
/// `.Values`. Returns the chart's context, which its parent shows as a subchart.
pub(super) fn collect(
    target: &Chart,
    path: &str,
    root: bool,
    values: Value,
    shared: &(Value, Value),
    entries: &mut Vec<Entry>,
) -> Map {
    let subcharts = Map::new();
    let context = Map::of(MapKind::Values, BTreeMap::new());
    let put = |key: &str, value: Value| context.set(Str::from(key), value);
    put("Chart", chart(&target.metadata, root));
    put("Files", Value::Object(Rc::new(Files::new(&target.files))));
    put("Release", shared.0.clone());
    put("Capabilities", shared.1.clone());
    put("Subcharts", Value::Map(subcharts.clone()));
    for child in &target.dependencies {
        let name = child.metadata.name.as_str();
        let inner = match &values {
            Value::Map(map) => match map.get(name.as_bytes()) {
                Some(Value::Map(inner)) => inner.retyped(MapKind::Values),
                _ => Map::of(MapKind::Values, BTreeMap::new()),
            },
            _ => Map::of(MapKind::Values, BTreeMap::new()),
        };
        let path = format!("{path}/charts/{name}");
        let child = collect(child, &path, false, Value::Map(inner), shared, entries);
        subcharts.set(Str::from(name), Value::Map(child.retyped(MapKind::Any)));
    }
    put("Values", values);
    for template in &target.templates {
        let base = template.name.rsplit('/').next().unwrap_or_default();
        if target.is_library() && !base.starts_with('_') {
            continue;
        }
        entries.push(Entry {
            name: format!("{path}/{}", template.name),
            template: template.clone(),
            context: context.clone(),
            base_path: format!("{path}/templates"),
        });
    }
    context
}

impl Object for KubeVersion {
    fn type_name(&self) -> &'static str {
        "common.KubeVersion"
    }

    fn member(&self, name: &str, _args: &[Value]) -> Option<Result<Value, String>> {
        let text = match name {
            "Version" | "GitVersion" => &self.version,
            "Major" => &self.major,
            "Minor" => &self.minor,
            "String" => &self.normalized,
            _ => return None,
        };
        Some(Ok(Value::str(text.as_str())))
    }

    fn print(&self) -> String {
        self.normalized.clone()
    }

    fn print_fields(&self) -> String {
        format!("{{{} {} {} {}}}", self.version, self.normalized, self.major, self.minor)
    }

    fn plain(&self) -> Value {
        map([
            ("Version", Value::str(self.version.as_str())),
            ("Major", Value::str(self.major.as_str())),
            ("Minor", Value::str(self.minor.as_str())),
        ])
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `.Capabilities.HelmVersion`: the Helm whose behaviour this engine has.
struct HelmVersion;

const HELM: &str = "v4.1.4";
const HELM_GO: &str = "go1.26.8";
const HELM_CLIENT: &str = "v1.35";

impl Object for HelmVersion {
    fn type_name(&self) -> &'static str {
        "version.BuildInfo"
    }

    fn member(&self, name: &str, _args: &[Value]) -> Option<Result<Value, String>> {
        let text = match name {
            "Version" => HELM,
            "GoVersion" => HELM_GO,
            "KubeClientVersion" => HELM_CLIENT,
            "GitCommit" | "GitTreeState" => "",
            _ => return None,
        };
        Some(Ok(Value::str(text)))
    }

    fn print(&self) -> String {
        format!("{{{HELM}   {HELM_GO} {HELM_CLIENT}}}")
    }

    fn plain(&self) -> Value {
        map([
            ("version", Value::str(HELM)),
            ("go_version", Value::str(HELM_GO)),
            ("kube_client_version", Value::str(HELM_CLIENT)),
        ])
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

struct CapabilitiesObject {
    kube_version: Value,
    api_versions: Value,
    helm_version: Value,
}

pub(super) fn capabilities(capabilities: &Capabilities) -> Value {
    let versions = capabilities.api_versions.iter().map(|v| Value::str(v.as_str())).collect();
    Value::Object(Rc::new(CapabilitiesObject {
        kube_version: Value::Object(Rc::new(capabilities.kube_version.clone())),
        api_versions: Value::List(List::of(ListKind::Versions, versions)),
        helm_version: Value::Object(Rc::new(HelmVersion)),
    }))
}

impl Object for CapabilitiesObject {
    fn type_name(&self) -> &'static str {
        "*common.Capabilities"
    }

    fn member(&self, name: &str, _args: &[Value]) -> Option<Result<Value, String>> {
        Some(Ok(match name {
            "KubeVersion" => self.kube_version.clone(),
            "APIVersions" => self.api_versions.clone(),
            "HelmVersion" => self.helm_version.clone(),
            _ => return None,
        }))
    }

    fn print(&self) -> String {
        "capabilities".to_owned()
    }

    fn plain(&self) -> Value {
        map([
            ("KubeVersion", self.kube_version.clone()),
            ("APIVersions", self.api_versions.clone()),
            ("HelmVersion", self.helm_version.clone()),
        ])
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

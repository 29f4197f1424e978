//! `Chart.yaml`.

use serde_json::{Map, Value};

/// What `Chart.yaml` says of a chart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// `name`
    pub name: String,
    /// `home`
    pub home: String,
    /// `sources`
    pub sources: Vec<String>,
    /// `version`
    pub version: String,
    /// `description`
    pub description: String,
    /// `keywords`
    pub keywords: Vec<String>,
    /// `maintainers`
    pub maintainers: Vec<Maintainer>,
    /// `icon`
    pub icon: String,
    /// `apiVersion`; `v1` when it is missing.
    pub api_version: String,
    /// `condition`
    pub condition: String,
    /// `tags`
    pub tags: String,
    /// `appVersion`
    pub app_version: String,
    /// `deprecated`
    pub deprecated: bool,
    /// `annotations`
    pub annotations: Vec<(String, String)>,
    /// `kubeVersion`
    pub kube_version: String,
    /// `dependencies`; `None` when the key is missing.
    pub dependencies: Option<Vec<Dependency>>,
    /// `type`
    pub kind: String,
}

/// A person who keeps the chart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maintainer {
    /// `name`
    pub name: String,
    /// `email`
    pub email: String,
    /// `url`
    pub url: String,
}

/// A chart that this one needs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dependency {
    /// `name`; the alias once values are processed.
    pub name: String,
    /// `version`, a constraint
    pub version: String,
    /// `repository`
    pub repository: String,
    /// `condition`: paths in the values, separated by commas
    pub condition: String,
    /// `tags`
    pub tags: Vec<String>,
    /// Whether values leave it switched on.
    pub enabled: bool,
    /// `import-values`
    pub import_values: Vec<Value>,
    /// `alias`
    pub alias: String,
}

/// Reads fields of a YAML table, whose keys Go matches without regard to case.
struct Fields<'j>(&'j Map<String, Value>);

impl Fields<'_> {
    fn get(&self, key: &str) -> Option<&Value> {
        let exact = self.0.get(key);
        exact.or_else(|| self.0.iter().find(|(k, _)| k.eq_ignore_ascii_case(key)).map(|(_, v)| v))
    }

    fn text(&self, key: &str) -> Result<String, String> {
        self.get(key).map_or(Ok(String::new()), |value| text(key, value))
    }

    fn texts(&self, key: &str) -> Result<Vec<String>, String> {
        match self.get(key) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(items)) => items.iter().map(|item| text(key, item)).collect(),
            Some(_) => Err(format!("{key} must be a list")),
        }
    }

    fn tables(&self, key: &str) -> Result<Option<Vec<&Map<String, Value>>>, String> {
        match self.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Array(items)) => items
                .iter()
                .filter(|item| !item.is_null())
                .map(|item| item.as_object().ok_or_else(|| format!("{key} must hold tables")))
                .collect::<Result<_, _>>()
                .map(Some),
            Some(_) => Err(format!("{key} must be a list")),
        }
    }

    fn flag(&self, key: &str) -> Result<bool, String> {
        match self.get(key) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(value)) => Ok(*value),
            Some(_) => Err(format!("{key} must be true or false")),
        }
    }
}

/// Scalars of any type are taken as text, as the Go library does.
fn text(key: &str, value: &Value) -> Result<String, String> {
    match value {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text.clone()),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Number(number) => Ok(match number.as_f64() {
            Some(float) if number.is_f64() => (float as f32).to_string(),
            _ => number.to_string(),
        }),
        _ => Err(format!("{key} must be text")),
    }
}

impl Metadata {
    pub(super) fn read(json: &Map<String, Value>) -> Result<Self, String> {
        let fields = Fields(json);
        let api_version = fields.text("apiVersion")?;
        let annotations = match fields.get("annotations") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Object(entries)) => {
                entries.iter().map(|(k, v)| Ok((k.clone(), text(k, v)?))).collect::<Result<_, String>>()?
            }
            Some(_) => return Err("annotations must be a table".to_owned()),
        };
        let maintainers = fields.tables("maintainers")?.unwrap_or_default();
        let dependencies = fields.tables("dependencies")?;
        Ok(Self {
            name: fields.text("name")?,
            home: fields.text("home")?,
            sources: fields.texts("sources")?,
            version: fields.text("version")?,
            description: fields.text("description")?,
            keywords: fields.texts("keywords")?,
            maintainers: maintainers.into_iter().map(Maintainer::read).collect::<Result<_, _>>()?,
            icon: fields.text("icon")?,
            api_version: if api_version.is_empty() { "v1".to_owned() } else { api_version },
            condition: fields.text("condition")?,
            tags: fields.text("tags")?,
            app_version: fields.text("appVersion")?,
            deprecated: fields.flag("deprecated")?,
            annotations,
            kube_version: fields.text("kubeVersion")?,
            dependencies: dependencies
                .map(|list| list.into_iter().map(Dependency::read).collect::<Result<_, _>>())
                .transpose()?,
            kind: fields.text("type")?,
        })
    }

    /// Takes over `requirements.yaml` of a chart of the first format.
    pub(super) fn read_requirements(&mut self, json: &Map<String, Value>) -> Result<(), String> {
        if let Some(list) = Fields(json).tables("dependencies")? {
            self.dependencies = Some(list.into_iter().map(Dependency::read).collect::<Result<_, _>>()?);
        }
        Ok(())
    }

    /// What makes the chart unusable, if anything.
    pub(super) fn validate(&self) -> Result<(), String> {
        if self.name.is_empty() {
            return Err("name is missing".to_owned());
        }
        if self.name.contains(['/', '\\']) || matches!(self.name.as_str(), "." | "..") {
            return Err(format!("name {:?} must not be a path", self.name));
        }
        if self.version.is_empty() {
            return Err("version is missing".to_owned());
        }
        crate::template::semver::Version::parse(&self.version).map_err(|error| format!("version: {error}"))?;
        if !matches!(self.kind.as_str(), "" | "application" | "library") {
            return Err(format!("type must be application or library, not {:?}", self.kind));
        }
        for dependency in self.dependencies.iter().flatten() {
            let valid = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if !dependency.alias.chars().all(valid) {
                return Err(format!("dependency {:?} has a malformed alias", dependency.name));
            }
        }
        self.unique_dependencies()
    }

    fn unique_dependencies(&self) -> Result<(), String> {
        let mut seen = Vec::new();
        for dependency in self.dependencies.iter().flatten() {
            let name = if dependency.alias.is_empty() { &dependency.name } else { &dependency.alias };
            if seen.contains(&name) {
                return Err(format!("more than one dependency is called {name:?}"));
            }
            seen.push(name);
        }
        Ok(())
    }
}

impl Maintainer {
    fn read(json: &Map<String, Value>) -> Result<Self, String> {
        let fields = Fields(json);
        Ok(Self { name: fields.text("name")?, email: fields.text("email")?, url: fields.text("url")? })
    }
}

impl Dependency {
    fn read(json: &Map<String, Value>) -> Result<Self, String> {
        let fields = Fields(json);
        let import_values = match fields.get("import-values") {
            Some(Value::Array(items)) => items.clone(),
            _ => Vec::new(),
        };
        Ok(Self {
            name: fields.text("name")?,
            version: fields.text("version")?,
            repository: fields.text("repository")?,
            condition: fields.text("condition")?,
            tags: fields.texts("tags")?,
            enabled: fields.flag("enabled")?,
            import_values,
            alias: fields.text("alias")?,
        })
    }
}

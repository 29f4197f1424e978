//! Renders the chart with the program under test and reads what it prints.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use serde::Deserialize;
use serde_json::Value;

/// The program that renders.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_redis-gitops");

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The objects of one render.
#[derive(Debug)]
pub struct Rendered {
    /// In the order of printing.
    pub objects: Vec<Value>,
    /// As printed.
    pub text: String,
}

impl Rendered {
    /// `Kind/name` of every object, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.objects.iter().map(name_of).collect();
        names.sort();
        names
    }

    /// The object called `Kind/name`.
    pub fn object(&self, name: &str) -> &Value {
        self.find(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.names()))
    }

    /// The object called `Kind/name`, if there is one.
    pub fn find(&self, name: &str) -> Option<&Value> {
        self.objects.iter().find(|object| name_of(object) == name)
    }

    /// The pods that workloads make: the workload's `Kind/name` and its template.
    pub fn pod_templates(&self) -> Vec<(String, &Value)> {
        let places = ["/spec/template", "/spec/jobTemplate/spec/template"];
        let template = |object| places.iter().find_map(|place| Value::pointer(object, place));
        self.objects.iter().filter_map(|object| Some((name_of(object), template(object)?))).collect()
    }
}

/// `Kind/name`.
pub fn name_of(object: &Value) -> String {
    let word = |place| object.pointer(place).and_then(Value::as_str).unwrap_or("?");
    format!("{}/{}", word("/kind"), word("/metadata/name"))
}

/// Renders the chart as the release `redis`; the error is what was printed.
pub fn render(arguments: &[&str]) -> Result<Rendered, String> {
    let chart = root().join("charts/redis");
    let output = Command::new(PROGRAM).args(["template", "redis"]).arg(chart).args(arguments).output().expect("runs");
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let text = String::from_utf8(output.stdout).expect("text");
    let objects = serde_yaml::Deserializer::from_str(&text)
        .map(|document| Value::deserialize(document).expect("YAML"))
        .filter(|object| !object.is_null())
        .collect();
    Ok(Rendered { objects, text })
}

/// The YAML files of a folder of the repository, sorted.
pub fn files_in(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).expect(folder);
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    files
}

/// Every set of values that must render: the defaults, the environments, the overlays.
pub fn accepted() -> &'static [(String, Rendered)] {
    static ACCEPTED: OnceLock<Vec<(String, Rendered)>> = OnceLock::new();
    ACCEPTED.get_or_init(render_accepted)
}

fn render_accepted() -> Vec<(String, Rendered)> {
    let environments =
        ["dev", "staging", "prod"].map(|name| root().join("environments").join(name).join("values.yaml"));
    let mut all = vec![("defaults".to_owned(), render(&[]).expect("the defaults render"))];
    for file in environments.into_iter().chain(files_in("tests/chart/overlays")) {
        let name = file.strip_prefix(root()).expect("inside").display().to_string();
        let rendered = render(&["-f", &file.to_string_lossy()]).unwrap_or_else(|error| panic!("{name}: {error}"));
        all.push((name, rendered));
    }
    all
}

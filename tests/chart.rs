//! The Redis chart, rendered by the daemon's own engine: what is frozen, what the
//! original write-up promised, what is refused, and that no password or second
//! truth slips in. The scripts of the chart run with real servers, its objects
//! against a real API server.

#[path = "chart/documents.rs"]
mod documents;
#[path = "chart/invariants.rs"]
mod invariants;
#[path = "chart/policies.rs"]
mod policies;
#[path = "chart/real.rs"]
mod real;
#[path = "chart/rendering.rs"]
mod rendering;
#[path = "chart/targets.rs"]
mod targets;

use std::{collections::BTreeMap, fs};

use rendering::{Rendered, files_in, render, root};
use serde::Deserialize;
use serde_json::Value;

/// What must be true at one place of one object.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Field {
    object: String,
    at: String,
    #[serde(default)]
    is: Option<Value>,
    contains: Option<String>,
}

impl Field {
    fn check(&self, what: &str, rendered: &Rendered) {
        let found = rendered.object(&self.object).pointer(&self.at);
        if let Some(line) = &self.contains {
            let text = found
                .and_then(Value::as_str)
                .unwrap_or_else(|| panic!("{what}: {} {} is no text", self.object, self.at));
            assert!(
                text.lines().any(|found| found == line),
                "{what}: {} {} has no line {line:?}",
                self.object,
                self.at
            );
            return;
        }
        assert_eq!(found, self.is.as_ref(), "{what}: {} {}", self.object, self.at);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Frozen {
    values: Value,
    objects: Vec<String>,
    fields: Vec<Field>,
}

fn yaml<T: serde::de::DeserializeOwned>(path: &str) -> T {
    let text = fs::read_to_string(root().join(path)).expect(path);
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn what_can_never_change_is_as_it_was() {
    let shapes: BTreeMap<String, Frozen> = yaml("tests/chart/frozen.yaml");
    for (name, frozen) in shapes {
        let values = format!("--set-json={}", serde_json::to_string(&frozen.values).expect("JSON"));
        let rendered = render(&["--namespace", "frozen", &values]).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(rendered.names(), frozen.objects, "{name}");
        frozen.fields.iter().for_each(|field| field.check(&name, &rendered));
    }
}

#[test]
fn the_numbers_of_the_write_up_are_rendered() {
    let cases: BTreeMap<String, Vec<Field>> = yaml("tests/chart/seed.yaml");
    assert_eq!(cases.keys().map(String::as_str).collect::<Vec<_>>(), ["defaults", "dev", "prod", "staging"]);
    for (name, fields) in cases {
        let file = root().join("environments").join(&name).join("values.yaml");
        let file = file.to_string_lossy();
        let arguments = if name == "defaults" { vec![] } else { vec!["-f", &*file] };
        let rendered = render(&arguments).unwrap_or_else(|error| panic!("{name}: {error}"));
        fields.iter().for_each(|field| field.check(&name, &rendered));
    }
}

#[test]
fn no_override_repeats_a_default() {
    fn repeated(path: &str, default: &Value, value: &Value, found: &mut Vec<String>) {
        match (default, value) {
            (Value::Object(default), Value::Object(value)) if !value.is_empty() => {
                for (key, value) in value {
                    let default = default.get(key).unwrap_or(&Value::Null);
                    repeated(&format!("{path}.{key}"), default, value, found);
                }
            }
            _ if default == value => found.push(path.to_owned()),
            _ => {}
        }
    }
    let defaults: Value = yaml("charts/redis/values.yaml");
    for environment in ["dev", "staging", "prod"] {
        let values: Value = yaml(&format!("environments/{environment}/values.yaml"));
        let mut found = Vec::new();
        repeated(environment, &defaults, &values, &mut found);
        assert!(found.is_empty(), "these repeat the chart's default: {found:?}");
    }
}

#[test]
fn what_would_break_is_refused_with_its_reason() {
    let cases = files_in("tests/chart/refused");
    assert!(cases.len() >= 27, "only {} cases", cases.len());
    for case in cases {
        let text = fs::read_to_string(&case).expect("a case");
        let expected = text.lines().next().and_then(|line| line.strip_prefix("# expect: ")).expect("what to expect");
        let ours = match render(&["-f", &case.to_string_lossy()]) {
            Ok(_) => panic!("{} is accepted", case.display()),
            Err(error) => error,
        };
        // The schema is the same; only the words around the place are helm's own.
        let place = expected.strip_prefix("at '/").and_then(|rest| rest.split_once('\'')).map(|(path, _)| path);
        let place = place.map(|path| path.replace('/', ".").replace("~1", "/"));
        let schema = place.is_some() || expected.contains("propert");
        let said = place.map_or(schema || ours.contains(expected), |place| ours.contains(&place));
        assert!(said, "{}: {expected:?} is not in:\n{ours}", case.display());
        let theirs = real::helm_refuses(&case);
        assert!(theirs.contains(expected), "{}: {expected:?} is not in helm's:\n{theirs}", case.display());
    }
}

#[test]
fn with_live_reload_only_what_needs_it_restarts_the_pods() {
    let checksum = |arguments: &[&str]| {
        let rendered = render(&[&["--set=replicaCount=2"], arguments].concat()).expect("renders");
        rendered.object("StatefulSet/redis").pointer("/spec/template/metadata/annotations/checksum~1config").cloned()
    };
    let live = "--set=config.reload=live";
    let settable =
        ["--set=redis.maxmemoryPercent=50", "--set=redis.appendfsync=always", "--set=redis.minReplicasToWrite=1"];
    for setting in settable.into_iter().chain(["--set=config.parameters.timeout=5"]) {
        assert_eq!(checksum(&[live]), checksum(&[live, setting]), "{setting} restarts the pods");
        assert_ne!(checksum(&[]), checksum(&[setting]), "plain helm does not bring {setting} into force");
    }
    for setting in
        ["--set=config.parameters.databases=32", "--set-json=tls={\"enabled\":true,\"existingSecret\":\"t\"}"]
    {
        assert_ne!(checksum(&[live]), checksum(&[live, setting]), "{setting} is not in force without a restart");
    }
    let scaled = ["--set=replicaCount=5"];
    assert_eq!(checksum(&[]), checksum(&scaled), "a change of replicaCount restarts the pods");
}

#[test]
fn the_chart_calls_itself_what_the_write_up_says() {
    let chart: Value = yaml("charts/redis/Chart.yaml");
    let expected = [
        ("name", "redis"),
        ("version", "1.0.0"),
        ("appVersion", "7"),
        ("type", "application"),
        ("description", "Redis cache service with AOF persistence"),
    ];
    for (key, value) in expected {
        assert_eq!(chart[key], value, "{key}");
    }
    assert_eq!(chart["maintainers"][0]["name"], "Penguin Tech Inc");
}

#[test]
fn the_helpers_have_their_names() {
    let text = fs::read_to_string(root().join("charts/redis/templates/_helpers.tpl")).expect("the helpers");
    for helper in ["name", "fullname", "chart", "labels", "selectorLabels", "serviceAccountName"] {
        assert!(text.contains(&format!("define \"redis.{helper}\"")), "redis.{helper}");
    }
}

//! What a render asks of the outside, and what it does with the answers.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value as Json, json};

use super::*;
use crate::{
    snapshot::{FileTree, ReadError},
    template::Limits,
    values::Values,
};

struct Files(BTreeMap<String, Arc<[u8]>>);

impl FileTree for Files {
    fn read(&self, path: &str) -> Result<Option<Arc<[u8]>>, ReadError> {
        Ok(self.0.get(path).cloned())
    }

    fn list(&self, dir: &str) -> Result<Vec<String>, ReadError> {
        Ok(self.0.keys().filter(|name| name.starts_with(&format!("{dir}/"))).cloned().collect())
    }
}

fn chart(template: &str) -> Chart {
    let files = [("c/Chart.yaml", "name: c\nversion: 1.0.0\napiVersion: v2\n"), ("c/templates/t.yaml", template)];
    let files = files.into_iter().map(|(name, text)| (name.to_owned(), text.as_bytes().into())).collect();
    Chart::load(&Files(files), "c").expect("the chart loads")
}

struct Cluster;

impl Lookup for Cluster {
    fn lookup(&self, _: &str, kind: &str, namespace: &str, name: &str) -> Result<Json, LookupError> {
        match kind {
            "Secret" => Ok(json!({"metadata": {"name": name, "namespace": namespace}, "data": {"n": 5}})),
            "ConfigMap" => Ok(Json::Null),
            _ => Err(LookupError(format!("{kind} {name} could not be read: connection refused"))),
        }
    }
}

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> (i64, u32) {
        (1_700_000_000, 0)
    }
}

impl Entropy for Fixed {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(3);
    }
}

fn rendered(chart: &Chart, lookup: Option<&dyn Lookup>) -> Result<Rendered, RenderError> {
    let release = Release { name: "r".to_owned(), namespace: "ns".to_owned(), revision: 2, is_upgrade: true };
    let inputs = RenderInputs {
        values: &Values::default(),
        release: &release,
        capabilities: &Capabilities::default(),
        lookup,
        clock: &Fixed,
        entropy: &Fixed,
        lenient: false,
        limits: Limits::default(),
    };
    render(chart, &inputs)
}

#[test]
fn lookup_finds_nothing_finds_something_or_fails() {
    let present = chart("a: {{ (lookup \"v1\" \"Secret\" \"x\" \"y\").data.n }}");
    assert_eq!(rendered(&present, Some(&Cluster)).expect("it renders").manifests[0].text, "a: 5");
    let absent = chart("a: {{ lookup \"v1\" \"ConfigMap\" \"x\" \"y\" | toJson }}");
    assert_eq!(rendered(&absent, Some(&Cluster)).expect("it renders").manifests[0].text, "a: {}");
    assert_eq!(rendered(&absent, None).expect("it renders").manifests[0].text, "a: {}");
    let broken = chart("a: 1\nb: {{ lookup \"v1\" \"Pod\" \"x\" \"y\" }}");
    let error = rendered(&broken, Some(&Cluster)).expect_err("a cluster that does not answer").to_string();
    assert!(error.starts_with("c/templates/t.yaml:2:7: function \"lookup\": Pod y could not be read"), "{error}");
}

#[test]
fn time_and_randomness_come_from_the_caller() {
    let chart =
        chart("a: {{ now | unixEpoch }} {{ now | htmlDate }} {{ randAlphaNum 5 }} {{ uuidv4 }} {{ randInt 1 9 }}");
    let first = rendered(&chart, None).expect("it renders");
    assert_eq!(first, rendered(&chart, None).expect("it renders"));
    assert!(first.manifests[0].text.starts_with("a: 1700000000 2023-11-14 "), "{}", first.manifests[0].text);
}

#[test]
fn whole_numbers_stay_whole_in_bodies() {
    let chart = chart("a: 1\nb: 1.5\nc: 0x10\nd: yes\n");
    let body = &rendered(&chart, None).expect("it renders").manifests[0].body;
    assert_eq!(body, &json!({"a": 1, "b": 1.5, "c": 16, "d": true}));
}

#[test]
fn charts_and_errors_cross_threads() {
    fn crosses<T: Send + Sync>() {}
    crosses::<Chart>();
    crosses::<Rendered>();
    crosses::<RenderError>();
    crosses::<ChartError>();
}

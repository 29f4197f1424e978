//! Every value of the Redis chart goes to another and back through the daemon:
//! each commit converges or is refused with a reason, and no claim is lost.
//!
//! Several environments share one commit, each with a change of its own, so that
//! hundreds of transitions are a few dozen commits.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{
    Case,
    control_plane::ControlPlane,
    daemon::{Daemon, eventually},
    world::World,
};

pub const CASES: &[Case] =
    &[("every_value_of_the_chart_goes_there_and_back", every_value_of_the_chart_goes_there_and_back)];

/// Environments of each base.
const LANES: usize = 6;
/// What is to be seen at least.
const TRANSITIONS: usize = 300;

/// Values beside those that are derived from the defaults.
const MORE: &str = include_str!("transitions.yaml");

/// The bases: the project's two topologies, with and without a password in Git.
const BASES: [&str; 2] = [
    "{secrets: {existingSecret: redis-credentials}, persistence: {storageClass: fast}}",
    "{replicaCount: 3, secrets: {existingSecret: redis-credentials}, persistence: {storageClass: fast}}",
];

/// One value with what it changes to.
#[derive(Clone, Debug)]
struct Change {
    path: String,
    value: Value,
}

/// Every leaf of the defaults with another value of its type, and those of the table.
fn changes(defaults: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut leaves = Vec::new();
    collect(defaults, String::new(), &mut leaves);
    for (path, value) in &leaves {
        let other = match value {
            Value::Bool(set) => json!(!set),
            Value::Number(number) => json!(number.as_i64().expect("the defaults are whole numbers") + 1),
            Value::String(text) => json!(format!("{text}x")),
            Value::Array(_) => json!([]),
            _ => json!({"example.com/key": "value"}),
        };
        changes.push(Change { path: path.clone(), value: other });
    }
    let more: BTreeMap<String, Vec<Value>> = serde_yaml::from_str(MORE).expect("a table");
    for (path, values) in more {
        changes.extend(values.into_iter().map(|value| Change { path: path.clone(), value }));
    }
    changes
}

fn collect(value: &Value, path: String, leaves: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, below) in fields {
                collect(below, if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, leaves);
            }
        }
        leaf => leaves.push((path, leaf.clone())),
    }
}

/// The values file of one change over its base.
fn over(base: &str, change: Option<&Change>) -> String {
    let mut values: Value = serde_yaml::from_str(base).expect("a base");
    if let Some(change) = change {
        let mut at = &mut values;
        for part in change.path.split('.') {
            if !at.is_object() {
                *at = Value::Object(Map::new());
            }
            at = &mut at[part];
        }
        *at = change.value.clone();
    }
    serde_yaml::to_string(&values).expect("plain data")
}

/// One environment of the test.
struct Lane {
    name: String,
    namespace: String,
    base: &'static str,
    changes: Vec<Change>,
}

impl Lane {
    fn configuration(&self) -> String {
        format!(
            "  - name: {name}\n    branch: env/dev\n    chart: charts/redis\n    values: [environments/{name}/values.yaml]\n    namespace: {namespace}\n",
            name = self.name,
            namespace = self.namespace,
        )
    }
}

fn every_value_of_the_chart_goes_there_and_back(plane: &ControlPlane) {
    let world = World::new(plane, "values", &[]);
    let defaults: Value = serde_yaml::from_str(&world.read("charts/redis/values.yaml")).expect("the chart's values");
    let all = changes(&defaults);
    let mut lanes = Vec::new();
    for (topology, base) in BASES.into_iter().enumerate() {
        for number in 0..LANES {
            let name = format!("v{topology}{number}");
            let namespace = world.namespace(&name);
            plane.kubectl(&["create", "namespace", &namespace]);
            let secret = ["-n", &namespace, "create", "secret", "generic", "redis-credentials"];
            plane.kubectl(&[&secret[..], &["--from-literal=redis-password=not-a-real-one"]].concat());
            let changes = all.iter().skip(number).step_by(LANES).cloned().collect();
            lanes.push(Lane { name, namespace, base, changes });
        }
    }
    let daemon = Daemon::start(&world.configure(&lanes.iter().map(Lane::configuration).collect::<String>()));
    commit(&world, &daemon, &lanes, None);
    let claims = claims(&world, &lanes);
    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
    let steps = lanes.iter().map(|lane| lane.changes.len()).max().unwrap_or_default();
    for step in 0..steps {
        for (lane, outcome) in lanes.iter().zip(commit(&world, &daemon, &lanes, Some(step))) {
            *outcomes.entry(outcome).or_default() += usize::from(lane.changes.len() > step);
        }
        commit(&world, &daemon, &lanes, None);
        *outcomes.entry("back".to_owned()).or_default() +=
            lanes.iter().filter(|lane| lane.changes.len() > step).count();
    }
    let total: usize = outcomes.values().sum();
    println!("{total} transitions: {outcomes:?}");
    assert!(total >= TRANSITIONS, "{total} transitions");
    assert_eq!(claims_left(&world, &claims), claims, "a claim was lost");
}

/// Commits every lane's change number `step` (or its base alone) and waits until
/// each is decided; answers how each ended.
fn commit(world: &World<'_>, daemon: &Daemon, lanes: &[Lane], step: Option<usize>) -> Vec<String> {
    for lane in lanes {
        let change = step.and_then(|step| lane.changes.get(step));
        world.write(&format!("environments/{}/values.yaml", lane.name), &over(lane.base, change));
    }
    let revision = world.push("Change one value of each environment");
    daemon.nudge();
    let mut status = Value::Null;
    eventually("every environment to be decided", || {
        status = serde_json::from_str(&daemon.get("/api/v1/status")).expect("the status is JSON");
        lanes.iter().all(|lane| is_decided(&status["environments"][&lane.name], &revision, step.is_some()))
    });
    let outcomes = lanes.iter().map(|lane| outcome(&lane.name, &status["environments"][&lane.name]));
    outcomes.collect()
}

/// Whether the environment has come to an end with the commit. Each change comes
/// after a commit that was synced, so a refusal is of the change.
fn is_decided(status: &Value, revision: &str, change: bool) -> bool {
    let named = |message: &Value| message.as_str().is_some_and(|text| text.contains(&revision[..12]));
    status["tip"]["revision"] == revision
        && match status["sync"]["state"].as_str() {
            Some("synced") => status["applied"]["revision"] == revision,
            Some("failed") => change && named(&status["sync"]["message"]),
            Some("refused") => change,
            _ => false,
        }
}

/// How the commit ended; whatever it is, it is explained and leaves no drift.
fn outcome(name: &str, status: &Value) -> String {
    let sync = status["sync"].to_string();
    let state = status["sync"]["state"].as_str().unwrap_or_default();
    assert!(state == "synced" || sync.len() > 80, "{name}: refused without a reason: {sync}");
    let drift = status["objects"].as_array().into_iter().flatten().find(|object| object["drift"] != json!([]));
    assert_eq!(drift, None, "{name}");
    state.to_owned()
}

/// The uids of all claims that are not being deleted.
fn claims(world: &World<'_>, lanes: &[Lane]) -> Vec<String> {
    let mut uids = Vec::new();
    for lane in lanes {
        let text = world.plane.kubectl(&["-n", &lane.namespace, "get", "pvc", "-o", "json"]);
        let list: Value = serde_json::from_str(&text).expect("kubectl prints JSON");
        let live = list["items"].as_array().into_iter().flatten();
        let live = live.filter(|claim| claim["metadata"].get("deletionTimestamp").is_none());
        uids.extend(live.filter_map(|claim| claim["metadata"]["uid"].as_str().map(str::to_owned)));
    }
    uids.sort();
    uids
}

fn claims_left(world: &World<'_>, before: &[String]) -> Vec<String> {
    let text = world.plane.kubectl(&["get", "pvc", "-A", "-o", "json"]);
    let list: Value = serde_json::from_str(&text).expect("kubectl prints JSON");
    let live = list["items"].as_array().into_iter().flatten();
    let live = live.filter(|claim| claim["metadata"].get("deletionTimestamp").is_none());
    let uids: Vec<String> = live.filter_map(|claim| claim["metadata"]["uid"].as_str().map(str::to_owned)).collect();
    let mut left: Vec<String> = before.iter().filter(|uid| uids.contains(uid)).cloned().collect();
    left.sort();
    left
}

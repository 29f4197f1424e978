//! A model of what the API server does with server-side apply: enough of
//! merging, ownership, defaulting and removal for plans to be tried without
//! one. The daemon's tests against a real API server keep it honest.

use std::collections::BTreeMap;

use redis_gitops::{
    diff::{
        self, ManagerEntry,
        fields::{FieldSet, Step},
    },
    difference::Writer,
    resource::{Manifest, ObjectKey},
};
use serde_json::{Map, Value, json};

/// The objects of a cluster.
#[derive(Clone, Default)]
pub struct Server {
    pub objects: BTreeMap<ObjectKey, Value>,
    clock: u64,
}

impl Server {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// The answer of an apply of ours, without storing it.
    pub fn dry_run(&self, desired: &Manifest) -> Value {
        let mut copy = self.clone();
        copy.apply(desired);
        copy.objects.remove(&desired.key).unwrap_or_default()
    }

    /// An apply of ours, forced.
    pub fn apply(&mut self, desired: &Manifest) {
        let before = self.objects.get(&desired.key).cloned();
        let mut object = before.clone().unwrap_or_else(|| self.created(&desired.body));
        let stated = owned_by_stating(&desired.body);
        let others: Vec<_> = diff::entries(&object).into_iter().filter(|entry| !entry.is_ours()).collect();
        for path in diff::ours(&object).difference(&stated).paths() {
            if !others.iter().any(|entry| entry.fields.touches(&path)) && !stated.touches(&path) {
                remove(&mut object, &path);
            }
        }
        merge(&mut object, &desired.body, "");
        default(&mut object);
        self.own(&mut object, before.as_ref(), &entry(diff::MANAGER, "Apply", "", stated));
        self.store(&desired.key, object);
    }

    /// A write of `manager` that sets JSON pointers (null removes).
    pub fn update(&mut self, key: &ObjectKey, manager: &str, subresource: &str, changes: &Map<String, Value>) {
        let before = self.objects[key].clone();
        let mut object = before.clone();
        let mut fields = FieldSet::default();
        for (pointer, value) in changes {
            set(&mut object, pointer, value);
            if let Some(path) = (!value.is_null()).then(|| path_of(&object, pointer)) {
                fields.graft(&path, &owned(value, name_of(pointer)));
            }
        }
        default(&mut object);
        self.own(&mut object, Some(&before), &entry(manager, "Update", subresource, fields));
        if subresource == "scale" && changes.values().any(|replicas| replicas == 0) {
            // The subresource's form leaves a zero out, so nobody owns the field then.
            let mut entries = diff::entries(&object);
            entries.retain(|entry| entry.writer.subresource != "scale");
            object["metadata"]["managedFields"] = entries.iter().map(ManagerEntry::write).collect();
        }
        self.store(key, object);
    }

    /// An object that `manager` made whole, defaults included, as client-side
    /// appliers do.
    pub fn create(&mut self, manager: &str, body: &Value) {
        let mut object = self.created(body);
        merge(&mut object, body, "");
        default(&mut object);
        if manager == "kubectl-client-side-apply" {
            object["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] =
                json!(body.to_string());
        }
        let mut fields = owned_by_stating(&object);
        fields.remove(&[Step::field("metadata"), Step::field("uid")]);
        fields.remove(&[Step::field("metadata"), Step::field("managedFields")]);
        self.own(&mut object, None, &entry(manager, "Update", "", fields));
        let manifest = Manifest::from_body("live", body.clone()).expect("an object");
        self.store(&manifest.key, object);
    }

    /// The patch of `managedFields` that goes before an apply.
    pub fn set_managed_fields(&mut self, key: &ObjectKey, fields: Value) {
        let mut object = self.objects[key].clone();
        object["metadata"]["managedFields"] = fields;
        self.store(key, object);
    }

    fn created(&mut self, body: &Value) -> Value {
        let uid = format!("uid-{}", self.tick());
        let mut metadata = body["metadata"].clone();
        metadata["uid"] = json!(uid);
        metadata["managedFields"] = json!([]);
        json!({"apiVersion": body["apiVersion"], "kind": body["kind"], "metadata": metadata})
    }

    /// Records a write: its fields are the manager's, and what it changed is nobody else's.
    fn own(&mut self, object: &mut Value, before: Option<&Value>, write: &ManagerEntry) {
        let time = format!("2026-01-01T00:00:{:02}Z", self.tick() % 60);
        let same_writer = |entry: &ManagerEntry| {
            let (a, b) = (&entry.writer, &write.writer);
            a.manager == b.manager && a.operation == b.operation && a.subresource == b.subresource
        };
        let mut entries = diff::entries(object);
        let mut fields = write.fields.clone();
        for other in &mut entries {
            if same_writer(other) {
                if write.writer.operation == "Update" {
                    fields = fields.union(&other.fields);
                }
                continue;
            }
            for path in other.fields.paths() {
                let value = |object: &Value| path.iter().try_fold(object, |value, step| step.of(value)).cloned();
                if before.and_then(value) != value(object) && write.fields.touches(&path) || value(object).is_none() {
                    other.fields.remove(&path);
                }
            }
        }
        entries.retain(|entry| !same_writer(entry) && !entry.fields.is_empty());
        let mut written = write.clone();
        written.fields = fields;
        written.writer.time = Some(time);
        entries.push(written);
        object["metadata"]["managedFields"] = entries.iter().map(ManagerEntry::write).collect();
    }

    fn store(&mut self, key: &ObjectKey, mut object: Value) {
        object["metadata"]["resourceVersion"] = json!(self.tick().to_string());
        self.objects.insert(key.clone(), object);
    }
}

fn entry(manager: &str, operation: &str, subresource: &str, fields: FieldSet) -> ManagerEntry {
    let [manager, operation, subresource] = [manager, operation, subresource].map(str::to_owned);
    ManagerEntry {
        writer: Writer { manager, operation, subresource, time: None },
        api_version: "v1".to_owned(),
        fields,
    }
}

/// What an applier owns by stating `body`.
fn owned_by_stating(body: &Value) -> FieldSet {
    let mut fields = owned(body, "");
    for name in ["apiVersion", "kind"] {
        fields.remove(&[Step::field(name)]);
    }
    for name in ["name", "namespace"] {
        fields.remove(&[Step::field("metadata"), Step::field(name)]);
    }
    fields
}

fn owned(value: &Value, list: &str) -> FieldSet {
    let mut set = FieldSet::default();
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, below) in fields {
                set.graft(&[Step::field(name)], &owned(below, name));
            }
        }
        Value::Array(items) if keys(list, items).is_some() && !items.is_empty() => {
            for item in items {
                let step = key(list, items, item);
                set.insert(std::slice::from_ref(&step));
                set.graft(&[step], &owned(item, ""));
            }
        }
        _ => set.insert(&[]),
    }
    set
}

fn keys(list: &str, items: &[Value]) -> Option<&'static [&'static str]> {
    match list {
        "containers" | "env" | "volumes" => Some(&["name"]),
        "volumeMounts" => Some(&["mountPath"]),
        "ports" if items.iter().any(|item| item.get("containerPort").is_some()) => Some(&["containerPort", "protocol"]),
        "ports" => Some(&["port", "protocol"]),
        _ => None,
    }
}

fn key(list: &str, items: &[Value], item: &Value) -> Step {
    let mut item = item.clone();
    if list == "ports" && item.get("protocol").is_none() {
        item["protocol"] = json!("TCP");
    }
    let keys: Vec<_> = keys(list, items).unwrap_or_default().iter().map(|key| (*key).to_owned()).collect();
    Step::key_of(&item, &keys).expect("an item with its keys")
}

fn merge(object: &mut Value, stated: &Value, list: &str) {
    match stated {
        Value::Object(fields) => {
            if !object.is_object() {
                *object = json!({});
            }
            for (name, below) in fields {
                merge(&mut object[name], below, name);
            }
        }
        Value::Array(items) if keys(list, items).is_some() => {
            if !object.is_array() {
                *object = json!([]);
            }
            for item in items {
                let step = key(list, items, item);
                let held = object.as_array_mut().expect("made above");
                let known = held.iter_mut().find(|held| matches!(&step, Step::Key(keys) if Step::matches(keys, held)));
                match known {
                    Some(known) => merge(known, item, ""),
                    None => held.push(item.clone()),
                }
            }
        }
        other => *object = other.clone(),
    }
}

fn remove(object: &mut Value, path: &[Step]) {
    let Some((last, parents)) = path.split_last() else { return };
    let mut parent = object;
    for step in parents {
        let next = match step {
            Step::Field(name) => parent.get_mut(name),
            Step::Key(keys) => {
                parent.as_array_mut().and_then(|items| items.iter_mut().find(|i| Step::matches(keys, i)))
            }
            _ => None,
        };
        let Some(next) = next else { return };
        parent = next;
    }
    match (last, parent) {
        (Step::Field(name), Value::Object(fields)) => drop(fields.remove(name)),
        (Step::Key(keys), Value::Array(items)) => items.retain(|item| !Step::matches(keys, item)),
        _ => {}
    }
}

fn name_of(pointer: &str) -> &str {
    pointer.rsplit('/').find(|part| part.parse::<usize>().is_err() && *part != "-").unwrap_or_default()
}

/// The path of a JSON pointer in `object`, list items by their keys.
fn path_of(object: &Value, pointer: &str) -> Vec<Step> {
    let (mut path, mut at, mut list) = (Vec::new(), object, String::new());
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/");
        match at {
            Value::Array(items) => {
                let index = if part == "-" { items.len() - 1 } else { part.parse().expect("an index") };
                path.push(key(&list, items, &items[index]));
                at = &items[index];
            }
            _ => {
                path.push(Step::field(&part));
                at = &at[&part];
                list = part;
            }
        }
    }
    path
}

/// Sets what a JSON pointer names; null removes, `-` appends.
pub fn set(object: &mut Value, pointer: &str, value: &Value) {
    let (parent, last) = pointer.rsplit_once('/').expect("a JSON pointer");
    let mut at = object;
    for part in parent.split('/').skip(1) {
        let part = part.replace("~1", "/");
        at = match at {
            Value::Array(items) => &mut items[part.parse::<usize>().expect("an index")],
            other => {
                if !other.is_object() {
                    *other = json!({});
                }
                &mut other[&part]
            }
        };
    }
    let last = last.replace("~1", "/");
    match at {
        Value::Array(items) if last == "-" => items.push(value.clone()),
        Value::Array(items) => {
            let index: usize = last.parse().expect("an index");
            if value.is_null() {
                items.remove(index);
            } else {
                items[index] = value.clone();
            }
        }
        Value::Object(fields) if value.is_null() => drop(fields.remove(&last)),
        other => other[&last] = value.clone(),
    }
}

/// A few of the API server's defaults, in objects of every kind the cases use.
fn default(object: &mut Value) {
    let absent = |object: &mut Value, pointer: &str, value: Value| {
        if object.pointer(pointer).is_none_or(Value::is_null) {
            set(object, pointer, &value);
        }
    };
    match object["kind"].as_str() {
        Some("Deployment") => {
            absent(object, "/spec/progressDeadlineSeconds", json!(600));
            absent(object, "/spec/strategy/type", json!("RollingUpdate"));
            if object["spec"]["strategy"]["type"] == "RollingUpdate" {
                absent(object, "/spec/strategy/rollingUpdate/maxSurge", json!("25%"));
                absent(object, "/spec/strategy/rollingUpdate/maxUnavailable", json!("25%"));
            }
        }
        Some("StatefulSet") => absent(object, "/spec/updateStrategy/type", json!("RollingUpdate")),
        Some("Service") => {
            absent(object, "/spec/clusterIP", json!("10.96.0.7"));
            absent(object, "/spec/sessionAffinity", json!("None"));
        }
        Some("PersistentVolumeClaim") => absent(object, "/spec/volumeMode", json!("Filesystem")),
        _ => {}
    }
    if object.pointer("/spec/template/spec").is_some() {
        absent(object, "/spec/template/spec/dnsPolicy", json!("ClusterFirst"));
        for container in object["spec"]["template"]["spec"]["containers"].as_array_mut().into_iter().flatten() {
            absent(container, "/imagePullPolicy", json!("IfNotPresent"));
            for port in container["ports"].as_array_mut().into_iter().flatten() {
                absent(port, "/protocol", json!("TCP"));
            }
            if container["ports"].is_null() {
                container.as_object_mut().expect("a container").remove("ports");
            }
        }
    }
    for port in object.pointer_mut("/spec/ports").and_then(Value::as_array_mut).into_iter().flatten() {
        absent(port, "/protocol", json!("TCP"));
    }
}

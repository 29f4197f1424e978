//! The two comparisons that together are drift.
//!
//! The server's dry-run answer against the live object finds what an apply
//! would change. `managedFields` finds what an apply would leave: fields of
//! other managers that Git does not state. A stated field whose dry-run value
//! is not Git's was changed by admission; it is shown and not fought.

use serde_json::Value;

use super::{
    fields::{FieldSet, Step, path_text},
    lists::{ListKind, Lists},
    managers::{self, ManagerEntry},
    normal,
    redact::{LAST_APPLIED, Redactor},
};
use crate::{
    difference::{Difference, DriftClass, Writer},
    resource::Manifest,
};

/// Fields of `metadata` that the API server writes.
const SERVER_METADATA: [&str; 8] = [
    "managedFields",
    "resourceVersion",
    "generation",
    "uid",
    "creationTimestamp",
    "selfLink",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];

/// The record of a `kubectl rollout restart`: an operation, not a state.
const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// Every difference between what Git states and `live`, masked.
///
/// `merged` is the answer of a server-side dry-run apply of `desired`.
/// `desired` must be [normalised](super::normalise). Sorted by path.
pub fn compare(desired: &Manifest, live: &Value, merged: &Value, redactor: &Redactor) -> Vec<Difference> {
    let entries = managers::entries(live);
    let mut found = Found { object: live, entries: &entries, redactor, differences: Vec::new() };
    let lists = Lists::of([live, merged]);
    found.merged(&mut Vec::new(), Some(live), Some(merged), &lists);
    found.undeclared(&desired.body, live);
    found.overridden(&mut Vec::new(), &desired.body, merged, &lists);
    let mut differences = found.differences;
    differences.sort_by(|a, b| (&a.path, a.class).cmp(&(&b.path, b.class)));
    differences
}

/// The fields that must be taken over before an apply can remove them: of other
/// managers, not stated by `desired`. They are the `undeclared` and `foreign`
/// differences as a set.
pub fn undeclared_fields(desired: &Manifest, live: &Value) -> FieldSet {
    let mut set = FieldSet::default();
    for (path, _) in undeclared(&desired.body, live, &managers::entries(live)) {
        set.insert(&path);
    }
    set
}

struct Found<'a> {
    object: &'a Value,
    entries: &'a [ManagerEntry],
    redactor: &'a Redactor,
    differences: Vec<Difference>,
}

impl Found<'_> {
    fn add(&mut self, path: &[Step], class: DriftClass, live: Option<&Value>, desired: Option<&Value>) {
        let writer =
            managers::writer_of(self.entries, path).or_else(|| managers::unnamed_scale(self.entries, path, live));
        self.add_by(path, class, live, desired, writer);
    }

    fn add_by(
        &mut self,
        path: &[Step],
        class: DriftClass,
        live: Option<&Value>,
        desired: Option<&Value>,
        writer: Option<Writer>,
    ) {
        let show = |value: Option<&Value>| value.map(|value| self.redactor.field(self.object, path, value));
        self.differences.push(Difference {
            path: self.redactor.text(&path_text(path)),
            class,
            live: show(live),
            desired: show(desired),
            writer,
        });
    }

    /// Live against the dry-run answer.
    fn merged(&mut self, path: &mut Vec<Step>, live: Option<&Value>, merged: Option<&Value>, lists: &Lists) {
        match (live, merged) {
            (Some(live), Some(merged)) if live == merged => {}
            (Some(Value::Object(a)), Some(Value::Object(b))) => {
                let names = a.keys().chain(b.keys().filter(|name| !a.contains_key(*name)));
                for name in names {
                    path.push(Step::field(name));
                    if !is_server_side(path) {
                        self.merged(path, a.get(name), b.get(name), lists);
                    }
                    path.pop();
                }
            }
            (Some(live @ Value::Array(a)), Some(merged @ Value::Array(b))) => match lists.kind(path, &[live, merged]) {
                ListKind::Atomic if a.len() != b.len() => {
                    self.add(path, DriftClass::Changed, Some(live), Some(merged));
                }
                kind => {
                    for step in steps(&kind, &[a, b]) {
                        path.push(step.clone());
                        self.merged(path, step.of(live), step.of(merged), lists);
                        path.pop();
                    }
                }
            },
            (Some(live), Some(merged)) => self.add(path, DriftClass::Changed, Some(live), Some(merged)),
            (Some(live), None) => self.add(path, DriftClass::Extra, Some(live), None),
            (None, Some(merged)) => self.add(path, DriftClass::Missing, None, Some(merged)),
            (None, None) => {}
        }
    }

    /// What other managers added.
    fn undeclared(&mut self, desired: &Value, live: &Value) {
        let ours = managers::ours(live);
        for (path, writer) in undeclared(desired, live, self.entries) {
            let class = if ours.touches(&path) { DriftClass::Foreign } else { DriftClass::Undeclared };
            let value = path.iter().try_fold(live, |value, step| step.of(value));
            self.add_by(&path, class, value, None, Some(writer));
        }
    }

    /// What admission made of stated fields.
    fn overridden(&mut self, path: &mut Vec<Step>, desired: &Value, merged: &Value, lists: &Lists) {
        match (desired, merged) {
            (Value::Object(fields), Value::Object(_)) => {
                for (name, stated) in fields {
                    path.push(Step::field(name));
                    if !is_server_side(path) {
                        match merged.get(name) {
                            Some(merged) => self.overridden(path, stated, merged, lists),
                            None if normal::is_zero(stated) => {}
                            None => self.add_by(path, DriftClass::Overridden, None, Some(stated), None),
                        }
                    }
                    path.pop();
                }
            }
            (Value::Array(a), Value::Array(b)) => match lists.kind(path, &[desired, merged]) {
                ListKind::Atomic if a.len() != b.len() => {
                    self.add_by(path, DriftClass::Overridden, Some(merged), Some(desired), None);
                }
                kind => {
                    for step in steps(&kind, &[a]) {
                        let Some(stated) = step.of(desired) else { continue };
                        path.push(step.clone());
                        match step.of(merged) {
                            Some(merged) => self.overridden(path, stated, merged, lists),
                            None => self.add_by(path, DriftClass::Overridden, None, Some(stated), None),
                        }
                        path.pop();
                    }
                }
            },
            _ if normal::same(path, desired, merged) => {}
            _ => self.add_by(path, DriftClass::Overridden, Some(merged), Some(desired), None),
        }
    }
}

/// The steps to the items of lists of one kind, each once, in order.
fn steps(kind: &ListKind, lists: &[&Vec<Value>]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for list in lists {
        for (index, item) in list.iter().enumerate() {
            let step = kind.step(index, item);
            let known = |seen: &Step| match (seen, &step) {
                // An item may leave a defaulted key out, so equal items can have unequal steps.
                (Step::Key(keys), Step::Key(_)) => Step::matches(keys, item),
                _ => *seen == step,
            };
            if !steps.iter().any(known) {
                steps.push(step);
            }
        }
    }
    steps
}

/// Fields of foreign managers that `desired` does not state, topmost first,
/// each with its last writer.
fn undeclared(desired: &Value, live: &Value, entries: &[ManagerEntry]) -> Vec<(Vec<Step>, Writer)> {
    let mut found: Vec<(Vec<Step>, Writer)> = Vec::new();
    let applied = last_applied(live);
    for entry in entries.iter().filter(|entry| entry.is_foreign()) {
        let mut paths = Vec::new();
        let mut unstated = Unstated { live, path: Vec::new(), found: &mut paths };
        unstated.collect(&entry.fields, Some(desired), live);
        for path in paths {
            // A client-side apply owns the defaults too; what it stated it has written down.
            if entry.writer.manager == managers::CLIENT_SIDE
                && let Some(applied) = &applied
                && !is_last_applied(&path)
                && path.iter().try_fold(applied, |value, step| step.of(value)).is_none()
            {
                continue;
            }
            match found.iter_mut().find(|(known, _)| *known == path) {
                Some((_, writer)) if writer.time < entry.writer.time => *writer = entry.writer.clone(),
                Some(_) => {}
                None => found.push((path, entry.writer.clone())),
            }
        }
    }
    found
}

/// Walks a manager's fields for those that Git does not state.
struct Unstated<'a> {
    live: &'a Value,
    path: Vec<Step>,
    found: &'a mut Vec<Vec<Step>>,
}

impl Unstated<'_> {
    fn collect(&mut self, owned: &FieldSet, desired: Option<&Value>, live: &Value) {
        for (step, below) in owned.children() {
            let Some(value) = step.of(live) else { continue };
            self.path.push(step.clone());
            if !is_server_side(&self.path) && !is_tolerated(&self.path, value) {
                let stated = desired.and_then(|desired| step.of(desired));
                let leaf = below.children().next().is_none();
                match (step, stated) {
                    // An item of a list, or a leaf: as a whole.
                    (Step::Key(_) | Step::Member(_) | Step::Index(_), None) => self.found.push(self.path.clone()),
                    (_, None) if leaf => {
                        if !normal::is_default(self.live, &self.path, value) {
                            self.found.push(self.path.clone());
                        }
                    }
                    _ => self.collect(below, stated, value),
                }
            }
            self.path.pop();
        }
    }
}

/// What the last client-side apply stated.
fn last_applied(live: &Value) -> Option<Value> {
    let text = live.pointer("/metadata/annotations")?.get(LAST_APPLIED)?.as_str()?;
    serde_json::from_str(text).ok()
}

fn is_last_applied(path: &[Step]) -> bool {
    matches!(path.last(), Some(Step::Field(name)) if name == LAST_APPLIED)
}

/// Fields that the API server or a controller writes for itself.
fn is_server_side(path: &[Step]) -> bool {
    match path {
        [Step::Field(top)] => top == "status" || top == "apiVersion" || top == "kind",
        [Step::Field(top), Step::Field(name)] => top == "metadata" && SERVER_METADATA.contains(&name.as_str()),
        _ => false,
    }
}

/// Fields of others that are not taken away: the record of a restart, and
/// finalizers, which guard work that somebody else still has to do.
fn is_tolerated(path: &[Step], value: &Value) -> bool {
    match path {
        [.., Step::Field(annotations), Step::Field(name)] if annotations == "annotations" => name == RESTARTED_AT,
        [Step::Field(metadata), Step::Field(finalizers), ..] if metadata == "metadata" => finalizers == "finalizers",
        _ => value.is_null(),
    }
}

/// The differences of an object whose dry-run answer is missing because members
/// of a union stay behind: those members, the stated values that `live` does
/// not have, and what other managers added.
pub fn stated_differences(
    desired: &Manifest,
    live: &Value,
    leftovers: &FieldSet,
    redactor: &Redactor,
) -> Vec<Difference> {
    let entries = managers::entries(live);
    let mut found = Found { object: live, entries: &entries, redactor, differences: Vec::new() };
    for path in leftovers.paths() {
        let value = path.iter().try_fold(live, |value, step| step.of(value));
        found.add(&path, DriftClass::Extra, value, None);
    }
    found.undeclared(&desired.body, live);
    let before = found.differences.len();
    found.overridden(&mut Vec::new(), &desired.body, live, &Lists::of([live]));
    for difference in &mut found.differences[before..] {
        // The comparison is the one for admission; here it is of live and Git.
        difference.class = if difference.live.is_some() { DriftClass::Changed } else { DriftClass::Missing };
    }
    let mut differences = found.differences;
    differences.sort_by(|a, b| (&a.path, a.class).cmp(&(&b.path, b.class)));
    differences.dedup_by(|a, b| a.path == b.path);
    differences
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::difference::DriftClass::{Changed, Extra, Foreign, Missing, Overridden, Undeclared};

    fn found(desired: Value, live: Value, merged: Value) -> Vec<(DriftClass, String)> {
        let redactor = Redactor::new(b"key", []).expect("no secrets");
        let manifest = Manifest::from_body("t.yaml", desired).expect("an object");
        compare(&manifest, &live, &merged, &redactor).into_iter().map(|d| (d.class, d.path)).collect()
    }

    fn object(spec: Value) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "redis"}, "spec": spec})
    }

    fn owned(mut object: Value, manager: &str, operation: &str, fields: Value) -> Value {
        let entry = json!({"manager": manager, "operation": operation, "fieldsV1": fields});
        match object.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut) {
            Some(entries) => entries.push(entry),
            None => object["metadata"]["managedFields"] = json!([entry]),
        }
        object
    }

    #[test]
    fn the_dry_run_answer_decides_what_an_apply_changes() {
        let live = object(json!({"replicas": 0, "paused": true, "template": {"spec": {"containers": [
            {"name": "side", "image": "a"}, {"name": "redis", "image": "old", "args": ["x", "y"]}]}}}));
        let merged = object(json!({"replicas": 1, "minReadySeconds": 5, "template": {"spec": {"containers": [
            {"name": "redis", "image": "new", "args": ["x", "z"]}]}}}));
        assert_eq!(
            found(merged.clone(), live, merged),
            [
                (Missing, "spec.minReadySeconds".to_owned()),
                (Extra, "spec.paused".to_owned()),
                (Changed, "spec.replicas".to_owned()),
                (Changed, "spec.template.spec.containers[redis].args[1]".to_owned()),
                (Changed, "spec.template.spec.containers[redis].image".to_owned()),
                (Extra, "spec.template.spec.containers[side]".to_owned()),
            ]
        );
    }

    #[test]
    fn what_the_server_writes_is_no_difference() {
        let mut live = object(json!({"replicas": 1}));
        let mut merged = live.clone();
        for (object, value) in [(&mut live, "1"), (&mut merged, "2")] {
            object["status"] = json!({"replicas": value});
            for name in ["resourceVersion", "uid", "creationTimestamp", "generation"] {
                object["metadata"][name] = json!(value);
            }
        }
        assert_eq!(found(object(json!({"replicas": 1})), live, merged), []);
    }

    #[test]
    fn keys_come_from_managed_fields_where_the_api_is_not_known() {
        let list = |value: u32| object(json!({"things": [{"id": "b", "v": 1}, {"id": "a", "v": value}]}));
        let fields = json!({"f:spec": {"f:things": {"k:{\"id\":\"a\"}": {"f:v": {}}}}});
        let live = owned(list(1), managers::MANAGER, "Apply", fields.clone());
        let merged = owned(list(2), managers::MANAGER, "Apply", fields);
        assert_eq!(found(list(2), live, merged), [(Changed, "spec.things[a].v".to_owned())]);
    }

    #[test]
    fn fields_of_others_that_git_does_not_state_are_undeclared_or_foreign() {
        let spec = json!({"replicas": 1, "paused": true, "minReadySeconds": 5, "revisionHistoryLimit": 10});
        let ours = json!({"f:spec": {"f:replicas": {}, "f:paused": {}}});
        let theirs = json!({"f:spec": {"f:replicas": {}, "f:paused": {}, "f:minReadySeconds": {},
            "f:revisionHistoryLimit": {}, "f:gone": {}}, "f:status": {"f:x": {}}});
        let live = owned(owned(object(spec), managers::MANAGER, "Apply", ours), "kubectl-edit", "Update", theirs);
        assert_eq!(
            found(object(json!({"replicas": 1})), live.clone(), live),
            [(Undeclared, "spec.minReadySeconds".to_owned()), (Foreign, "spec.paused".to_owned())]
        );
    }

    #[test]
    fn what_admission_changed_of_a_stated_field_is_overridden() {
        let desired =
            object(json!({"replicas": 1, "paused": false, "selector": {"a": "b"}, "limits": {"cpu": "1000m"},
            "port": 6379, "args": ["x"]}));
        let merged = object(json!({"replicas": 2, "selector": {"a": "b", "c": "d"}, "limits": {"cpu": "1"},
            "port": "6379", "args": ["x", "injected"]}));
        assert_eq!(
            found(desired, merged.clone(), merged),
            [
                (Overridden, "spec.args".to_owned()),
                (Overridden, "spec.port".to_owned()),
                (Overridden, "spec.replicas".to_owned()),
            ]
        );
    }

    #[test]
    fn values_of_a_secret_never_show() {
        let secret = |value: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"p": value}});
        let redactor = Redactor::new(b"key", []).expect("no secrets");
        let manifest = Manifest::from_body("t.yaml", secret("Yg==")).expect("an object");
        let found = compare(&manifest, &secret("YQ=="), &secret("Yg=="), &redactor);
        let text = serde_json::to_string(&found).expect("JSON");
        assert!(text.contains("<redacted ") && !text.contains("YQ==") && !text.contains("Yg=="), "{text}");
        assert_ne!(found[0].live, found[0].desired);
    }
}

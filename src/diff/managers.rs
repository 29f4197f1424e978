//! Who owns which fields: reading and rewriting `metadata.managedFields`.
//!
//! Taking fields over is one mechanism for adoption and for correction: the
//! fields move from the other manager's entry into ours, and the apply that
//! follows removes those that Git does not state.

use serde_json::{Value, json};

use super::fields::{FieldSet, Step};
use crate::difference::Writer;

/// The field manager of every apply.
pub const MANAGER: &str = "redis-gitops";

/// Managers of the control plane and of the node. What they write outside
/// `status` (a bound volume's name, an allocated address, a revision
/// annotation) is the cluster's work on our object, not a person's change.
const CONTROLLERS: [&str; 9] = [
    "kube-controller-manager",
    "clusterrole-aggregation-controller",
    "kube-scheduler",
    "kubelet",
    "kube-apiserver",
    "cloud-controller-manager",
    "k3s",
    "external-provisioner",
    "external-resizer",
];

/// Managers that applied whole objects before us: client-side kubectl, Helm,
/// and the entry the API server makes for objects older than field tracking.
const ADOPTED: [&str; 8] = [
    CLIENT_SIDE,
    "kubectl-create",
    "kubectl-replace",
    "kubectl",
    "helm",
    "Helm",
    "helm-controller",
    "before-first-apply",
];

/// The manager of `kubectl apply` without `--server-side`.
pub(super) const CLIENT_SIDE: &str = "kubectl-client-side-apply";

/// One entry of `metadata.managedFields`.
#[derive(Clone, Debug)]
pub struct ManagerEntry {
    /// The manager and its last write.
    pub writer: Writer,
    /// `apiVersion` of the field names.
    pub api_version: String,
    /// What it owns.
    pub fields: FieldSet,
}

impl ManagerEntry {
    fn read(entry: &Value) -> Self {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self {
            writer: Writer {
                manager: text("manager"),
                operation: text("operation"),
                subresource: text("subresource"),
                time: entry.get("time").and_then(Value::as_str).map(str::to_owned),
            },
            api_version: text("apiVersion"),
            fields: entry.get("fieldsV1").map(FieldSet::from_fields_v1).unwrap_or_default(),
        }
    }

    /// The entry as the server keeps it.
    pub fn write(&self) -> Value {
        let mut entry = json!({
            "manager": self.writer.manager, "operation": self.writer.operation, "apiVersion": self.api_version,
            "fieldsType": "FieldsV1", "fieldsV1": self.fields.to_fields_v1(),
        });
        if let Some(time) = &self.writer.time {
            entry["time"] = json!(time);
        }
        if !self.writer.subresource.is_empty() {
            entry["subresource"] = json!(self.writer.subresource);
        }
        entry
    }

    /// Our own entry: what our applies state.
    pub fn is_ours(&self) -> bool {
        self.writer.manager == MANAGER && self.writer.operation == "Apply" && self.writer.subresource.is_empty()
    }

    /// Whether its fields outside `status` are a person's or a tool's, to be
    /// judged as drift. Managers named `redis-gitops-…` are the daemon's own
    /// for fields that are kept outside drift (role labels, client settings).
    pub fn is_foreign(&self) -> bool {
        let manager = self.writer.manager.as_str();
        !self.is_ours()
            && self.writer.subresource != "status"
            && !CONTROLLERS.contains(&manager)
            && !manager.starts_with("redis-gitops-")
    }

    fn is_adopted(&self) -> bool {
        self.is_foreign() && self.writer.subresource.is_empty() && ADOPTED.contains(&self.writer.manager.as_str())
    }
}

/// The entries of `object`'s `metadata.managedFields`.
pub fn entries(object: &Value) -> Vec<ManagerEntry> {
    let list = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    list.map(|list| list.iter().map(ManagerEntry::read).collect()).unwrap_or_default()
}

/// What our applies own of `object`.
pub fn ours(object: &Value) -> FieldSet {
    entries(object).into_iter().find(ManagerEntry::is_ours).map(|entry| entry.fields).unwrap_or_default()
}

/// Whether an apply of ours has ever owned a field of `object`.
pub fn is_owned(object: &Value) -> bool {
    entries(object).iter().any(ManagerEntry::is_ours)
}

/// The stated fields that we do not own yet: what the dry-run answer says we
/// would own, less what we own now. An object whose values are all right and
/// whose fields are not ours still needs the apply, or a later removal in Git
/// would do nothing. A stated map or list without content comes to be owned once
/// somebody else fills it, which changes nothing for anyone.
pub fn unowned(desired: &Value, live: &Value, merged: &Value) -> FieldSet {
    let mut fields = ours(merged).difference(&ours(live));
    for path in fields.paths() {
        let stated = path.iter().try_fold(desired, |value, step| step.of(value));
        if stated.is_some_and(|value| *value == json!({}) || *value == json!([])) {
            fields.remove(&path);
        }
    }
    fields
}

/// The last writer of the field at `path`, other than ourselves.
pub(super) fn writer_of(entries: &[ManagerEntry], path: &[Step]) -> Option<Writer> {
    entries
        .iter()
        .filter(|entry| !entry.is_ours() && entry.fields.covers(path))
        .max_by(|a, b| a.writer.time.cmp(&b.writer.time))
        .map(|entry| entry.writer.clone())
}

/// The writer of `spec.replicas: 0` that nobody owns: a write to the scale
/// subresource. Its zero is left out of the subresource's own form, so the
/// server takes the field from its owner and records no new one.
pub(super) fn unnamed_scale(entries: &[ManagerEntry], path: &[Step], live: Option<&Value>) -> Option<Writer> {
    let replicas = [Step::field("spec"), Step::field("replicas")];
    let zero = live.and_then(Value::as_i64) == Some(0);
    let owned = entries.iter().any(|entry| entry.fields.touches(&replicas));
    (path == replicas && zero && !owned).then(|| Writer {
        manager: "unnamed".to_owned(),
        operation: "Update".to_owned(),
        subresource: "scale".to_owned(),
        time: None,
    })
}

/// `metadata.managedFields` of `live` with everything at and below the paths of
/// `roots` moved to our entry, from whichever foreign entries own it. What
/// nobody owns (a default of the server) becomes ours as well, so that the
/// apply removes it. `None` when nothing moves.
pub fn take_over(live: &Value, roots: &FieldSet) -> Option<Value> {
    rewrite(live, roots, |_| false)
}

/// `metadata.managedFields` of `live` with everything that kubectl or Helm
/// own as whole-object managers moved to our entry. `None` when there is none.
pub fn adoption(live: &Value) -> Option<Value> {
    adopt_and_take_over(live, &FieldSet::default())
}

/// [`adoption`] and [`take_over`] in one rewrite.
pub fn adopt_and_take_over(live: &Value, roots: &FieldSet) -> Option<Value> {
    rewrite(live, roots, ManagerEntry::is_adopted)
}

fn rewrite(live: &Value, roots: &FieldSet, whole: impl Fn(&ManagerEntry) -> bool) -> Option<Value> {
    let mut kept = entries(live);
    let mut gained = FieldSet::default();
    for entry in kept.iter_mut().filter(|entry| whole(entry)) {
        entry.fields.remove(&[Step::field("status")]);
        gained = gained.union(&std::mem::take(&mut entry.fields));
    }
    for root in roots.paths() {
        let mut owned =
            kept.iter().any(|entry| entry.is_ours() && entry.fields.touches(&root)) || gained.touches(&root);
        for entry in kept.iter_mut().filter(|entry| entry.is_foreign()) {
            if let Some(below) = entry.fields.at(&root).cloned() {
                gained.graft(&root, &below);
                entry.fields.remove(&root);
                owned = true;
            }
        }
        if let (false, Some(value)) = (owned, root.iter().try_fold(live, |value, step| step.of(value))) {
            gained.graft(&root, &FieldSet::of_struct(value));
        }
    }
    if gained.is_empty() {
        return None;
    }
    kept.retain(|entry| !entry.fields.is_empty());
    match kept.iter_mut().find(|entry| entry.is_ours()) {
        Some(own) => own.fields = own.fields.union(&gained),
        None => kept.push(ManagerEntry {
            writer: Writer {
                manager: MANAGER.to_owned(),
                operation: "Apply".to_owned(),
                subresource: String::new(),
                time: None,
            },
            api_version: live.get("apiVersion").and_then(Value::as_str).unwrap_or_default().to_owned(),
            fields: gained,
        }),
    }
    Some(Value::Array(kept.iter().map(ManagerEntry::write).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(entries: Value) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "redis", "managedFields": entries},
            "spec": {"replicas": 3, "strategy": {"rollingUpdate": {"maxSurge": "25%"}}}})
    }

    fn managed(manager: &str, operation: &str, subresource: &str, fields: Value) -> Value {
        let mut entry = json!({"manager": manager, "operation": operation, "apiVersion": "apps/v1",
            "fieldsType": "FieldsV1", "fieldsV1": fields, "time": "2026-01-01T00:00:00Z"});
        if !subresource.is_empty() {
            entry["subresource"] = json!(subresource);
        }
        entry
    }

    fn owners(fields: &Value) -> Vec<(String, Value)> {
        let owner =
            |entry: &Value| (entry["manager"].as_str().unwrap_or_default().to_owned(), entry["fieldsV1"].clone());
        fields.as_array().map(|entries| entries.iter().map(owner).collect()).unwrap_or_default()
    }

    fn roots(paths: &[&[&str]]) -> FieldSet {
        let mut set = FieldSet::default();
        for path in paths {
            set.insert(&path.iter().map(|name| Step::field(name)).collect::<Vec<_>>());
        }
        set
    }

    #[test]
    fn adoption_moves_whole_managers_and_leaves_status_and_controllers() {
        let live = object(json!([
            managed("kubectl-client-side-apply", "Update", "", json!({"f:spec": {"f:replicas": {}}})),
            managed("helm", "Apply", "", json!({"f:spec": {"f:paused": {}}, "f:status": {"f:x": {}}})),
            managed("kube-controller-manager", "Update", "status", json!({"f:status": {"f:replicas": {}}})),
            managed("kubectl-edit", "Update", "", json!({"f:spec": {"f:minReadySeconds": {}}})),
        ]));
        let fields = adoption(&live).expect("something to adopt");
        assert_eq!(
            owners(&fields),
            [
                ("kube-controller-manager".to_owned(), json!({"f:status": {"f:replicas": {}}})),
                ("kubectl-edit".to_owned(), json!({"f:spec": {"f:minReadySeconds": {}}})),
                (MANAGER.to_owned(), json!({"f:spec": {"f:paused": {}, "f:replicas": {}}})),
            ]
        );
        assert_eq!(fields[2]["operation"], "Apply");
    }

    #[test]
    fn there_is_nothing_to_adopt_of_what_we_applied() {
        let own = managed(MANAGER, "Apply", "", json!({"f:spec": {"f:replicas": {}}}));
        assert_eq!(adoption(&object(json!([own]))), None);
        assert_eq!(adoption(&object(json!([]))), None);
        assert_eq!(take_over(&object(json!([])), &FieldSet::default()), None);
    }

    #[test]
    fn taking_over_moves_only_what_is_below_the_roots() {
        let live = object(json!([
            managed(MANAGER, "Apply", "", json!({"f:spec": {"f:replicas": {}}})),
            managed(
                "kubectl-edit",
                "Update",
                "",
                json!({"f:spec": {"f:paused": {}, "f:strategy": {"f:rollingUpdate":
                {".": {}, "f:maxSurge": {}}}}})
            ),
        ]));
        let fields = take_over(&live, &roots(&[&["spec", "strategy", "rollingUpdate"]])).expect("something moves");
        assert_eq!(
            owners(&fields),
            [
                (
                    MANAGER.to_owned(),
                    json!({"f:spec": {"f:replicas": {}, "f:strategy": {"f:rollingUpdate": {".": {}, "f:maxSurge": {}}}}})
                ),
                ("kubectl-edit".to_owned(), json!({"f:spec": {"f:paused": {}}})),
            ]
        );
    }

    #[test]
    fn a_default_that_nobody_owns_becomes_ours() {
        let live = object(json!([managed(MANAGER, "Apply", "", json!({"f:spec": {"f:replicas": {}}}))]));
        let fields = take_over(&live, &roots(&[&["spec", "strategy", "rollingUpdate"]])).expect("something moves");
        let expected =
            json!({"f:spec": {"f:replicas": {}, "f:strategy": {"f:rollingUpdate": {".": {}, "f:maxSurge": {}}}}});
        assert_eq!(owners(&fields), [(MANAGER.to_owned(), expected)]);
    }

    #[test]
    fn the_writer_is_the_last_other_owner() {
        let mut first = managed("kubectl-edit", "Update", "", json!({"f:spec": {"f:replicas": {}}}));
        first["time"] = json!("2025-01-01T00:00:00Z");
        let scale = managed("kubectl", "Update", "scale", json!({"f:spec": {"f:replicas": {}}}));
        let own = managed(MANAGER, "Apply", "", json!({"f:spec": {"f:replicas": {}}}));
        let path = [Step::field("spec"), Step::field("replicas")];
        let writer =
            |entries: Value| writer_of(&super::entries(&object(entries)), &path).map(|writer| writer.to_string());
        assert_eq!(writer(json!([first, scale, own])).as_deref(), Some("kubectl (scale) at 2026-01-01T00:00:00Z"));
        assert_eq!(writer(json!([own])), None);
    }
}

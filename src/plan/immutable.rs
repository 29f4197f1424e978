//! Fields that the API server never lets change, found by our own comparison.
//!
//! Its refusal of a StatefulSet names no field, and one such change blocks
//! every apply of the object. Knowing the fields, a person gets evidence, and
//! the rest of the object can be healed with those fields [held](hold).

use serde_json::{Value, json};

use crate::{
    diff::quantity,
    resource::{Manifest, ObjectKey},
};

/// A stated field that cannot become what Git says.
#[derive(Clone, Debug, PartialEq)]
pub struct Immutable {
    /// JSON pointer of the field.
    pub pointer: &'static str,
    /// What it is; `Null` when absent.
    pub live: Value,
    /// What Git states.
    pub desired: Value,
}

impl Immutable {
    /// The field as a person writes it.
    pub fn path(&self) -> String {
        self.pointer.trim_start_matches('/').replace('/', ".")
    }
}

/// The immutable fields in which `desired` differs from `live`.
pub fn changes(desired: &Manifest, live: &Value) -> Vec<Immutable> {
    fields(&desired.key, live)
        .iter()
        .filter_map(|pointer| {
            let stated = desired.body.pointer(pointer)?;
            let held = live.pointer(pointer).unwrap_or(&Value::Null);
            // An unbound claim may still get what it lacks.
            if held.is_null() && desired.key.kind == "PersistentVolumeClaim" {
                return None;
            }
            // An empty address asks for none in particular: the Service keeps its own.
            if stated == "" && desired.key.kind == "Service" {
                return None;
            }
            let equal = if pointer.ends_with("/selector") { stated == held } else { states(stated, held) };
            (!equal).then(|| Immutable { pointer, live: held.clone(), desired: stated.clone() })
        })
        .collect()
}

/// `desired` with every immutable field at its live value, and those fields:
/// what can be healed while a change of them is refused. `None` when no
/// immutable field differs.
pub fn hold(desired: &Manifest, live: &Value) -> Option<(Manifest, Vec<Immutable>)> {
    let held = changes(desired, live);
    if held.is_empty() {
        return None;
    }
    let mut manifest = desired.clone();
    for field in &held {
        let Some((parent, name)) = field.pointer.rsplit_once('/') else { continue };
        if let Some(parent) = manifest.body.pointer_mut(parent).and_then(Value::as_object_mut) {
            if field.live.is_null() {
                parent.remove(name);
            } else {
                parent.insert(name.to_owned(), without_status(&field.live));
            }
        }
    }
    Some((manifest, held))
}

/// The server fills in a status for claim templates, which nobody may state.
fn without_status(value: &Value) -> Value {
    let mut value = value.clone();
    for item in value.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        item.remove("status");
    }
    value
}

fn fields(key: &ObjectKey, live: &Value) -> &'static [&'static str] {
    let frozen = live.get("immutable") == Some(&json!(true));
    match (key.group.as_str(), key.kind.as_str()) {
        ("apps", "Deployment" | "DaemonSet" | "ReplicaSet") => &["/spec/selector"],
        ("apps", "StatefulSet") => {
            &["/spec/selector", "/spec/serviceName", "/spec/podManagementPolicy", "/spec/volumeClaimTemplates"]
        }
        ("batch", "Job") => &["/spec/selector", "/spec/template", "/spec/completionMode"],
        ("", "Service") => &["/spec/clusterIP", "/spec/clusterIPs"],
        ("", "PersistentVolumeClaim") => &[
            "/spec/accessModes",
            "/spec/storageClassName",
            "/spec/volumeMode",
            "/spec/volumeName",
            "/spec/selector",
            "/spec/dataSource",
            "/spec/dataSourceRef",
        ],
        ("", "Secret") if frozen => &["/type", "/immutable", "/data"],
        ("", "Secret") => &["/type"],
        ("", "ConfigMap") if frozen => &["/immutable", "/data", "/binaryData"],
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => &["/roleRef"],
        ("storage.k8s.io", "StorageClass") => &["/provisioner", "/parameters", "/reclaimPolicy", "/volumeBindingMode"],
        _ => &[],
    }
}

/// Whether everything `stated` says is so in `held`, which has defaults beside it.
fn states(stated: &Value, held: &Value) -> bool {
    match (stated, held) {
        (Value::Object(stated), Value::Object(held)) => {
            stated.iter().all(|(name, value)| states(value, held.get(name).unwrap_or(&Value::Null)))
        }
        (Value::Array(stated), Value::Array(held)) => {
            stated.len() == held.len() && stated.iter().zip(held).all(|(stated, held)| states(stated, held))
        }
        (Value::Object(fields), Value::Null) => fields.is_empty(),
        (Value::Array(items), Value::Null) => items.is_empty(),
        (stated, held) => stated == held || same_amount(stated, held),
    }
}

fn same_amount(a: &Value, b: &Value) -> bool {
    let amount = |value: &Value| match value {
        Value::String(text) => quantity(text),
        Value::Number(number) => quantity(&number.to_string()),
        _ => None,
    };
    amount(a).is_some_and(|a| amount(b) == Some(a))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stateful_set(replicas: u32, size: &str) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "redis"}, "spec": {
            "replicas": replicas, "serviceName": "h", "selector": {"matchLabels": {"a": "b"}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": size}}}}]}})
    }

    fn manifest(body: Value) -> Manifest {
        Manifest::from_body("t.yaml", body).expect("an object")
    }

    #[test]
    fn held_fields_keep_their_live_values_and_the_rest_is_as_git_says() {
        let mut live = stateful_set(0, "10Gi");
        live["spec"]["volumeClaimTemplates"][0]["status"] = json!({"phase": "Pending"});
        let (held, fields) = hold(&manifest(stateful_set(2, "20Gi")), &live).expect("a growth is held");
        assert_eq!(held.body, stateful_set(2, "10Gi"));
        assert_eq!(fields.iter().map(Immutable::path).collect::<Vec<_>>(), ["spec.volumeClaimTemplates"]);
    }

    #[test]
    fn defaults_and_other_forms_of_a_value_are_no_change() {
        let mut live = stateful_set(2, "10Gi");
        live["spec"]["podManagementPolicy"] = json!("Parallel");
        live["spec"]["volumeClaimTemplates"][0]["spec"]["volumeMode"] = json!("Filesystem");
        assert_eq!(hold(&manifest(stateful_set(2, "10240Mi")), &live), None);
    }

    #[test]
    fn an_unbound_claim_may_still_get_its_class_and_a_service_keeps_an_address_it_was_given() {
        let claim = |spec: Value| json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "c"}, "spec": spec});
        assert_eq!(changes(&manifest(claim(json!({"storageClassName": "fast"}))), &claim(json!({}))), []);
        let service = |ip: &str| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"clusterIP": ip}});
        assert_eq!(changes(&manifest(service("")), &service("10.0.0.1")), []);
        assert_eq!(changes(&manifest(service("None")), &service("10.0.0.1")).len(), 1);
    }

    #[test]
    fn an_immutable_object_keeps_its_data() {
        let map = |frozen: bool, value: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "immutable": frozen, "data": {"a": value}});
        assert_eq!(changes(&manifest(map(true, "2")), &map(true, "1")).len(), 1);
        assert_eq!(changes(&manifest(map(false, "2")), &map(true, "2")).len(), 1);
        assert_eq!(changes(&manifest(map(false, "2")), &map(false, "1")), []);
    }
}

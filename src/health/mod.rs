//! Readiness of an applied object from its status, by the rules of kstatus
//! (<https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus>).
//!
//! Two rules differ on purpose: a StatefulSet with `OnDelete` or a partition is
//! judged by pod revision and readiness, where kstatus calls it current at
//! once, and a claim that waits for its first pod is in progress, not failed.
//! No clock is read: how long something may take is the caller's to say.

mod pods;
mod workloads;

use serde_json::Value;

use crate::status::Health;

pub use pods::assess_pods;

/// Readiness of `live`, an object as the API server holds it.
pub fn assess(live: &Value) -> Health {
    if live.pointer("/metadata/deletionTimestamp").is_some() {
        return progress("it is being deleted");
    }
    if let Some(early) = generation(live).or_else(|| standard_conditions(live)) {
        return early;
    }
    match (group(live), kind(live)) {
        ("apps", "Deployment") => workloads::deployment(live),
        ("apps", "StatefulSet") => workloads::stateful_set(live),
        ("apps", "DaemonSet") => workloads::daemon_set(live),
        ("apps", "ReplicaSet") => workloads::replica_set(live),
        ("batch", "Job") => job(live),
        ("", "Pod") => assess_pods(std::slice::from_ref(live)).unwrap_or(Health::Current),
        ("", "PersistentVolumeClaim") => claim(live),
        ("", "Service") => service(live),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(live),
        ("", _) => Health::Current,
        _ => ready_condition(live),
    }
}

fn kind(object: &Value) -> &str {
    object.get("kind").and_then(Value::as_str).unwrap_or_default()
}

fn group(object: &Value) -> &str {
    let version = object.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    version.split_once('/').map_or("", |(group, _)| group)
}

fn progress(message: impl Into<String>) -> Health {
    Health::InProgress { message: message.into() }
}

fn failed(message: impl Into<String>) -> Health {
    Health::Failed { message: message.into() }
}

/// A count in the object; 0 when the server leaves it out.
fn count(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

/// The condition `kind`, as (status, reason, message).
fn condition<'a>(object: &'a Value, kind: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let all = object.pointer("/status/conditions")?.as_array()?;
    let found = all.iter().find(|condition| condition.get("type").and_then(Value::as_str) == Some(kind))?;
    let text = |name: &str| found.get(name).and_then(Value::as_str).unwrap_or_default();
    Some((text("status"), text("reason"), text("message")))
}

/// Reason and message of a condition as one text.
fn because(reason: &str, message: &str) -> String {
    match (reason, message) {
        ("", message) => message.to_owned(),
        (reason, "") => reason.to_owned(),
        (reason, message) => format!("{reason}: {message}"),
    }
}

/// The controller has not seen the newest spec yet.
fn generation(object: &Value) -> Option<Health> {
    let observed = object.pointer("/status/observedGeneration")?.as_i64()?;
    let wanted = object.pointer("/metadata/generation")?.as_i64()?;
    (observed < wanted).then(|| progress(format!("its controller has seen generation {observed} of {wanted}")))
}

/// `Stalled` and `Reconciling`, which any controller may set.
fn standard_conditions(object: &Value) -> Option<Health> {
    if let Some(("True", reason, message)) = condition(object, "Stalled") {
        return Some(failed(because(reason, message)));
    }
    match condition(object, "Reconciling") {
        Some(("True", reason, message)) => Some(progress(because(reason, message))),
        _ => None,
    }
}

fn ready_condition(object: &Value) -> Health {
    match condition(object, "Ready") {
        None | Some(("True", ..)) => Health::Current,
        Some((_, reason, message)) => progress(format!("not ready: {}", because(reason, message))),
    }
}

fn job(job: &Value) -> Health {
    if let Some(("True", reason, message)) = condition(job, "Failed") {
        return failed(because(reason, message));
    }
    match condition(job, "Complete") {
        Some(("True", ..)) => Health::Current,
        _ if job.pointer("/status/startTime").is_some() => Health::Current,
        _ => progress("it has not started"),
    }
}

fn claim(claim: &Value) -> Health {
    match claim.pointer("/status/phase").and_then(Value::as_str) {
        Some("Bound") => grown(claim),
        Some("Lost") => failed("the volume behind the claim is gone"),
        _ => progress("it is not bound yet (a class that binds late waits for the first pod)"),
    }
}

/// Whether a bound claim has the size it asks for.
fn grown(claim: &Value) -> Health {
    let size = |pointer: &str| claim.pointer(pointer).and_then(Value::as_str);
    let (asked, has) = (size("/spec/resources/requests/storage"), size("/status/capacity/storage"));
    if let Some(("True", _, message)) = condition(claim, "ControllerResizeError") {
        return failed(format!("it cannot grow: {message}"));
    }
    match asked.zip(has) {
        Some((asked, has)) if crate::diff::quantity(asked) > crate::diff::quantity(has) => {
            progress(format!("it is growing from {has} to {asked}"))
        }
        _ => Health::Current,
    }
}

fn service(service: &Value) -> Health {
    let balanced = service.pointer("/spec/type").and_then(Value::as_str) == Some("LoadBalancer");
    let addresses = service.pointer("/status/loadBalancer/ingress").and_then(Value::as_array);
    if balanced && addresses.is_none_or(Vec::is_empty) {
        return progress("its load balancer has no address yet");
    }
    Health::Current
}

fn definition(definition: &Value) -> Health {
    match (condition(definition, "NamesAccepted"), condition(definition, "Established")) {
        (Some(("False", reason, message)), _) => failed(because(reason, message)),
        (_, Some(("True", ..))) => Health::Current,
        _ => progress("it is not established yet"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn word(health: &Health) -> &'static str {
        match health {
            Health::Current => "current",
            Health::InProgress { .. } => "in progress",
            Health::Failed { .. } => "failed",
            Health::Missing => "missing",
        }
    }

    #[test]
    fn objects_without_pods() {
        let claim = |status: Value| {
            json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
                "spec": {"resources": {"requests": {"storage": "10Gi"}}}, "status": status})
        };
        let custom = |status: Value| json!({"apiVersion": "x.io/v1", "kind": "Thing", "metadata": {"generation": 2}, "status": status});
        let condition =
            |kind: &str, status: &str| json!([{"type": kind, "status": status, "reason": "R", "message": "m"}]);
        for (expected, object) in [
            ("current", json!({"apiVersion": "v1", "kind": "ConfigMap"})),
            ("current", json!({"apiVersion": "v1", "kind": "Service", "spec": {"type": "ClusterIP"}})),
            ("in progress", json!({"apiVersion": "v1", "kind": "Service", "spec": {"type": "LoadBalancer"}})),
            (
                "current",
                json!({"apiVersion": "v1", "kind": "Service", "spec": {"type": "LoadBalancer"},
                "status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}}),
            ),
            ("in progress", json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"deletionTimestamp": "t"}})),
            ("in progress", claim(json!({"phase": "Pending"}))),
            ("in progress", claim(json!({}))),
            ("failed", claim(json!({"phase": "Lost"}))),
            ("current", claim(json!({"phase": "Bound", "capacity": {"storage": "10240Mi"}}))),
            ("in progress", claim(json!({"phase": "Bound", "capacity": {"storage": "5Gi"}}))),
            (
                "failed",
                claim(json!({"phase": "Bound", "capacity": {"storage": "5Gi"},
                "conditions": condition("ControllerResizeError", "True")})),
            ),
            ("current", custom(json!({}))),
            ("current", custom(json!({"observedGeneration": 2, "conditions": condition("Ready", "True")}))),
            ("in progress", custom(json!({"observedGeneration": 1, "conditions": condition("Ready", "True")}))),
            ("in progress", custom(json!({"conditions": condition("Ready", "False")}))),
            ("in progress", custom(json!({"conditions": condition("Reconciling", "True")}))),
            ("failed", custom(json!({"conditions": condition("Stalled", "True")}))),
            ("in progress", json!({"apiVersion": "batch/v1", "kind": "Job"})),
            ("current", json!({"apiVersion": "batch/v1", "kind": "Job", "status": {"startTime": "t"}})),
            (
                "current",
                json!({"apiVersion": "batch/v1", "kind": "Job", "status": {"conditions": condition("Complete", "True")}}),
            ),
            (
                "failed",
                json!({"apiVersion": "batch/v1", "kind": "Job", "status": {"conditions": condition("Failed", "True")}}),
            ),
            ("in progress", json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"})),
            (
                "current",
                json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "status": {"conditions": condition("Established", "True")}}),
            ),
            (
                "failed",
                json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "status": {"conditions": condition("NamesAccepted", "False")}}),
            ),
        ] {
            let health = assess(&object);
            assert_eq!(word(&health), expected, "{object}: {health:?}");
        }
    }
}

//! What a workload's manifest says of its storage.

use std::collections::BTreeSet;

use serde_json::Value;

/// The pod template of a workload (or the pod itself).
pub fn pod_spec(object: &Value) -> Option<&Value> {
    let path = match object.get("kind")?.as_str()? {
        "Pod" => "/spec",
        "CronJob" => "/spec/jobTemplate/spec/template/spec",
        _ => "/spec/template/spec",
    };
    object.pointer(path)
}

/// The names of the claims that a workload mounts by name.
pub fn claims(object: &Value) -> BTreeSet<&str> {
    let volumes = pod_spec(object).and_then(|spec| spec.get("volumes")).and_then(Value::as_array);
    volumes
        .into_iter()
        .flatten()
        .filter_map(|volume| volume.pointer("/persistentVolumeClaim/claimName")?.as_str())
        .collect()
}

/// The claim templates of a StatefulSet, by name.
pub fn claim_templates(object: &Value) -> Vec<(&str, &Value)> {
    let templates = object.pointer("/spec/volumeClaimTemplates").and_then(Value::as_array);
    templates
        .into_iter()
        .flatten()
        .filter_map(|template| Some((template.pointer("/metadata/name")?.as_str()?, template)))
        .collect()
}

/// Whether a pod of `object` mounts the claim `claim`: by name, or by a claim
/// template and an ordinal (`data-redis-0`).
pub fn mounts(object: &Value, claim: &str) -> bool {
    if claims(object).contains(claim) {
        return true;
    }
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    claim_templates(object).iter().any(|(template, _)| {
        let ordinal = claim.strip_prefix(&format!("{template}-{name}-"));
        ordinal.is_some_and(|ordinal| !ordinal.is_empty() && ordinal.bytes().all(|b| b.is_ascii_digit()))
    })
}

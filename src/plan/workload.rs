//! What a workload's manifest says of its storage.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::resource::ObjectKey;

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

/// Whether a pod of `object` uses the ConfigMap or Secret `key`.
pub fn refers_to(object: &Value, key: &ObjectKey) -> bool {
    let names: &[&str] = if key.kind == "Secret" {
        &["/secret/secretName", "/secretRef/name", "/secretKeyRef/name", "/secret/name"]
    } else {
        &["/configMap/name", "/configMapRef/name", "/configMapKeyRef/name"]
    };
    pod_spec(object).is_some_and(|spec| names_any(spec, names, &key.name))
}

fn names_any(value: &Value, pointers: &[&str], name: &str) -> bool {
    match value {
        Value::Object(fields) => {
            pointers.iter().any(|pointer| value.pointer(pointer).and_then(Value::as_str) == Some(name))
                || fields.values().any(|below| names_any(below, pointers, name))
        }
        Value::Array(items) => items.iter().any(|item| names_any(item, pointers, name)),
        _ => false,
    }
}

/// Where the pods of `object` mount lasting storage: container, path, path in
/// the volume, and the claim or claim template behind it.
pub fn data_mounts(object: &Value) -> BTreeSet<[&str; 4]> {
    let Some(spec) = pod_spec(object) else { return BTreeSet::new() };
    let mut mounts = BTreeSet::new();
    for container in list(spec, "containers") {
        for mount in list(container, "volumeMounts") {
            let volume = text(mount, "/name");
            let claim = list(spec, "volumes")
                .filter(|candidate| text(candidate, "/name") == volume)
                .find_map(|candidate| candidate.pointer("/persistentVolumeClaim/claimName")?.as_str());
            let template = claim_templates(object).iter().any(|(name, _)| *name == volume).then_some(volume);
            if let Some(claim) = claim.or(template) {
                mounts.insert([text(container, "/name"), text(mount, "/mountPath"), text(mount, "/subPath"), claim]);
            }
        }
    }
    mounts
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

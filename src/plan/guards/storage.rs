//! Storage: what a commit may not do to a claim or to the workload on it.

use serde_json::Value;

use super::refusal;
use crate::{
    diff::{Redactor, quantity},
    plan::{ClusterFacts, Fact, RedisFacts, Refusal, immutable, workload},
    resource::{Manifest, ObjectKey},
};

const SIZE: &str = "/spec/resources/requests/storage";

/// Refuses changes of `live` into `desired` that cannot be made in place:
/// immutable fields, and the size of a claim. Checks that were not possible go
/// to `warnings`.
pub(in crate::plan) fn change(
    desired: &Manifest,
    live: &Value,
    cluster: &ClusterFacts,
    redactor: &Redactor,
    warnings: &mut Vec<String>,
) -> Vec<Refusal> {
    let mut refusals: Vec<_> =
        immutable::changes(desired, live).iter().map(|change| immutable_change(desired, change, redactor)).collect();
    if desired.key.kind == "PersistentVolumeClaim" {
        refusals.extend(claim_size(desired, live, cluster, warnings));
    }
    refusals
}

fn immutable_change(desired: &Manifest, change: &immutable::Immutable, redactor: &Redactor) -> Refusal {
    let recreate = match desired.key.kind.as_str() {
        "StatefulSet" => {
            "The claims outlive the StatefulSet: delete it with `kubectl delete --cascade=orphan` once you have a \
             backup, and the next pass creates it as Git says."
        }
        "PersistentVolumeClaim" => "A claim keeps what it was made with: state another claim and move the data.",
        _ => "Delete the object yourself if its loss is acceptable, and the next pass creates it as Git says.",
    };
    let remedy = format!("Put the old value back in Git. {recreate}");
    if change.pointer == "/spec/volumeClaimTemplates" {
        return refusal("immutable", template_changes(&desired.body, &change.live), remedy);
    }
    let secret = desired.key.kind == "Secret" && change.pointer == "/data";
    let message = if secret {
        format!("{} cannot change: the Secret is immutable", change.path())
    } else {
        format!("{} cannot change from {} to {}", change.path(), change.live, change.desired)
    };
    refusal("immutable", redactor.text(&message), remedy)
}

/// The evidence for a change of claim templates: sizes where they differ.
fn template_changes(desired: &Value, live: &Value) -> String {
    let size = |template: &Value| template.pointer(SIZE).map(|size| size.to_string().replace('"', ""));
    let held = live.as_array().map(Vec::as_slice).unwrap_or_default();
    let sizes: Vec<_> = workload::claim_templates(desired)
        .iter()
        .filter_map(|(name, template)| {
            let before =
                held.iter().find(|item| item.pointer("/metadata/name").and_then(Value::as_str) == Some(name))?;
            let (before, after) = (size(before)?, size(template)?);
            (quantity(&before) != quantity(&after)).then(|| format!("storage of {name} from {before} to {after}"))
        })
        .collect();
    let what = if sizes.is_empty() { String::new() } else { format!(" ({})", sizes.join(", ")) };
    format!("spec.volumeClaimTemplates cannot change{what}")
}

fn claim_size(desired: &Manifest, live: &Value, cluster: &ClusterFacts, warnings: &mut Vec<String>) -> Option<Refusal> {
    let size = |object: &Value| -> Option<(String, i128)> {
        let text = object.pointer(SIZE)?.as_str()?.to_owned();
        let amount = quantity(&text)?;
        Some((text, amount))
    };
    let ((before, held), (after, wanted)) = (size(live)?, size(&desired.body)?);
    if wanted < held {
        return Some(refusal(
            "claim-shrink",
            format!("the claim has {before} and Git asks for {after}; a claim never shrinks"),
            format!("State {before} in Git, or move the data to a smaller claim yourself."),
        ));
    }
    if wanted == held {
        return None;
    }
    let class = live.pointer("/spec/storageClassName").and_then(Value::as_str).unwrap_or_default();
    let found = match &cluster.storage_classes {
        Fact::Unknown => {
            let key = &desired.key;
            warnings.push(format!("{key}: whether its storage class can grow was not checked: no right to read it"));
            return None;
        }
        Fact::Known(classes) => classes.get(class),
    };
    let why = match found {
        Some(class) if class.expandable => return None,
        Some(_) => format!("the storage class {class:?} does not allow expansion"),
        None => format!("its storage class {class:?} is not in the cluster"),
    };
    Some(refusal(
        "claim-growth",
        format!("the claim cannot grow from {before} to {after}: {why}"),
        format!("State {before} in Git, or set allowVolumeExpansion on the class if its driver can expand."),
    ))
}

/// Refuses a workload that would no longer mount claims it mounts now, unless
/// its servers are known to hold nothing.
pub(in crate::plan) fn persistence(desired: &Manifest, live: &Value, redis: &RedisFacts) -> Option<Refusal> {
    let (before, after) = (workload::claims(live), workload::claims(&desired.body));
    let mut dropped: Vec<String> = before.difference(&after).map(|claim| format!("the claim {claim}")).collect();
    let kept = workload::claim_templates(&desired.body);
    dropped.extend(
        workload::claim_templates(live)
            .iter()
            .filter(|(name, _)| !kept.iter().any(|(kept, _)| kept == name))
            .map(|(name, _)| format!("the claims of the template {name}")),
    );
    if dropped.is_empty() || redis.is_empty(&desired.key) {
        return None;
    }
    let held = match redis.keys.get(&desired.key) {
        Some(Fact::Known(keys)) => format!("its servers hold {keys} keys"),
        _ => "its servers could not be asked, so they count as holding data".to_owned(),
    };
    Some(refusal(
        "persistence",
        format!("the pods would start without {}, and {held}", dropped.join(" and ")),
        "Put the claim back in Git, or move the data first and empty the server.",
    ))
}

/// Refuses both sides of a workload's replacement by one of another kind and
/// the same name: the data would stay behind on the claims of the first.
pub(in crate::plan) fn topology(running: &ObjectKey, wanted: &ObjectKey) -> Refusal {
    refusal(
        "topology",
        format!(
            "the {} {} runs and Git asks for a {} of that name, whose pods would start without the data",
            running.kind, running.name, wanted.kind
        ),
        "Put the number of replicas back in Git; moving between one and several servers is a step of its own that \
         copies the data first.",
    )
}

//! What a change means to the Redis behind it, read off the paths that change.
//!
//! The classes are ordered by what they cost. Each is the worst that carrying
//! the change out may cause; whether it also will depends on the cluster.

use serde_json::Value;

use super::{Action, Inputs, Verb, order::is_workload, workload};
use crate::{
    consequence::Consequence,
    diff::quantity,
    difference::{Difference, DriftClass},
    live::LiveObject,
    resource::{Manifest, ObjectKey},
};

/// Classes every action of a plan. A configuration that a workload is restarted
/// for costs what the restart costs.
pub(super) fn classify(inputs: &Inputs<'_>, actions: &mut [Action]) {
    let own: Vec<Consequence> = actions.iter().map(|action| of(inputs, action)).collect();
    for index in 0..actions.len() {
        let carried = actions.iter().zip(&own).filter(|(carrier, _)| carries(inputs, carrier, &actions[index].key));
        let worst = carried.map(|(_, consequence)| *consequence).max();
        let changes = own[index] != Consequence::Nothing;
        actions[index].consequence = own[index].max(worst.filter(|_| changes).unwrap_or_default());
    }
}

/// Whether `carrier` restarts its pods for a new checksum and mounts the
/// configuration `key`.
fn carries(inputs: &Inputs<'_>, carrier: &Action, key: &ObjectKey) -> bool {
    is_configuration(key)
        && is_workload(&carrier.key.kind)
        && takes_place(carrier).any(|difference| difference.path.contains("checksum"))
        && inputs.desired.get(&carrier.key).is_some_and(|manifest| workload::refers_to(&manifest.body, key))
}

fn of(inputs: &Inputs<'_>, action: &Action) -> Consequence {
    let desired = inputs.desired.get(&action.key);
    let live = inputs.live.objects.get(&action.key).and_then(LiveObject::live);
    match action.verb {
        Verb::Create => Consequence::Nothing,
        Verb::Delete => deleted(inputs, &action.key),
        Verb::Update | Verb::Adopt | Verb::Refused(_) => {
            let changes = takes_place(action).map(|difference| changed(&action.key, difference, desired, live));
            changes.max().unwrap_or_default().max(used(inputs, action))
        }
        Verb::Detach | Verb::Unchanged | Verb::Report | Verb::Wait { .. } => Consequence::Nothing,
    }
}

/// The differences that carrying the action out ends.
fn takes_place(action: &Action) -> impl Iterator<Item = &Difference> {
    let taken = action.take_over.is_some();
    action.differences.iter().filter(move |difference| match difference.class {
        DriftClass::Changed | DriftClass::Missing | DriftClass::Extra => !difference.path.is_empty(),
        DriftClass::Undeclared | DriftClass::Foreign => taken,
        DriftClass::Overridden => false,
    })
}

fn deleted(inputs: &Inputs<'_>, key: &ObjectKey) -> Consequence {
    match key.kind.as_str() {
        "PersistentVolumeClaim" | "PersistentVolume" => Consequence::DataAtRisk,
        kind if is_workload(kind) => Consequence::DataAtRisk,
        "Service" => Consequence::Failover,
        // A pod that starts later finds its configuration missing.
        _ if is_configuration(key) && is_used(inputs, key) => Consequence::Recreate,
        _ => Consequence::Nothing,
    }
}

/// The data of a configuration that a workload uses reaches running pods.
fn used(inputs: &Inputs<'_>, action: &Action) -> Consequence {
    let data =
        |difference: &Difference| difference.path.starts_with("data") || difference.path.starts_with("binaryData");
    if is_configuration(&action.key) && takes_place(action).any(data) && is_used(inputs, &action.key) {
        Consequence::LiveSetting
    } else {
        Consequence::Nothing
    }
}

fn is_configuration(key: &ObjectKey) -> bool {
    key.group.is_empty() && matches!(key.kind.as_str(), "ConfigMap" | "Secret")
}

fn is_used(inputs: &Inputs<'_>, key: &ObjectKey) -> bool {
    let workloads = inputs.desired.manifests.iter().filter(|manifest| is_workload(&manifest.key.kind));
    workloads.into_iter().any(|manifest| workload::refers_to(&manifest.body, key))
}

fn changed(key: &ObjectKey, difference: &Difference, desired: Option<&Manifest>, live: Option<&Value>) -> Consequence {
    let path = difference.path.as_str();
    let below =
        |prefix: &str| path == prefix || path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(['.', '[']));
    match key.kind.as_str() {
        "Service" if ["spec.selector", "spec.ports", "spec.type", "spec.clusterIP"].into_iter().any(below) => {
            Consequence::Failover
        }
        "PersistentVolumeClaim" if below("spec.resources") && !shrinks(difference) => Consequence::LiveSetting,
        "PersistentVolumeClaim" | "PersistentVolume" if below("spec") => Consequence::DataAtRisk,
        "NetworkPolicy" if below("spec") => Consequence::LiveSetting,
        "Pod" if below("spec") => Consequence::Recreate,
        "Deployment" | "StatefulSet" | "DaemonSet" if below("spec.volumeClaimTemplates") => Consequence::DataAtRisk,
        "Deployment" | "StatefulSet" | "DaemonSet" if below("spec.template") => {
            if storage_moves(desired, live) {
                Consequence::DataAtRisk
            } else {
                restart(key, desired)
            }
        }
        "Deployment" | "StatefulSet" if below("spec.replicas") => replicas(difference),
        "Deployment" | "StatefulSet" | "DaemonSet"
            if ["spec.selector", "spec.serviceName", "spec.podManagementPolicy"].into_iter().any(below) =>
        {
            Consequence::Recreate
        }
        _ => Consequence::Nothing,
    }
}

fn shrinks(difference: &Difference) -> bool {
    let amount = |value: &Option<Value>| value.as_ref().and_then(Value::as_str).and_then(quantity);
    amount(&difference.live).zip(amount(&difference.desired)).is_some_and(|(live, desired)| desired < live)
}

fn replicas(difference: &Difference) -> Consequence {
    let count = |value: &Option<Value>| value.as_ref().and_then(Value::as_u64);
    match (count(&difference.live), count(&difference.desired)) {
        (_, Some(0)) => Consequence::Recreate,
        _ => Consequence::LiveSetting,
    }
}

/// What a new pod template costs: pods that must stop first, or a single one,
/// leave nobody to serve.
fn restart(key: &ObjectKey, desired: Option<&Manifest>) -> Consequence {
    let text = |pointer: &str| desired.and_then(|manifest| manifest.body.pointer(pointer)?.as_str());
    let single = desired.and_then(|manifest| manifest.body.pointer("/spec/replicas")?.as_u64()).unwrap_or(1) < 2;
    match key.kind.as_str() {
        "Deployment" if text("/spec/strategy/type") == Some("Recreate") => Consequence::Recreate,
        "StatefulSet" if text("/spec/updateStrategy/type") == Some("OnDelete") => Consequence::Nothing,
        "StatefulSet" if single => Consequence::Recreate,
        _ => Consequence::RollingRestart,
    }
}

/// Whether the pods would mount other claims than now, or mount them elsewhere.
fn storage_moves(desired: Option<&Manifest>, live: Option<&Value>) -> bool {
    let (Some(desired), Some(live)) = (desired, live) else { return false };
    workload::data_mounts(&desired.body) != workload::data_mounts(live)
}

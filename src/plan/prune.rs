//! What becomes of objects that left Git.
//!
//! Absence deletes nothing by itself: a delete needs an inventoried uid, a
//! complete observation, and, when it is large or stops a workload, a
//! confirmation in Git. Claims and Namespaces are never deleted.

use serde_json::Value;

use super::{
    Action, Cause, Inputs, PRUNE_ANNOTATION, Precondition, Verb,
    guards::{refusal, topology},
    order::{is_irreplaceable, is_workload, rank},
    planner::{claim_in_deletion, foreign_owner, precondition, twin},
};
use crate::{
    consequence::Consequence,
    diff::is_owned,
    difference::{Difference, DriftClass},
    inventory::Entry,
    live::LiveObject,
    resource::ObjectKey,
};

/// The annotation by which Helm charts ask for an object to be left.
const HELM_POLICY: &str = "helm.sh/resource-policy";

/// The actions for everything in the inventory that Git does not state, in
/// the order of deletion.
pub(super) fn actions(inputs: &Inputs<'_>, warnings: &mut Vec<String>) -> Vec<Action> {
    let left = inputs.inventory.entries.iter().filter(|(key, _)| inputs.desired.get(key).is_none());
    let mut actions: Vec<Action> = left.map(|(key, entry)| action(inputs, key, entry, warnings)).collect();
    actions.sort_by_key(|action| std::cmp::Reverse(rank(&action.key.kind)));
    hold_incomplete(inputs, &mut actions);
    if inputs.desired.manifests.is_empty() {
        refuse_all(&mut actions);
        return actions;
    }
    breaker(inputs, &mut actions);
    actions
}

fn action(inputs: &Inputs<'_>, key: &ObjectKey, entry: &Entry, warnings: &mut Vec<String>) -> Action {
    let object = inputs.live.objects.get(key);
    let (verb, live) = match object {
        None => (wait("it was not observed"), None),
        Some(LiveObject::Unreadable { reason }) => (wait(&inputs.redactor.text(reason)), None),
        Some(LiveObject::Absent | LiveObject::Rejected { live: None, .. }) => (Verb::Detach, None),
        Some(LiveObject::Terminating { .. }) => (wait("its deletion is in progress"), None),
        Some(LiveObject::Present { live, .. } | LiveObject::Rejected { live: Some(live), .. }) => {
            (present(inputs, key, entry, live, warnings), Some(live))
        }
    };
    let whole = |live: &Value| Difference {
        path: String::new(),
        class: DriftClass::Extra,
        live: Some(inputs.redactor.object(live)),
        desired: None,
        writer: None,
    };
    let deletes = matches!(verb, Verb::Delete);
    Action {
        key: key.clone(),
        precondition: if deletes { live.map(precondition).unwrap_or_default() } else { Precondition::default() },
        differences: live.filter(|_| deletes || verb == Verb::Report).map(whole).into_iter().collect(),
        verb,
        cause: Cause::LeftGit,
        consequence: Consequence::default(),
        take_over: None,
        ignored: Vec::new(),
        stated: None,
    }
}

fn present(inputs: &Inputs<'_>, key: &ObjectKey, entry: &Entry, live: &Value, warnings: &mut Vec<String>) -> Verb {
    let uid = live.pointer("/metadata/uid").and_then(Value::as_str);
    if entry.uid.as_deref() != uid || uid.is_none() {
        let by_us = if is_owned(live) { "; its fields are ours" } else { "" };
        warnings
            .push(format!("{key} left Git and is kept: it is not the object that was applied (another uid){by_us}"));
        return Verb::Detach;
    }
    if let Some(owner) = foreign_owner(inputs, live) {
        warnings.push(format!("{key} left Git and is kept: it belongs to the environment {owner}"));
        return Verb::Detach;
    }
    if is_irreplaceable(key) {
        warnings.push(format!("{key} left Git and is kept with its data; delete it yourself once nothing needs it"));
        return Verb::Detach;
    }
    let annotation =
        |name: &str| live.pointer("/metadata/annotations").and_then(|all| all.get(name)).and_then(Value::as_str);
    if annotation(PRUNE_ANNOTATION) == Some("detach") {
        warnings.push(format!("{key} left Git and is kept: it is annotated {PRUNE_ANNOTATION}: detach"));
        return Verb::Detach;
    }
    if annotation(HELM_POLICY) == Some("keep") {
        warnings.push(format!("{key} left Git and is kept: it is annotated {HELM_POLICY}: keep"));
        return Verb::Detach;
    }
    if !inputs.policy.prune {
        return Verb::Report;
    }
    if let Some(twin) = twin(key).filter(|twin| inputs.desired.get(twin).is_some()) {
        return Verb::Refused(topology(key, &twin));
    }
    match claim_in_deletion(inputs, &[live]) {
        Some(claim) => wait(&format!("{claim} is being deleted, and ending its pod would finish that")),
        None => Verb::Delete,
    }
}

/// Deletes need a complete observation: what could not be read might be what
/// the rest depends on, or the whole answer might be wrong.
fn hold_incomplete(inputs: &Inputs<'_>, actions: &mut [Action]) {
    let wanted = inputs.desired.manifests.iter().map(|manifest| &manifest.key);
    let unseen = wanted
        .chain(inputs.inventory.entries.keys())
        .find(|key| matches!(inputs.live.objects.get(*key), None | Some(LiveObject::Unreadable { .. })));
    let Some(unseen) = unseen else { return };
    for action in actions.iter_mut().filter(|action| action.verb == Verb::Delete) {
        action.verb = wait(&format!("{unseen} could not be observed; nothing is deleted on an incomplete observation"));
    }
}

/// A render of nothing is a mistake: nothing is deleted, and nothing forgotten.
fn refuse_all(actions: &mut [Action]) {
    for action in actions {
        action.verb = Verb::Refused(refusal(
            "empty-render",
            "the commit renders no object at all",
            "Restore the chart and its values; to give the environment up, remove it from the configuration and \
             delete its objects yourself.",
        ));
    }
}

/// Stops a prune that is large or ends a workload until Git confirms it.
fn breaker(inputs: &Inputs<'_>, actions: &mut [Action]) {
    let doomed: Vec<&Action> = actions.iter().filter(|action| action.verb == Verb::Delete).collect();
    let (count, total) = (doomed.len(), inputs.inventory.entries.len());
    let workload = doomed.iter().find(|action| is_workload(&action.key.kind)).map(|action| action.key.clone());
    if workload.is_none() && count * 3 <= total {
        return;
    }
    let applied = inputs.inventory.applied.as_ref();
    if applied.is_some() && inputs.desired.prune_confirm.as_ref() == applied {
        return;
    }
    let what = match workload {
        Some(key) => format!("{count} of {total} objects would be deleted, {key} among them"),
        None => format!("{count} of {total} objects would be deleted, more than a third"),
    };
    let remedy = match applied {
        Some(revision) => format!(
            "If that is meant, write prune: {{confirm: {revision}}} into gitops.yaml beside the values file of this \
             environment and commit it."
        ),
        None => "Let a commit be applied whole first; only then can a prune be confirmed.".to_owned(),
    };
    let refused = refusal("prune-breaker", what, remedy);
    for action in actions.iter_mut().filter(|action| action.verb == Verb::Delete) {
        action.verb = Verb::Refused(refused.clone());
    }
}

fn wait(reason: &str) -> Verb {
    Verb::Wait { reason: reason.to_owned() }
}

//! What a pass found, in the words of the status.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    desired::DesiredState,
    environment::Environment,
    git::Mirror,
    health,
    live::{LiveObject, LiveState},
    plan::{self, Plan, Verb},
    revision::Revision,
    status::{Commit, EnvironmentStatus, Health, ObjectRefusal, ObjectStatus},
};

/// Fills in what the configuration says of an environment.
pub(super) fn describe(status: &mut EnvironmentStatus, environment: &Environment) {
    status.name = environment.name.to_string();
    status.branch = environment.branch.to_string();
    status.namespace = environment.namespace.to_string();
    status.release = environment.release.to_string();
    status.drift_policy = environment.drift.to_string();
    status.throw_away = environment.throw_away;
}

/// A commit with subject and author, as far as the mirror knows it.
pub(super) fn commit(mirror: &Mirror, revision: &Revision) -> Commit {
    match mirror.commit_info(revision) {
        Ok(info) => {
            Commit { revision: info.revision, subject: info.subject, author: info.author, time: Some(info.time) }
        }
        Err(_) => Commit { revision: revision.clone(), subject: String::new(), author: String::new(), time: None },
    }
}

/// The message of an environment whose branch is missing.
pub(super) fn missing_branch(environment: &Environment) -> String {
    format!(
        "the repository has no branch {branch}; what runs in {namespace} is left alone. Push the branch to manage it again, or remove the environment from the configuration and delete its objects by hand (kubectl -n {namespace} get all -l {label}={name})",
        branch = environment.branch,
        namespace = environment.namespace,
        label = plan::ENVIRONMENT_LABEL,
        name = environment.name,
    )
}

/// Every refusal of a plan with its object.
pub(super) fn refusals(plan: &Plan) -> Vec<ObjectRefusal> {
    plan.refusals().map(|(key, refusal)| ObjectRefusal { key: key.clone(), refusal: refusal.clone() }).collect()
}

/// What a plan waits for; `None` when nothing.
pub(super) fn waiting(plan: &Plan) -> Option<String> {
    let waits: Vec<String> = plan
        .actions
        .iter()
        .filter_map(|action| match &action.verb {
            Verb::Wait { reason } => Some(format!("{}: {reason}", action.key)),
            _ => None,
        })
        .collect();
    (!waits.is_empty()).then(|| waits.join("; "))
}

/// Every object with what was done to it, its health and its drift.
pub(super) fn objects(desired: &DesiredState, live: &LiveState, plan: &Plan) -> Vec<ObjectStatus> {
    let stated = |key| desired.get(key).is_some();
    plan.actions
        .iter()
        .filter(|action| stated(&action.key) || action.verb != Verb::Detach)
        .map(|action| ObjectStatus {
            key: action.key.clone(),
            action: action.verb.as_str().to_owned(),
            health: live.objects.get(&action.key).map_or(Health::Missing, health_of),
            drift: if action.is_drift() { action.differences.clone() } else { Vec::new() },
        })
        .collect()
}

fn health_of(object: &LiveObject) -> Health {
    match object {
        LiveObject::Absent => Health::Missing,
        LiveObject::Terminating { .. } => Health::InProgress { message: "it is being deleted".to_owned() },
        LiveObject::Present { live, .. } => health::assess(live),
        LiveObject::Rejected { live: Some(live), .. } => health::assess(live),
        LiveObject::Rejected { live: None, .. } => Health::Missing,
        LiveObject::Unreadable { reason } => Health::InProgress { message: format!("it could not be read: {reason}") },
    }
}

/// Whether every object is there and ready.
pub(super) fn is_ready(objects: &[ObjectStatus]) -> bool {
    !objects.is_empty() && objects.iter().all(|object| object.health == Health::Current)
}

/// What a person should know beside the sync state.
pub(super) fn warnings(desired: &DesiredState, plan: &Plan) -> Vec<String> {
    let mut warnings: Vec<String> =
        plan.refusals().map(|(key, refusal)| format!("{key} is left as it is: {refusal}")).collect();
    warnings.extend(waiting(plan));
    warnings.extend(desired.hooks.iter().map(|key| format!("{key} is a Helm hook; hooks are listed, never applied")));
    warnings.extend(plan.warnings.iter().cloned());
    warnings
}

/// The names by which the pods of the workloads are watched.
pub(super) fn pod_names(desired: &DesiredState) -> BTreeSet<String> {
    desired
        .manifests
        .iter()
        .filter_map(|m| m.body.pointer("/spec/template/metadata/labels")?.get("app.kubernetes.io/name"))
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

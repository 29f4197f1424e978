//! What a pass found, in the words of the status.

use std::{collections::BTreeSet, time::Duration};

use serde_json::Value;

use crate::{
    desired::DesiredState,
    diff::Redactor,
    difference::{Difference, DriftClass},
    environment::Environment,
    git::Mirror,
    health,
    live::{LiveObject, LiveState},
    plan::{self, Action, Plan, Verb},
    revision::Revision,
    status::{Commit, Health, ObjectRefusal, ObjectStatus},
};

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

/// Every object with what was done to it, its health and its drift. What the API
/// server and its controllers say is masked.
pub(super) fn objects(desired: &DesiredState, live: &LiveState, plan: &Plan, redactor: &Redactor) -> Vec<ObjectStatus> {
    let stated = |key| desired.get(key).is_some();
    plan.actions
        .iter()
        .filter(|action| stated(&action.key) || action.verb != Verb::Detach)
        .map(|action| ObjectStatus {
            key: action.key.clone(),
            action: action.verb.as_str().to_owned(),
            health: masked(live.objects.get(&action.key).map_or(Health::Missing, health_of), redactor),
            drift: if action.is_drift() { action.differences.clone() } else { Vec::new() },
            overridden: overridden(action),
            ignored: action.ignored.clone(),
            consequence: action.consequence,
        })
        .collect()
}

fn overridden(action: &Action) -> Vec<Difference> {
    action.differences.iter().filter(|difference| difference.class == DriftClass::Overridden).cloned().collect()
}

fn masked(health: Health, redactor: &Redactor) -> Health {
    match health {
        Health::InProgress { message } => Health::InProgress { message: redactor.text(&message) },
        Health::Failed { message } => Health::Failed { message: redactor.text(&message) },
        other @ (Health::Current | Health::Missing) => other,
    }
}

/// The warning of a commit that was applied and does not become ready.
pub(super) fn not_ready(limit: Duration) -> String {
    format!("the applied commit is not ready {} s after it was first seen (timeouts.ready)", limit.as_secs_f32())
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        consequence::Consequence,
        plan::{Cause, Precondition},
        resource::{Manifest, ObjectKey},
    };

    #[test]
    fn what_the_api_server_says_of_an_object_is_masked() {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "stringData": {"redis-password": "hunter2-planted"}});
        let redactor = Redactor::new(b"key", [&secret]).expect("one Secret");
        let key = ObjectKey { kind: "Secret".into(), group: String::new(), namespace: "d".into(), name: "s".into() };
        let manifest = Manifest {
            key: key.clone(),
            api_version: "v1".into(),
            source: "t".into(),
            body: json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}),
        };
        let revision = Revision::try_from("a".repeat(40)).expect("an id");
        let desired = DesiredState {
            revision: revision.clone(),
            manifests: vec![manifest],
            hooks: Vec::new(),
            prune_confirm: None,
        };
        let action = Action {
            key: key.clone(),
            verb: Verb::Unchanged,
            cause: Cause::Steady,
            differences: Vec::new(),
            consequence: Consequence::default(),
            precondition: Precondition::default(),
            take_over: None,
            ignored: Vec::new(),
            stated: None,
        };
        let plan = Plan { revision, actions: vec![action], warnings: Vec::new() };
        let reason = "admission webhook denied: hunter2-planted is too simple".to_owned();
        let mut live = LiveState::default();
        live.objects.insert(key, LiveObject::Unreadable { reason });
        let shown = format!("{:?}", objects(&desired, &live, &plan, &redactor));
        assert!(shown.contains("too simple") && !shown.contains("hunter2"), "{shown}");
    }
}

//! Deployments, StatefulSets, DaemonSets and ReplicaSets.

use serde_json::Value;

use super::{because, condition, count, failed, progress};
use crate::status::Health;

/// `spec.replicas`, which defaults to 1.
fn wanted(object: &Value) -> i64 {
    object.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1)
}

/// The controller has not written a status yet.
fn unseen(object: &Value) -> Option<Health> {
    object.pointer("/status/observedGeneration").is_none().then(|| progress("its controller has not seen it yet"))
}

pub(super) fn deployment(object: &Value) -> Health {
    if let Some(("False", "ProgressDeadlineExceeded", message)) = condition(object, "Progressing") {
        return failed(because("ProgressDeadlineExceeded", message));
    }
    if let Some(("True", reason, message)) = condition(object, "ReplicaFailure") {
        return failed(because(reason, message));
    }
    if let Some(early) = unseen(object) {
        return early;
    }
    let wanted = wanted(object);
    let (pods, updated) = (count(object, "/status/replicas"), count(object, "/status/updatedReplicas"));
    let (ready, available) = (count(object, "/status/readyReplicas"), count(object, "/status/availableReplicas"));
    if updated < wanted {
        progress(format!("{updated} of {wanted} pods run the newest template"))
    } else if pods > wanted {
        progress(format!("{} pods are to end", pods - wanted))
    } else if ready < wanted {
        progress(format!("{ready} of {wanted} pods are ready"))
    } else if available < updated {
        progress(format!("{available} of {updated} pods are available"))
    } else {
        match condition(object, "Available") {
            Some(("False", reason, message)) => progress(because(reason, message)),
            _ => Health::Current,
        }
    }
}

pub(super) fn stateful_set(object: &Value) -> Health {
    if let Some(early) = unseen(object) {
        return early;
    }
    let wanted = wanted(object);
    let (pods, ready) = (count(object, "/status/replicas"), count(object, "/status/readyReplicas"));
    let updated = if revision(object, "currentRevision") == revision(object, "updateRevision") {
        // The controller leaves updatedReplicas out once all pods have the revision.
        pods
    } else {
        count(object, "/status/updatedReplicas")
    };
    let strategy = object.pointer("/spec/updateStrategy/type").and_then(Value::as_str);
    let partition = count(object, "/spec/updateStrategy/rollingUpdate/partition");
    let due = (wanted - partition).max(0);
    if pods < wanted {
        progress(format!("{pods} of {wanted} pods exist"))
    } else if pods > wanted {
        progress(format!("{} pods are to end", pods - wanted))
    } else if strategy == Some("OnDelete") && updated < wanted {
        progress(format!("{updated} of {wanted} pods run the newest template; the others change when they are deleted"))
    } else if updated < due {
        progress(format!("{updated} of {due} pods run the newest template"))
    } else if ready < wanted {
        progress(format!("{ready} of {wanted} pods are ready"))
    } else {
        Health::Current
    }
}

fn revision<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get("status")?.get(name)?.as_str()
}

pub(super) fn daemon_set(object: &Value) -> Health {
    if let Some(early) = unseen(object) {
        return early;
    }
    let wanted = count(object, "/status/desiredNumberScheduled");
    let updated = count(object, "/status/updatedNumberScheduled");
    let ready = count(object, "/status/numberReady");
    if updated < wanted {
        progress(format!("{updated} of {wanted} pods run the newest template"))
    } else if ready < wanted {
        progress(format!("{ready} of {wanted} pods are ready"))
    } else {
        Health::Current
    }
}

pub(super) fn replica_set(object: &Value) -> Health {
    if let Some(("True", reason, message)) = condition(object, "ReplicaFailure") {
        return failed(because(reason, message));
    }
    let (wanted, ready) = (wanted(object), count(object, "/status/readyReplicas"));
    if ready < wanted { progress(format!("{ready} of {wanted} pods are ready")) } else { Health::Current }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::{health::assess, status::Health};

    fn check(cases: Vec<(&str, Value)>) {
        for (expected, object) in cases {
            let health = assess(&object);
            let found = match &health {
                Health::Current => "current".to_owned(),
                Health::InProgress { message } => format!("in progress: {message}"),
                Health::Failed { message } => format!("failed: {message}"),
                Health::Missing => "missing".to_owned(),
            };
            assert_eq!(found, expected, "{object}");
        }
    }

    #[test]
    fn deployments() {
        let deployment = |replicas: i64, status: Value| {
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"generation": 2},
                "spec": {"replicas": replicas}, "status": status})
        };
        let status = |updated: i64, pods: i64, ready: i64, available: i64| {
            json!({"observedGeneration": 2, "updatedReplicas": updated, "replicas": pods, "readyReplicas": ready,
                "availableReplicas": available})
        };
        let with = |kind: &str, status: &str, reason: &str| {
            json!({"observedGeneration": 2, "updatedReplicas": 1, "replicas": 1, "readyReplicas": 1, "availableReplicas": 1,
                "conditions": [{"type": kind, "status": status, "reason": reason, "message": "m"}]})
        };
        check(vec![
            ("in progress: its controller has not seen it yet", deployment(1, json!({}))),
            ("in progress: its controller has seen generation 1 of 2", deployment(1, json!({"observedGeneration": 1}))),
            ("in progress: 1 of 2 pods run the newest template", deployment(2, status(1, 2, 2, 2))),
            ("in progress: 1 pods are to end", deployment(1, status(1, 2, 2, 2))),
            ("in progress: 0 of 1 pods are ready", deployment(1, status(1, 1, 0, 0))),
            ("in progress: 0 of 1 pods are available", deployment(1, status(1, 1, 1, 0))),
            ("current", deployment(1, status(1, 1, 1, 1))),
            ("current", deployment(0, json!({"observedGeneration": 2}))),
            (
                "in progress: MinimumReplicasUnavailable: m",
                deployment(1, with("Available", "False", "MinimumReplicasUnavailable")),
            ),
            (
                "failed: ProgressDeadlineExceeded: m",
                deployment(1, with("Progressing", "False", "ProgressDeadlineExceeded")),
            ),
            ("failed: FailedCreate: m", deployment(1, with("ReplicaFailure", "True", "FailedCreate"))),
        ]);
    }

    #[test]
    fn stateful_sets_by_revision_and_readiness() {
        let set = |strategy: Value, pods: i64, updated: i64, ready: i64, rolled: bool| {
            json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"generation": 1},
                "spec": {"replicas": 3, "updateStrategy": strategy},
                "status": {"observedGeneration": 1, "replicas": pods, "readyReplicas": ready, "updatedReplicas": updated,
                    "currentRevision": "a", "updateRevision": if rolled { "a" } else { "b" }}})
        };
        let (rolling, on_delete) = (json!({"type": "RollingUpdate"}), json!({"type": "OnDelete"}));
        let partition = |at: i64| json!({"type": "RollingUpdate", "rollingUpdate": {"partition": at}});
        check(vec![
            ("current", set(rolling.clone(), 3, 3, 3, true)),
            ("current", set(rolling.clone(), 3, 0, 3, true)),
            ("in progress: 2 of 3 pods exist", set(rolling.clone(), 2, 2, 2, true)),
            ("in progress: 1 pods are to end", set(rolling.clone(), 4, 4, 4, true)),
            ("in progress: 1 of 3 pods run the newest template", set(rolling.clone(), 3, 1, 3, false)),
            ("in progress: 2 of 3 pods are ready", set(rolling, 3, 3, 2, true)),
            (
                "in progress: 1 of 3 pods run the newest template; the others change when they are deleted",
                set(on_delete.clone(), 3, 1, 3, false),
            ),
            ("current", set(on_delete.clone(), 3, 3, 3, false)),
            ("in progress: 2 of 3 pods are ready", set(on_delete, 3, 3, 2, true)),
            ("current", set(partition(2), 3, 1, 3, false)),
            ("in progress: 0 of 1 pods run the newest template", set(partition(2), 3, 0, 3, false)),
            ("in progress: 2 of 3 pods are ready", set(partition(2), 3, 1, 2, false)),
            ("current", set(partition(5), 3, 0, 3, false)),
        ]);
    }

    #[test]
    fn daemon_sets_and_replica_sets() {
        let daemons = |updated: i64, ready: i64| {
            json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "status": {"observedGeneration": 1,
                "desiredNumberScheduled": 2, "updatedNumberScheduled": updated, "numberReady": ready}})
        };
        let replicas = |ready: i64| json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "spec": {"replicas": 1}, "status": {"readyReplicas": ready}});
        check(vec![
            ("in progress: 1 of 2 pods run the newest template", daemons(1, 2)),
            ("in progress: 1 of 2 pods are ready", daemons(2, 1)),
            ("current", daemons(2, 2)),
            ("in progress: 0 of 1 pods are ready", replicas(0)),
            ("current", replicas(1)),
        ]);
    }
}

//! What the pods of a workload tell that its own status does not: a
//! StatefulSet whose pod crashes for ever only ever says that it progresses.

use serde_json::Value;

use super::{because, condition, failed, progress};
use crate::status::Health;

/// Why a container waits when it will not start by itself.
const TERMINAL: [&str; 8] = [
    "CrashLoopBackOff",
    "ImagePullBackOff",
    "ErrImagePull",
    "ErrImageNeverPull",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
];

/// The worst that `pods` tell; `None` when all of them are ready or done.
/// Pods that are being deleted say nothing: others follow them.
pub fn assess_pods(pods: &[Value]) -> Option<Health> {
    let standing = pods.iter().filter(|pod| pod.pointer("/metadata/deletionTimestamp").is_none());
    let found: Vec<Health> = standing.filter_map(pod).collect();
    let worst = found.iter().find(|health| matches!(health, Health::Failed { .. }));
    worst.or(found.first()).cloned()
}

fn pod(pod: &Value) -> Option<Health> {
    let name = pod.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    let text = |pointer: &str| pod.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    match text("/status/phase") {
        "Succeeded" => return None,
        "Failed" => {
            let why = because(text("/status/reason"), text("/status/message"));
            return Some(failed(format!("pod {name} has failed: {why}")));
        }
        _ => {}
    }
    if let Some(stuck) = containers(pod).find_map(|container| stuck(name, container)) {
        return Some(stuck);
    }
    match (condition(pod, "Ready"), condition(pod, "PodScheduled")) {
        (Some(("True", ..)), _) => None,
        (_, Some(("False", reason, message))) => {
            Some(progress(format!("pod {name} is not scheduled: {}", because(reason, message))))
        }
        (Some((_, reason, message)), _) => {
            Some(progress(format!("pod {name} is not ready: {}", because(reason, message))))
        }
        (None, _) => Some(progress(format!("pod {name} has not started"))),
    }
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    ["/status/initContainerStatuses", "/status/containerStatuses"]
        .into_iter()
        .filter_map(|pointer| pod.pointer(pointer)?.as_array())
        .flatten()
}

fn stuck(pod: &str, container: &Value) -> Option<Health> {
    let text = |pointer: &str| container.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let reason = text("/state/waiting/reason");
    if !TERMINAL.contains(&reason) {
        return None;
    }
    let restarts = container.get("restartCount").and_then(Value::as_i64).unwrap_or(0);
    let ended = container.pointer("/lastState/terminated").map(|last| {
        let code = last.get("exitCode").and_then(Value::as_i64).unwrap_or_default();
        let why = last.get("reason").and_then(Value::as_str).unwrap_or("Error");
        format!("; it last ended with {why}, exit code {code}, after {restarts} restarts")
    });
    let message = because(reason, text("/state/waiting/message"));
    Some(failed(format!("container {} of pod {pod}: {message}{}", text("/name"), ended.unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ready(name: &str, status: &str) -> Value {
        json!({"metadata": {"name": name}, "status": {"phase": "Running", "conditions":
            [{"type": "Ready", "status": status, "reason": "ContainersNotReady", "message": "m"}]}})
    }

    fn waiting(list: &str, reason: &str) -> Value {
        json!({"metadata": {"name": "redis-0"}, "status": {"phase": "Running", list: [{"name": "redis", "restartCount": 4,
            "state": {"waiting": {"reason": reason}}, "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}]}})
    }

    #[test]
    fn ready_and_finished_pods_say_nothing() {
        let done = json!({"metadata": {"name": "job"}, "status": {"phase": "Succeeded"}});
        let leaving = json!({"metadata": {"name": "old", "deletionTimestamp": "t"}, "status": {"phase": "Failed"}});
        assert_eq!(assess_pods(&[ready("redis-0", "True"), done, leaving]), None);
        assert_eq!(assess_pods(&[]), None);
    }

    #[test]
    fn what_does_not_start_by_itself_has_failed() {
        for reason in TERMINAL {
            for list in ["containerStatuses", "initContainerStatuses"] {
                let health = assess_pods(&[ready("redis-1", "False"), waiting(list, reason)]);
                let Some(Health::Failed { message }) = health else { panic!("{reason}: {health:?}") };
                assert!(message.contains("container redis of pod redis-0"), "{message}");
                assert!(message.contains("OOMKilled, exit code 137, after 4 restarts"), "{message}");
            }
        }
        let evicted = json!({"metadata": {"name": "redis-0"}, "status": {"phase": "Failed", "reason": "Evicted"}});
        assert!(matches!(assess_pods(&[evicted]), Some(Health::Failed { message }) if message.contains("Evicted")));
    }

    #[test]
    fn what_may_still_start_is_in_progress() {
        let unscheduled = json!({"metadata": {"name": "redis-0"}, "status": {"phase": "Pending", "conditions":
            [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes are available"}]}});
        for (pod, expected) in [
            (ready("redis-0", "False"), "not ready: ContainersNotReady: m"),
            (unscheduled, "not scheduled: Unschedulable: 0/2 nodes"),
            (waiting("containerStatuses", "ContainerCreating"), "has not started"),
        ] {
            let health = assess_pods(&[pod]);
            assert!(
                matches!(&health, Some(Health::InProgress { message }) if message.contains(expected)),
                "{health:?}"
            );
        }
    }
}

//! The order of requests. It is never a wait for readiness: a claim of a class
//! that binds late waits for its pod.

use crate::resource::ObjectKey;

/// The place of `kind` in an apply; a delete goes the other way.
pub fn rank(kind: &str) -> u8 {
    match kind {
        "Namespace" | "CustomResourceDefinition" | "PriorityClass" | "StorageClass" => 0,
        "ServiceAccount" | "Role" | "RoleBinding" | "ClusterRole" | "ClusterRoleBinding" => 1,
        "Secret" | "ConfigMap" => 2,
        "PersistentVolume" | "PersistentVolumeClaim" => 3,
        "Service" => 4,
        kind if is_workload(kind) => 5,
        _ => 6,
    }
}

/// Whether objects of `kind` run pods.
pub fn is_workload(kind: &str) -> bool {
    matches!(kind, "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "Pod" | "Job" | "CronJob")
}

/// Whether the deletion of `key` could lose data that no commit brings back:
/// no plan deletes such an object.
pub fn is_irreplaceable(key: &ObjectKey) -> bool {
    match key.kind.as_str() {
        "PersistentVolumeClaim" | "PersistentVolume" | "Namespace" => key.group.is_empty(),
        "CustomResourceDefinition" => key.group == "apiextensions.k8s.io",
        _ => false,
    }
}

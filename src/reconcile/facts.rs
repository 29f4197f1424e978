//! What guards read beside the objects: storage classes, Helm releases, and
//! whether servers hold keys. What could not be learnt is `Unknown`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::board::Board;
use crate::{
    cluster::{Cluster, ClusterError, watch::Store},
    plan::{ClusterFacts, ENVIRONMENT_LABEL, Fact, RedisFacts, StorageClass},
    redis,
    resource::ObjectKey,
};

/// Asks the cluster: two lists.
pub(crate) async fn of_cluster(cluster: &Cluster, namespace: &str) -> ClusterFacts {
    let (classes, releases) = tokio::join!(storage_classes(cluster), helm_releases(cluster, namespace));
    ClusterFacts { storage_classes: known(classes), helm_releases: known(releases) }
}

fn known<T>(answer: Result<T, ClusterError>) -> Fact<T> {
    answer.map_or(Fact::Unknown, Fact::Known)
}

async fn storage_classes(cluster: &Cluster) -> Result<BTreeMap<String, StorageClass>, ClusterError> {
    let kind = cluster.kind("storage.k8s.io/v1", "StorageClass").await?;
    let classes = cluster.list(&kind, None, "").await?;
    let read = |class: &Value| {
        let name = class.pointer("/metadata/name")?.as_str()?.to_owned();
        let annotation = "/metadata/annotations/storageclass.kubernetes.io~1is-default-class";
        let facts = StorageClass {
            expandable: class.get("allowVolumeExpansion") == Some(&Value::Bool(true)),
            default: class.pointer(annotation).and_then(Value::as_str) == Some("true"),
        };
        Some((name, facts))
    };
    Ok(classes.iter().filter_map(read).collect())
}

async fn helm_releases(
    cluster: &Cluster,
    namespace: &str,
) -> Result<std::collections::BTreeSet<(String, String)>, ClusterError> {
    let kind = cluster.kind("v1", "Secret").await?;
    let secrets = cluster.list(&kind, Some(namespace), "owner=helm").await?;
    let read =
        |secret: &Value| Some((namespace.to_owned(), secret.pointer("/metadata/labels/name")?.as_str()?.to_owned()));
    Ok(secrets.iter().filter_map(read).collect())
}

/// What the last probes said of the keys behind each workload. A pod that did
/// not answer may hold any number.
pub(super) fn of_redis(store: &Store, board: &Board, environment: &str) -> RedisFacts {
    let status = board.current();
    let Some(found) = status.environments.get(environment).map(|environment| &environment.redis) else {
        return RedisFacts::default();
    };
    let workloads: Vec<(ObjectKey, u32)> = store
        .select(|key, object| {
            matches!(key.kind.as_str(), "Deployment" | "StatefulSet")
                && object.pointer("/metadata/labels").and_then(|labels| labels.get(ENVIRONMENT_LABEL))
                    == Some(&Value::from(environment))
        })
        .into_iter()
        .map(|(key, object)| (key, redis::desired_pods(&object)))
        .collect();
    let answered: Vec<u64> =
        found.pods.values().filter(|pod| pod.up).filter_map(|pod| pod.info.as_ref()).map(|info| info.keys).collect();
    let all = answered.len() == found.pods.len();
    let keys = workloads.into_iter().map(|(key, desired)| {
        let complete = all && desired > 0 && answered.len() >= usize::try_from(desired).unwrap_or(usize::MAX);
        let most = answered.iter().copied().max().filter(|_| complete);
        (key, most.map_or(Fact::Unknown, Fact::Known))
    });
    RedisFacts { keys: keys.collect() }
}

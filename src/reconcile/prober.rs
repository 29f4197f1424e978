//! Asks every Redis of one environment how it is, and publishes the answers.
//!
//! The password goes only to pods whose owners end at an object this daemon has
//! applied: a pod that merely carries the labels gets none. Pods come from the
//! watches; the steady state asks the API server nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use futures::{FutureExt, StreamExt, stream};
use jiff::Timestamp;
use serde_json::Value;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    board::Board,
    pace::jittered,
    watches::{Interest, Watches},
};
use crate::{
    cluster::Cluster,
    plan::ENVIRONMENT_LABEL,
    probe::{self, Dial, PodAddress, ProbeError, Secret, Target},
    redis,
    resource::ObjectKey,
    status::{RedisPod, RedisStatus},
};

/// One probe ends within this time.
const DEADLINE: Duration = Duration::from_secs(5);
/// After a change, the answers of the next moment are the interesting ones.
const SETTLE: Duration = Duration::from_millis(500);
/// Probes at once per environment.
const CONCURRENCY: usize = 8;

/// Probes one environment for ever.
pub struct Prober {
    /// The environment.
    pub environment: String,
    /// Its namespace.
    pub namespace: String,
    /// The API server, for Secrets and owners that no watch shows.
    pub cluster: Cluster,
    /// The watched objects.
    pub watches: Watches,
    /// How pods are reached.
    pub dial: Arc<dyn Dial>,
    /// The time between two rounds.
    pub interval: Duration,
    /// Where the answers go.
    pub board: Board,
    /// The uids of what the environment has applied.
    pub uids: watch::Receiver<BTreeSet<String>>,
    /// Set when the process ends.
    pub shutdown: CancellationToken,
}

/// What was read once and is asked for again only when it proves wrong.
#[derive(Default)]
struct Remembered {
    /// The owner's uid of each ReplicaSet, by the ReplicaSet's own.
    owners: BTreeMap<String, Option<String>>,
    /// Passwords by Secret.
    passwords: BTreeMap<ObjectKey, Vec<Secret>>,
}

impl Prober {
    /// Runs until the process ends.
    pub async fn run(mut self) {
        let wake = Arc::new(Notify::new());
        self.watches.register(&self.environment, &self.namespace, Interest::ObjectsAndPods, Arc::clone(&wake));
        let mut remembered = Remembered::default();
        loop {
            let round = Instant::now();
            let uids = self.uids.borrow_and_update().clone();
            let status = self.round(&uids, &mut remembered).await;
            self.board.redis(&self.environment, status);
            let next = round + jittered(self.interval);
            tokio::select! {
                () = self.shutdown.cancelled() => return,
                () = sleep_until(next) => {}
                () = wake.notified() => sleep(SETTLE).await,
                // When the reconciler is gone this branch is off, and the end near.
                Ok(()) = self.uids.changed() => {}
            }
        }
    }

    async fn round(&self, uids: &BTreeSet<String>, remembered: &mut Remembered) -> RedisStatus {
        let mut status = RedisStatus::default();
        let mut owners = BTreeSet::new();
        for (key, workload) in self.workloads() {
            let uid = text(&workload, "/metadata/uid");
            let Some(source) = redis::password_source(&workload).filter(|_| uids.contains(uid)) else { continue };
            status.desired += redis::desired_pods(&workload);
            let secret = ObjectKey {
                kind: "Secret".to_owned(),
                group: String::new(),
                namespace: key.namespace.clone(),
                name: source.secret,
            };
            let passwords = self.passwords(&secret, &source.keys, remembered).await;
            let mut pods = Vec::new();
            for pod in self.pods(&workload, &key.namespace) {
                owners.extend(controller(&pod).map(|(_, _, owner)| owner.to_owned()));
                if self.is_owned(&pod, uid, remembered).await {
                    pods.push(pod);
                }
            }
            let mut probes = Vec::new();
            for pod in &pods {
                probes.push(self.probe(pod, &passwords).boxed());
            }
            let answers: Vec<(String, RedisPod, bool)> =
                stream::iter(probes).buffer_unordered(CONCURRENCY).collect().await;
            for (name, pod, wrong_password) in answers {
                if wrong_password {
                    // Read again in the next round: it may have been changed.
                    remembered.passwords.remove(&secret);
                }
                status.pods.insert(name, pod);
            }
        }
        remembered.owners.retain(|owner, _| owners.contains(owner));
        status
    }

    fn workloads(&self) -> Vec<(ObjectKey, Arc<Value>)> {
        self.watches.store().select(|key, object| {
            matches!(key.kind.as_str(), "Deployment" | "StatefulSet")
                && object.pointer("/metadata/labels").and_then(|labels| labels.get(ENVIRONMENT_LABEL))
                    == Some(&Value::from(self.environment.as_str()))
        })
    }

    fn pods(&self, workload: &Value, namespace: &str) -> Vec<Arc<Value>> {
        let wanted = workload.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
        let pods = self.watches.store().select(|key, pod| {
            let labels = pod.pointer("/metadata/labels");
            key.kind == "Pod"
                && key.namespace == namespace
                && pod.pointer("/metadata/deletionTimestamp").is_none()
                && wanted.is_some_and(|wanted| {
                    wanted.iter().all(|(name, value)| labels.and_then(|labels| labels.get(name)) == Some(value))
                })
        });
        pods.into_iter().map(|(_, pod)| pod).collect()
    }

    /// Whether the pod's owners end at `workload`.
    async fn is_owned(&self, pod: &Value, workload: &str, remembered: &mut Remembered) -> bool {
        let Some((kind, name, uid)) = controller(pod) else { return false };
        if uid == workload {
            return true;
        }
        if kind != "ReplicaSet" {
            return false;
        }
        if !remembered.owners.contains_key(uid) {
            let key = ObjectKey {
                kind: "ReplicaSet".to_owned(),
                group: "apps".to_owned(),
                namespace: text(pod, "/metadata/namespace").to_owned(),
                name: name.to_owned(),
            };
            let Ok(kind) = self.cluster.kind("apps/v1", "ReplicaSet").await else { return false };
            let Ok(found) = self.cluster.get(&kind, &key).await else { return false };
            let owner = found
                .filter(|replica_set| text(replica_set, "/metadata/uid") == uid)
                .and_then(|replica_set| controller(&replica_set).map(|(_, _, owner)| owner.to_owned()));
            remembered.owners.insert(uid.to_owned(), owner);
        }
        remembered.owners.get(uid).and_then(Option::as_deref) == Some(workload)
    }

    async fn passwords(&self, secret: &ObjectKey, keys: &[String], remembered: &mut Remembered) -> Vec<Secret> {
        if let Some(watched) = self.watches.store().get(secret) {
            return decode(&watched, keys);
        }
        if !remembered.passwords.contains_key(secret) {
            let Ok(kind) = self.cluster.kind("v1", "Secret").await else { return Vec::new() };
            let Ok(Some(found)) = self.cluster.get(&kind, secret).await else { return Vec::new() };
            remembered.passwords.insert(secret.clone(), decode(&found, keys));
        }
        remembered.passwords.get(secret).cloned().unwrap_or_default()
    }

    /// One pod's answer, and whether its password was the wrong one.
    async fn probe(&self, pod: &Value, passwords: &[Secret]) -> (String, RedisPod, bool) {
        let name = text(pod, "/metadata/name").to_owned();
        let mut answer = RedisPod { probed: Some(Timestamp::now()), ..RedisPod::default() };
        if text(pod, "/status/phase") != "Running" {
            answer.error = Some(format!("the pod is {}", text(pod, "/status/phase").to_lowercase()));
            return (name, answer, false);
        }
        if passwords.is_empty() {
            answer.error = Some("its password Secret is missing or has no redis-password".to_owned());
            return (name, answer, true);
        }
        let target = Target {
            address: PodAddress {
                namespace: self.namespace.clone(),
                pod: name.clone(),
                ip: text(pod, "/status/podIP").parse::<IpAddr>().ok(),
                port: redis::port(pod),
            },
            passwords: passwords.to_vec(),
        };
        match probe::probe(self.dial.as_ref(), &target, DEADLINE).await {
            Ok(said) => {
                answer.up = true;
                answer.info = Some(redis::parse_info(&said.info));
                (name, answer, false)
            }
            Err(error) => {
                let wrong = matches!(error, ProbeError::WrongPassword { .. } | ProbeError::PasswordUnknown { .. });
                answer.error = Some(error.to_string());
                (name, answer, wrong)
            }
        }
    }
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Kind, name and uid of the controlling owner.
fn controller(object: &Value) -> Option<(&str, &str, &str)> {
    let owners = object.pointer("/metadata/ownerReferences")?.as_array()?;
    let owner = owners.iter().find(|owner| owner.get("controller") == Some(&Value::Bool(true)))?;
    Some((text(owner, "/kind"), text(owner, "/name"), text(owner, "/uid")))
}

/// The passwords of a Secret, in the order of `keys`.
fn decode(secret: &Value, keys: &[String]) -> Vec<Secret> {
    use base64::Engine;
    keys.iter()
        .filter_map(|key| secret.pointer("/data")?.get(key)?.as_str())
        .filter_map(|encoded| base64::engine::general_purpose::STANDARD.decode(encoded).ok())
        .filter(|bytes| !bytes.is_empty())
        .map(Secret::new)
        .collect()
}

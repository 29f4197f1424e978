//! What the cluster holds of one environment, with the server's dry-run answers.
//!
//! Objects come from the watches' store, or by name where no watch shows them; an
//! object as it was last compared costs no request. What could not be read is
//! `Unreadable`, never absent. A refusal is never remembered: what refused it
//! (a quota, a right, a policy) can change unseen.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::{FutureExt, StreamExt, stream};
use serde_json::Value;

use super::watches::Watches;
use crate::{
    cluster::{Cluster, ClusterError, Kind, Mode},
    desired::DesiredState,
    diff,
    ignore::IgnoreRule,
    inventory::Inventory,
    live::{LiveObject, LiveState, Rejection, RejectionClass},
    plan::ENVIRONMENT_LABEL,
    resource::{Manifest, ObjectKey},
};

/// Dry-runs and reads at once per environment.
const CONCURRENCY: usize = 8;
/// How often an object that changes under our eyes is looked at again.
const LOOKS: usize = 3;

/// The dry-run answers already known, by what was asked and of which object.
/// Emptied by a full pass, a change of configuration, or another API server.
#[derive(Debug, Default)]
pub(crate) struct DryRuns {
    answers: BTreeMap<ObjectKey, Learnt>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Question {
    desired: String,
    live: Option<String>,
}

/// A dry-run's answer with its question.
type Learnt = (Question, Arc<Value>);

enum Answer {
    Merged(Arc<Value>),
    Rejected(Rejection),
}

impl DryRuns {
    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.answers.clear();
    }

    fn get(&self, key: &ObjectKey, question: &Question) -> Option<&Arc<Value>> {
        self.answers.get(key).filter(|(asked, _)| asked == question).map(|(_, answer)| answer)
    }

    /// Notes that `stored` is what the API server made of `manifest`: the answer
    /// of a write answers the same dry-run.
    pub(super) fn note_applied(&mut self, manifest: &Manifest, stored: &Value, salt: &[u8]) {
        let question = Question { desired: diff::digest(&manifest.body, salt), live: Some(diff::live_digest(stored)) };
        self.answers.insert(manifest.key.clone(), (question, Arc::new(stored.clone())));
    }
}

/// One environment's look at its cluster.
pub(crate) struct Observer<'a> {
    /// The API server.
    pub cluster: &'a Cluster,
    /// The watched objects.
    pub watches: &'a Watches,
    /// The environment's name.
    pub environment: &'a str,
    /// The key of the digests.
    pub salt: &'a [u8],
    /// Fields that others may set.
    pub ignore: &'a [IgnoreRule],
}

impl Observer<'_> {
    /// Looks at everything Git states and everything the inventory names.
    pub(crate) async fn observe(
        &self,
        desired: &DesiredState,
        inventory: &Inventory,
        known: &mut DryRuns,
    ) -> LiveState {
        let stated: BTreeMap<&ObjectKey, &Manifest> = desired.manifests.iter().map(|m| (&m.key, m)).collect();
        let keys: BTreeSet<&ObjectKey> = stated.keys().copied().chain(inventory.entries.keys()).collect();
        let mut looks = Vec::new();
        for key in &keys {
            let manifest = stated.get(key).copied();
            let api_version = manifest.map_or_else(
                || inventory.entries.get(*key).map(|entry| entry.api_version.as_str()).unwrap_or_default(),
                |manifest| manifest.api_version.as_str(),
            );
            looks.push(self.look(key, api_version, manifest, known).boxed());
        }
        let found: Vec<(ObjectKey, LiveObject, Option<Learnt>)> =
            stream::iter(looks).buffer_unordered(CONCURRENCY).collect().await;
        let mut state = LiveState::default();
        known.answers.retain(|key, _| keys.contains(key));
        for (key, object, learnt) in found {
            if let Some(learnt) = learnt {
                known.answers.insert(key.clone(), learnt);
            }
            state.objects.insert(key, object);
        }
        state.strangers = self.strangers(&keys);
        state
    }

    fn strangers(&self, ours: &BTreeSet<&ObjectKey>) -> Vec<ObjectKey> {
        let labelled = self.watches.store().select(|key, object| {
            !ours.contains(key)
                && !is_a_controllers(object)
                && object.pointer("/metadata/labels").and_then(|labels| labels.get(ENVIRONMENT_LABEL))
                    == Some(&Value::from(self.environment))
        });
        labelled.into_iter().map(|(key, _)| key).collect()
    }

    async fn look(
        &self,
        key: &ObjectKey,
        api_version: &str,
        manifest: Option<&Manifest>,
        known: &DryRuns,
    ) -> (ObjectKey, LiveObject, Option<Learnt>) {
        let (object, learnt) = match self.try_look(key, api_version, manifest, known).await {
            Ok(found) => found,
            // Of what Git does not state nothing was tried but to read it: a missing
            // right says nothing about the object, a missing kind says all.
            Err(ClusterError::Rejected { rejection, .. })
                if manifest.is_some() || rejection.class == RejectionClass::KindUnknown =>
            {
                (LiveObject::Rejected { live: None, error: rejection }, None)
            }
            Err(error) => (LiveObject::Unreadable { reason: error.to_string() }, None),
        };
        (key.clone(), object, learnt)
    }

    async fn try_look(
        &self,
        key: &ObjectKey,
        api_version: &str,
        manifest: Option<&Manifest>,
        known: &DryRuns,
    ) -> Result<(LiveObject, Option<Learnt>), ClusterError> {
        let kind = self.cluster.kind(api_version, &key.kind).await?;
        let watched = self.watches.store().get(key).filter(|object| {
            self.watches.sees(api_version, &key.kind, &key.namespace)
                && object.get("apiVersion").and_then(Value::as_str) == Some(api_version)
        });
        let mut live = match watched {
            Some(object) => Some(object),
            None => self.cluster.get(&kind, key).await?.map(Arc::new),
        };
        for _ in 0..LOOKS {
            if let Some(object) = live.as_deref().filter(|object| is_terminating(object)) {
                return Ok((LiveObject::Terminating { live: object.clone() }, None));
            }
            let Some(manifest) = manifest else {
                return Ok((live.map_or(LiveObject::Absent, |object| present(&object, None)), None));
            };
            let spared = live.as_deref().and_then(|live| diff::spare(manifest, live, self.ignore));
            let manifest = spared.as_ref().map_or(manifest, |spared| &spared.manifest);
            let question = Question {
                desired: diff::digest(&manifest.body, self.salt),
                live: live.as_deref().map(diff::live_digest),
            };
            if let Some(merged) = known.get(key, &question) {
                return Ok((merged_into(live.as_deref(), merged), None));
            }
            match self.ask(&kind, manifest, live.as_deref()).await? {
                Some(Answer::Merged(merged)) => {
                    return Ok((merged_into(live.as_deref(), &merged), Some((question, merged))));
                }
                Some(Answer::Rejected(error)) => {
                    return Ok((LiveObject::Rejected { live: live.as_deref().cloned(), error }, None));
                }
                None => live = self.read_again(&kind, key).await?,
            }
        }
        Ok((LiveObject::Unreadable { reason: "it changes faster than it can be compared".to_owned() }, None))
    }

    /// The dry-run's answer; `None` when it was about another version of the
    /// object than `live`.
    async fn ask(
        &self,
        kind: &Kind,
        manifest: &Manifest,
        live: Option<&Value>,
    ) -> Result<Option<Answer>, ClusterError> {
        let at = |object: &Value, pointer: &str| object.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let uid = live.and_then(|object| at(object, "/metadata/uid"));
        match self.cluster.apply(kind, manifest, uid.as_deref(), Mode::DryRun).await {
            Ok(merged) => {
                let same = live.is_none_or(|live| {
                    at(live, "/metadata/resourceVersion") == at(&merged, "/metadata/resourceVersion")
                });
                Ok(same.then(|| Answer::Merged(Arc::new(merged))))
            }
            Err(ClusterError::Rejected { rejection, .. }) if rejection.class != RejectionClass::NamespaceMissing => {
                Ok(Some(Answer::Rejected(rejection)))
            }
            Err(ClusterError::Conflict { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn read_again(&self, kind: &Kind, key: &ObjectKey) -> Result<Option<Arc<Value>>, ClusterError> {
        match self.cluster.get(kind, key).await? {
            Some(object) => {
                self.watches.store().put(key.clone(), object.clone());
                Ok(Some(Arc::new(object)))
            }
            None => {
                self.watches.store().forget(key);
                Ok(None)
            }
        }
    }
}

/// Controllers copy the labels of what they serve to objects of their own.
fn is_a_controllers(object: &Value) -> bool {
    const MANAGED: [&str; 2] = ["endpointslice.kubernetes.io/managed-by", "endpoints.kubernetes.io/managed-by"];
    let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    let labels = object.pointer("/metadata/labels");
    owners.is_some_and(|owners| !owners.is_empty())
        || MANAGED.iter().any(|name| labels.and_then(|labels| labels.get(name)).is_some())
}

fn is_terminating(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some()
}

fn present(live: &Value, merged: Option<&Value>) -> LiveObject {
    LiveObject::Present { live: live.clone(), merged: merged.cloned() }
}

fn merged_into(live: Option<&Value>, merged: &Value) -> LiveObject {
    live.map_or(LiveObject::Absent, |live| present(live, Some(merged)))
}

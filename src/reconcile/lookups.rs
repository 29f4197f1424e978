//! `lookup` in the live cluster.
//!
//! A chart asks the same few questions at each render, one after the other, and
//! each costs a round trip. So those of the render before are asked together
//! before the next begins; whatever else it asks is asked then.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::future::join_all;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::{
    chart::{Lookup, LookupError},
    cluster::{Cluster, ClusterError},
    resource::ObjectKey,
};

/// `apiVersion`, kind, namespace and name, as a template gives them.
type Question = [String; 4];

/// The questions of the last render. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Questions {
    asked: Arc<Mutex<BTreeSet<Question>>>,
}

impl Questions {
    /// Asks all of them anew, at once; from then on only what is asked counts.
    pub(super) async fn begin(&self, cluster: Cluster) -> Live {
        let questions = std::mem::take(&mut *self.lock());
        let answers = join_all(questions.into_iter().map(|question| async {
            let answer = answer(&cluster, &question).await;
            (question, answer)
        }))
        .await;
        Live { answers: answers.into_iter().collect(), questions: self.clone(), handle: Handle::current(), cluster }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<Question>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The cluster as one render sees it. Called on a thread that may block.
pub(super) struct Live {
    answers: BTreeMap<Question, Result<Value, LookupError>>,
    questions: Questions,
    handle: Handle,
    cluster: Cluster,
}

impl Live {
    pub(super) fn cluster(&self) -> &Cluster {
        &self.cluster
    }
}

impl Lookup for Live {
    fn lookup(&self, api_version: &str, kind: &str, namespace: &str, name: &str) -> Result<Value, LookupError> {
        let question = [api_version, kind, namespace, name].map(str::to_owned);
        self.questions.lock().insert(question.clone());
        match self.answers.get(&question) {
            Some(known) => known.clone(),
            None => self.handle.block_on(answer(&self.cluster, &question)),
        }
    }
}

async fn answer(cluster: &Cluster, question: &Question) -> Result<Value, LookupError> {
    let [api_version, kind, namespace, name] = question;
    let failed = |error: ClusterError| LookupError(error.to_string());
    let found = cluster.kind(api_version, kind).await.map_err(failed)?;
    if name.is_empty() {
        let namespace = (!namespace.is_empty()).then_some(namespace.as_str());
        let items = cluster.list(&found, namespace, "").await.map_err(failed)?;
        return Ok(json!({"apiVersion": api_version, "kind": format!("{kind}List"), "items": items}));
    }
    let key = ObjectKey {
        kind: kind.clone(),
        group: found.group.clone(),
        namespace: if found.namespaced { namespace.clone() } else { String::new() },
        name: name.clone(),
    };
    Ok(cluster.get(&found, &key).await.map_err(failed)?.unwrap_or_else(|| json!({})))
}

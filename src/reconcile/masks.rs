//! The secrets of one environment that nothing may show: those Git states and those
//! the watches see.
//!
//! Building the search is the dear part, so it is kept until one of them changes.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    cluster::watch::Store,
    desired::DesiredState,
    diff::{Redactor, RedactorError},
};

/// The redactor in force, and what it was made of.
pub(super) struct Masks {
    redactor: Arc<Redactor>,
    salt: String,
    stated: Option<Arc<DesiredState>>,
    live: Vec<Arc<Value>>,
}

impl Masks {
    /// Nothing to mask yet.
    pub(super) fn new() -> Self {
        Self {
            redactor: Arc::new(Redactor::new(&[], []).expect("an empty set of patterns always builds")),
            salt: String::new(),
            stated: None,
            live: Vec::new(),
        }
    }

    /// The redactor.
    pub(super) fn redactor(&self) -> &Arc<Redactor> {
        &self.redactor
    }

    /// Takes in the Secrets of `desired` and those of its `namespace` that the watches show.
    pub(super) fn refresh(
        &mut self,
        desired: &Arc<DesiredState>,
        store: &Store,
        namespace: &str,
        salt: &str,
    ) -> Result<(), RedactorError> {
        let live = store.select(|key, _| key.kind == "Secret" && key.namespace == namespace);
        let live: Vec<Arc<Value>> = live.into_iter().map(|(_, object)| object).collect();
        // An object of the store is replaced when it changes, never changed; and the
        // same commit may state another random password when it is rendered again.
        let same = self.live.len() == live.len() && self.live.iter().zip(&live).all(|(a, b)| Arc::ptr_eq(a, b));
        if same && self.salt == salt && self.stated.as_ref().is_some_and(|stated| Arc::ptr_eq(stated, desired)) {
            return Ok(());
        }
        let stated = desired.manifests.iter().filter(|manifest| manifest.key.kind == "Secret").map(|m| &m.body);
        let secrets = stated.chain(live.iter().map(AsRef::as_ref));
        self.redactor = Arc::new(Redactor::new(salt.as_bytes(), secrets)?);
        (self.salt, self.stated, self.live) = (salt.to_owned(), Some(Arc::clone(desired)), live);
        Ok(())
    }
}

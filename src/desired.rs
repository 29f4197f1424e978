//! What Git wants of one environment, whole.
//!
//! A `DesiredState` is never half-made: when a chart or its values do not
//! render, there is none, and nothing is applied or pruned.

use crate::{
    resource::{Manifest, ObjectKey},
    revision::Revision,
};

/// The rendered objects of one environment at one commit.
#[derive(Clone, Debug, PartialEq)]
pub struct DesiredState {
    /// The commit they were rendered from.
    pub revision: Revision,
    /// The objects, labelled and with their namespace completed, in apply order.
    pub manifests: Vec<Manifest>,
    /// Hook manifests the chart contains; they are listed, never applied.
    pub hooks: Vec<ObjectKey>,
    /// The commit up to which Git confirms that objects may be deleted
    /// (`prune.confirm`), when it does.
    pub prune_confirm: Option<Revision>,
}

impl DesiredState {
    /// The manifest of `key`, when Git states it.
    pub fn get(&self, key: &ObjectKey) -> Option<&Manifest> {
        self.manifests.iter().find(|m| &m.key == key)
    }
}

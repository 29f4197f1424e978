//! What the daemon has applied for one environment, as kept in the cluster.
//!
//! The inventory is the truth about ownership: the label on objects only
//! selects what the watches see. It is written as a superset before an apply
//! and shrunk after the prune, so a crash in between leaves nothing unnamed.

use std::collections::BTreeMap;

use crate::{resource::ObjectKey, revision::Revision};

/// The format this build writes; a newer one is refused without a write.
pub const FORMAT: u32 = 1;

/// The objects of one environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inventory {
    /// [`FORMAT`] at the time of writing.
    pub format: u32,
    /// The last commit that was applied whole; `None` before the first.
    pub applied: Option<Revision>,
    /// The commit whose apply has begun and not finished: the environment is partial.
    pub applying: Option<Revision>,
    /// By key.
    pub entries: BTreeMap<ObjectKey, Entry>,
}

/// One object in the inventory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `apiVersion` it was applied with.
    pub api_version: String,
    /// `metadata.uid`; `None` between the superset write and the apply.
    pub uid: Option<String>,
    /// Keyed digest of the desired manifest last applied; `None` before the first.
    pub digest: Option<String>,
    /// The commit that last applied it.
    pub revision: Option<Revision>,
}

impl Default for Inventory {
    fn default() -> Self {
        Self { format: FORMAT, applied: None, applying: None, entries: BTreeMap::new() }
    }
}

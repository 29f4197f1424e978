//! What the cluster holds, object by object.
//!
//! Unknown is not absent: an object that could not be read is neither created
//! nor pruned, and an object being deleted is its own state.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::resource::ObjectKey;

/// One object as the API server showed it.
#[derive(Clone, Debug, PartialEq)]
pub enum LiveObject {
    /// The API server answered that there is none.
    Absent,
    /// It exists and carries a deletion timestamp.
    Terminating {
        /// The object, `managedFields` included.
        live: Value,
    },
    /// It exists; `merged` is what a server-side dry-run apply of the desired
    /// manifest answered. An object that Git does not state has none.
    Present {
        /// The object, `managedFields` included.
        live: Value,
        /// The dry-run answer, when the object is desired.
        merged: Option<Value>,
    },
    /// The dry-run apply was refused.
    Rejected {
        /// The object as it is, when it exists.
        live: Option<Value>,
        /// Why the API server refused.
        error: Rejection,
    },
    /// It could not be read, or its dry-run could not be judged.
    Unreadable {
        /// Why.
        reason: String,
    },
}

/// A refusal by the API server, with secrets already masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The class that decides what follows.
    pub class: RejectionClass,
    /// The API server's message.
    pub message: String,
}

/// Why an apply was refused. These are not status codes: schema errors of an
/// apply come as HTTP 500.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectionClass {
    /// The object does not fit the schema, or fails validation.
    Invalid,
    /// An immutable field would change.
    Immutable,
    /// The caller may not do it (RBAC, quota, admission policy).
    Forbidden,
    /// The namespace does not exist.
    NamespaceMissing,
    /// The kind is not served by this cluster.
    KindUnknown,
}

/// All objects of one environment: those Git states and those its inventory names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LiveState {
    /// By key.
    pub objects: BTreeMap<ObjectKey, LiveObject>,
    /// Objects that carry the environment's label and are in neither.
    /// They are reported, never pruned.
    pub strangers: Vec<ObjectKey>,
}

impl LiveObject {
    /// The object itself, when one was read.
    pub fn live(&self) -> Option<&Value> {
        match self {
            Self::Terminating { live } | Self::Present { live, .. } => Some(live),
            Self::Rejected { live, .. } => live.as_ref(),
            Self::Absent | Self::Unreadable { .. } => None,
        }
    }

    /// `metadata.uid`, when one was read.
    pub fn uid(&self) -> Option<&str> {
        self.live()?.pointer("/metadata/uid")?.as_str()
    }
}

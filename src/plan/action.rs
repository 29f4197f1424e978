//! The plan as data: what would be done to each object, why, and on what condition.
//!
//! A plan is immutable. It can be printed, serialised, compared and kept as a
//! golden file; nothing is decided again while it is carried out.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::{
    consequence::Consequence,
    difference::Difference,
    resource::{Manifest, ObjectKey},
    revision::Revision,
};

/// Everything one pass would do to one environment, in the order of doing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// The commit the plan follows.
    pub revision: Revision,
    /// One per object: the applies in apply order, then the deletes.
    pub actions: Vec<Action>,
    /// What a person should know beside the actions: claims that are kept,
    /// checks that could not be made. Secrets masked.
    pub warnings: Vec<String>,
}

/// What happens to one object.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Action {
    /// The object.
    pub key: ObjectKey,
    /// What is done.
    pub verb: Verb,
    /// Why.
    pub cause: Cause,
    /// Field by field, secrets masked. A created object has one, with an empty path.
    pub differences: Vec<Difference>,
    /// Fields that differ and that an ignore rule hides.
    pub ignored: Vec<String>,
    /// What carrying it out means to Redis; of a refusal, what it would have meant.
    pub consequence: Consequence,
    /// What must still hold when the write arrives.
    pub precondition: Precondition,
    /// `metadata.managedFields` to write first, by a patch that tests uid and
    /// resourceVersion: ownership that moves to us, so that the apply removes
    /// what Git does not state. `None` when nothing moves.
    #[serde(skip)]
    pub take_over: Option<Value>,
    /// What is applied where it is not what Git states: ignored fields keep their
    /// live values.
    #[serde(skip)]
    pub stated: Option<Manifest>,
}

/// What is done to an object.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Verb {
    /// It does not exist: apply.
    Create,
    /// It exists and is not ours yet: take ownership, then apply.
    Adopt,
    /// It is ours and differs: apply.
    Update,
    /// It left Git: delete.
    Delete,
    /// It left Git: leave it, and drop it from the inventory.
    Detach,
    /// It is as Git says.
    Unchanged,
    /// It differs and policy says to report only.
    Report,
    /// It is left as it is until something else ends (a deletion in progress, an
    /// unreadable object).
    Wait {
        /// What is waited for.
        reason: String,
    },
    /// Not done; nothing of a commit with a refusal is applied.
    Refused(Refusal),
}

/// Why a plan will not do something, and what a person can do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Refusal {
    /// The guard or the API server's reason, such as `prune-breaker` or `invalid`.
    pub guard: String,
    /// What was found.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

/// Why an action is in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A commit changed what Git says of it (or states it for the first time).
    Commit,
    /// The cluster differs while Git is as last applied.
    Drift,
    /// A commit changed it, and the cluster had drifted as well; the commit overwrites that.
    CommitOverDrift,
    /// It is in the inventory and no longer in Git.
    LeftGit,
    /// Nothing differs.
    Steady,
}

/// What must hold at the moment of the write; the API server checks it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Precondition {
    /// The uid the plan saw; `None` for an object that was absent.
    pub uid: Option<String>,
    /// The resourceVersion the plan saw.
    pub resource_version: Option<String>,
}

impl Plan {
    /// The refusals, with the object of each.
    pub fn refusals(&self) -> impl Iterator<Item = (&ObjectKey, &Refusal)> {
        self.actions.iter().filter_map(|action| match &action.verb {
            Verb::Refused(refusal) => Some((&action.key, refusal)),
            _ => None,
        })
    }

    /// The worst that carrying the plan out means to Redis.
    pub fn consequence(&self) -> Consequence {
        let written = self.actions.iter().filter(|action| action.verb.writes());
        written.map(|action| action.consequence).max().unwrap_or_default()
    }

    /// Whether Git (or the configuration) asks for something that is not carried
    /// out yet; what drifted is another matter.
    pub fn is_pending(&self) -> bool {
        self.actions.iter().any(|action| match action.cause {
            Cause::Commit | Cause::CommitOverDrift => true,
            Cause::LeftGit => matches!(action.verb, Verb::Delete | Verb::Detach | Verb::Refused(_)),
            Cause::Drift | Cause::Steady => false,
        })
    }

    /// The part that undoes drift, and nothing that is pending.
    pub fn healing(&self) -> Self {
        let heals = |action: &&Action| matches!(action.cause, Cause::Drift | Cause::Steady);
        Self { actions: self.actions.iter().filter(heals).cloned().collect(), ..self.clone() }
    }

    /// Whether carrying the plan out would write anything to the cluster.
    pub fn writes(&self) -> bool {
        self.actions.iter().any(|action| action.verb.writes())
    }
}

impl Action {
    /// Whether the object differs from Git although Git is as last applied.
    pub fn is_drift(&self) -> bool {
        matches!(self.cause, Cause::Drift | Cause::CommitOverDrift)
    }
}

impl Verb {
    /// Whether the verb writes to the cluster.
    pub fn writes(&self) -> bool {
        matches!(self, Self::Create | Self::Adopt | Self::Update | Self::Delete)
    }

    /// The word used in logs, JSON and the printed plan.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Adopt => "adopt",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Detach => "detach",
            Self::Unchanged => "unchanged",
            Self::Report => "report",
            Self::Wait { .. } => "wait",
            Self::Refused(_) => "refused",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}. {}", self.guard, self.message, self.remedy)
    }
}

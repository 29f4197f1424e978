//! The loop: asks the edges, calls the core, carries the plan out, publishes status.
//!
//! One task follows the repository, one task per environment reconciles it, one
//! per environment asks its Redis. They meet in channels and in the status board;
//! wake-ups carry no data.

mod board;
mod compare;
mod environment;
mod execute;
pub(crate) mod facts;
mod herald;
mod ledger;
mod lookups;
mod masks;
mod observe;
mod pace;
mod prober;
mod render;
mod report;
mod repository;
mod watches;

pub use board::Board;
pub use environment::{EnvironmentLoop, Shared};
pub(crate) use lookups::Questions;
pub(crate) use observe::{DryRuns, Observer};
pub use prober::Prober;
pub(crate) use render::{Context, Unusable, desired_state, effective_values, live_context, passwords_of};
pub use render::{SystemClock, SystemEntropy};
pub use repository::{RepositoryLoop, Tip, TipMap};
pub use watches::Watches;

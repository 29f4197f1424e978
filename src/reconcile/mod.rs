//! The loop: asks the edges, calls the core, carries the plan out, publishes status.
//!
//! One task follows the repository, one task per environment reconciles it, one
//! per environment asks its Redis. They meet in channels and in the status board;
//! wake-ups carry no data.

mod board;
mod environment;
mod execute;
mod facts;
mod ledger;
mod observe;
mod pace;
mod prober;
pub mod render;
mod report;
mod repository;
mod watches;

pub use board::Board;
pub use environment::{EnvironmentLoop, Shared};
pub use prober::Prober;
pub use repository::{RepositoryLoop, Tip, TipMap};
pub use watches::Watches;

//! From desired, live, inventory and policy to an immutable [`Plan`].
//!
//! Pure: no clock, no network, no randomness. The same inputs give the same
//! plan, which the golden files under `tests/plan` keep.

mod action;

pub use action::{Action, Cause, Plan, Precondition, Refusal, Verb};

//! `redis-gitops`: what Git says is what runs, and it proves it.
//!
//! The rooms and who may use whom are described in `docs/architecture.md` and
//! kept by `tests/architecture.rs`.

pub mod chart;
pub mod cli;
pub mod resource;
pub mod revision;
pub mod snapshot;
pub mod template;
pub mod values;

//! `redis-gitops`: what Git says is what runs, and it proves it.
//!
//! The rooms and who may use whom are described in `docs/architecture.md` and
//! kept by `tests/architecture.rs`.

pub mod app;
pub mod chart;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod consequence;
pub mod desired;
pub mod diff;
pub mod difference;
pub mod environment;
pub mod git;
pub mod health;
pub mod http;
pub mod ignore;
pub mod inventory;
pub mod live;
pub mod plan;
pub mod probe;
pub mod reconcile;
pub mod redis;
pub mod repository;
pub mod resource;
pub mod revision;
pub mod snapshot;
pub mod status;
pub mod telemetry;
pub mod template;
pub mod values;

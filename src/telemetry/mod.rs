//! What the daemon tells about itself: log events and metrics.
//!
//! One [`Metrics`] value holds every metric; no other module names one. The
//! names, labels and meanings are a contract, kept in `docs/metrics.md`. Log
//! events are written with `tracing` wherever a decision is made; this room
//! only decides their form. HTTP and the scrape belong to `http`.

mod gauges;
mod labels;
mod log;
mod metrics;
mod redis_series;
mod series;

pub use labels::{FetchResult, Stage, SyncResult, Verb};
pub use log::{LogError, LogFormat, init};
pub use metrics::Metrics;

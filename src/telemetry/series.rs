//! Series that are computed from a state at the moment of the scrape.
//!
//! They live for one scrape only, so a series of something that is gone cannot
//! remain.

use prometheus::{CounterVec, GaugeVec, Opts, Registry};

/// The series of one scrape.
pub(super) struct Scrape {
    registry: Registry,
}

impl Scrape {
    pub(super) fn new() -> Self {
        Self { registry: Registry::new() }
    }

    /// A gauge family. It is left out of the scrape while it has no series.
    pub(super) fn gauge(&self, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
        let gauge = GaugeVec::new(Opts::new(name, help), labels).expect(VALID);
        self.registry.register(Box::new(gauge.clone())).expect(ONCE);
        gauge
    }

    /// A counter family whose value is counted elsewhere.
    pub(super) fn counter(&self, name: &str, help: &str, labels: &[&str]) -> CounterVec {
        let counter = CounterVec::new(Opts::new(name, help), labels).expect(VALID);
        self.registry.register(Box::new(counter.clone())).expect(ONCE);
        counter
    }

    pub(super) fn gather(&self) -> Vec<prometheus::proto::MetricFamily> {
        self.registry.gather()
    }
}

/// Why a family can be made.
pub(super) const VALID: &str = "names and labels are constants that a test exports";
/// Why a family can be registered.
pub(super) const ONCE: &str = "each name is registered once, which a test exports";

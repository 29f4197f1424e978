//! The one struct that holds every counter and histogram.
//!
//! Each label set of a known environment, repository or cluster is exported at 0
//! from the start, and disappears with it: events about an unknown one are not
//! counted. Gauges are not kept at all; [`Metrics::render`] computes them from
//! the newest status.

use std::{
    collections::BTreeSet,
    sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder, core::Collector,
    process_collector::ProcessCollector,
};

use super::{
    gauges,
    labels::{FetchResult, Stage, SyncResult, Verb},
    redis_series,
    series::{ONCE, Scrape, VALID},
};
use crate::{consequence::Consequence, difference::DriftClass, status::Status};

/// Upper bounds in seconds: 5 ms to 10 minutes.
const BUCKETS: [f64; 16] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];

/// Status codes that are exported at 0 from the start; any other appears with
/// its first request. A request without an answer has the code `none`.
const CODES: [&str; 12] = ["200", "201", "400", "401", "403", "404", "409", "410", "422", "429", "500", "none"];

/// Every metric of the process. Cheap to clone; all clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    registry: Registry,
    known: RwLock<Known>,
    sync: IntCounterVec,
    drift_detected: IntCounterVec,
    drift_corrected: IntCounterVec,
    changes: IntCounterVec,
    git_fetch: IntCounterVec,
    kubernetes_requests: IntCounterVec,
    stage_seconds: HistogramVec,
    commit_to_ready_seconds: Histogram,
    git_fetch_seconds: Histogram,
}

/// Whose series exist.
#[derive(Debug, Default)]
struct Known {
    environments: BTreeSet<String>,
    repositories: BTreeSet<String>,
    clusters: BTreeSet<String>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Metrics that know no environment, repository or cluster yet.
    pub fn new() -> Self {
        let registry = Registry::new();
        register(&registry, ProcessCollector::for_self());
        let stage_seconds = HistogramVec::new(
            histogram("redis_gitops_sync_stage_duration_seconds", "Duration of one stage of a sync."),
            &["stage"],
        )
        .expect(VALID);
        for stage in Stage::ALL {
            stage_seconds.with_label_values(&[stage.as_str()]);
        }
        let commit_to_ready_seconds = Histogram::with_opts(histogram(
            "redis_gitops_commit_to_ready_seconds",
            "From when a branch tip is first seen until everything it states is ready.",
        ))
        .expect(VALID);
        let git_fetch_seconds = Histogram::with_opts(histogram(
            "redis_gitops_git_fetch_duration_seconds",
            "Duration of one attempt to fetch a repository.",
        ))
        .expect(VALID);
        register(&registry, stage_seconds.clone());
        register(&registry, commit_to_ready_seconds.clone());
        register(&registry, git_fetch_seconds.clone());
        let counter = |name, help, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels).expect(VALID);
            register(&registry, counter.clone());
            counter
        };
        let inner = Inner {
            sync: counter(
                "redis_gitops_sync_total",
                "Commits synced to an environment, by result.",
                &["environment", "result"],
            ),
            drift_detected: counter(
                "redis_gitops_drift_detected_total",
                "Drifted fields found, by class.",
                &["environment", "class"],
            ),
            drift_corrected: counter(
                "redis_gitops_drift_corrected_total",
                "Objects brought back to what Git says.",
                &["environment"],
            ),
            changes: counter(
                "redis_gitops_changes_total",
                "Objects written, by what the change meant to Redis.",
                &["environment", "consequence"],
            ),
            git_fetch: counter(
                "redis_gitops_git_fetch_total",
                "Attempts to fetch a repository, by result.",
                &["repository", "result"],
            ),
            kubernetes_requests: counter(
                "redis_gitops_kubernetes_requests_total",
                "Requests to an API server, by verb and status code (none: no answer).",
                &["cluster", "verb", "code"],
            ),
            known: RwLock::default(),
            registry,
            stage_seconds,
            commit_to_ready_seconds,
            git_fetch_seconds,
        };
        Self { inner: Arc::new(inner) }
    }

    /// States which environments there are. The counters of a new one start at
    /// 0; everything of one that is gone is removed.
    pub fn set_environments<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        let names = owned(names);
        let mut known = self.known_mut();
        for gone in known.environments.difference(&names) {
            for result in SyncResult::ALL {
                remove(&self.inner.sync, &[gone, result.as_str()]);
            }
            for class in DriftClass::ALL {
                remove(&self.inner.drift_detected, &[gone, class.as_str()]);
            }
            remove(&self.inner.drift_corrected, &[gone]);
            for consequence in Consequence::ALL {
                remove(&self.inner.changes, &[gone, consequence.as_str()]);
            }
        }
        for name in &names {
            for result in SyncResult::ALL {
                self.inner.sync.with_label_values(&[name, result.as_str()]);
            }
            for class in DriftClass::ALL {
                self.inner.drift_detected.with_label_values(&[name, class.as_str()]);
            }
            self.inner.drift_corrected.with_label_values(&[name]);
            for consequence in Consequence::ALL {
                self.inner.changes.with_label_values(&[name, consequence.as_str()]);
            }
        }
        known.environments = names;
    }

    /// States which repositories there are (URLs without credentials), as
    /// [`Self::set_environments`] does.
    pub fn set_repositories<'a>(&self, urls: impl IntoIterator<Item = &'a str>) {
        let urls = owned(urls);
        let mut known = self.known_mut();
        for gone in known.repositories.difference(&urls) {
            for result in FetchResult::ALL {
                remove(&self.inner.git_fetch, &[gone, result.as_str()]);
            }
        }
        for url in &urls {
            for result in FetchResult::ALL {
                self.inner.git_fetch.with_label_values(&[url, result.as_str()]);
            }
        }
        known.repositories = urls;
    }

    /// States which clusters there are, as [`Self::set_environments`] does.
    pub fn set_clusters<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        let names = owned(names);
        let mut known = self.known_mut();
        for gone in known.clusters.difference(&names) {
            for code in self.codes_of(gone) {
                for verb in Verb::ALL {
                    remove(&self.inner.kubernetes_requests, &[gone, verb.as_str(), &code]);
                }
            }
        }
        for name in &names {
            for (verb, code) in Verb::ALL.into_iter().flat_map(|verb| CODES.map(|code| (verb, code))) {
                self.inner.kubernetes_requests.with_label_values(&[name, verb.as_str(), code]);
            }
        }
        known.clusters = names;
    }

    /// A commit's sync ended.
    pub fn sync_finished(&self, environment: &str, result: SyncResult) {
        if self.known().environments.contains(environment) {
            self.inner.sync.with_label_values(&[environment, result.as_str()]).inc();
        }
    }

    /// So many fields of one class were found drifted; each finding counts once.
    pub fn drift_detected(&self, environment: &str, class: DriftClass, fields: u64) {
        if self.known().environments.contains(environment) {
            self.inner.drift_detected.with_label_values(&[environment, class.as_str()]).inc_by(fields);
        }
    }

    /// One drifted object was brought back to what Git says.
    pub fn drift_corrected(&self, environment: &str) {
        if self.known().environments.contains(environment) {
            self.inner.drift_corrected.with_label_values(&[environment]).inc();
        }
    }

    /// One object was written.
    pub fn changed(&self, environment: &str, consequence: Consequence) {
        if self.known().environments.contains(environment) {
            self.inner.changes.with_label_values(&[environment, consequence.as_str()]).inc();
        }
    }

    /// One stage of a sync took this long.
    pub fn stage(&self, stage: Stage, took: Duration) {
        self.inner.stage_seconds.with_label_values(&[stage.as_str()]).observe(took.as_secs_f64());
    }

    /// From when a tip was first seen until everything it states was ready.
    pub fn commit_to_ready(&self, took: Duration) {
        self.inner.commit_to_ready_seconds.observe(took.as_secs_f64());
    }

    /// One attempt to fetch a repository ended.
    pub fn git_fetch(&self, repository: &str, result: FetchResult, took: Duration) {
        if self.known().repositories.contains(repository) {
            self.inner.git_fetch.with_label_values(&[repository, result.as_str()]).inc();
            self.inner.git_fetch_seconds.observe(took.as_secs_f64());
        }
    }

    /// One request to an API server ended, with its status code, or `None` when
    /// no answer came.
    pub fn kubernetes_request(&self, cluster: &str, verb: Verb, code: Option<u16>) {
        if self.known().clusters.contains(cluster) {
            let code = code.map_or_else(|| "none".to_owned(), |code| code.to_string());
            self.inner.kubernetes_requests.with_label_values(&[cluster, verb.as_str(), &code]).inc();
        }
    }

    /// Everything in Prometheus' text format: what was counted, and what the
    /// status says now. `leader` tells whether this process is the one that acts.
    pub fn render(&self, status: &Status, leader: bool) -> String {
        let scrape = Scrape::new();
        gauges::export(&scrape, status, leader);
        redis_series::export(&scrape, status);
        let mut families = self.inner.registry.gather();
        families.extend(scrape.gather());
        families.sort_by(|a, b| a.name().cmp(b.name()));
        TextEncoder::new().encode_to_string(&families).expect("a gathered family has a name and at least one series")
    }

    fn codes_of(&self, cluster: &str) -> BTreeSet<String> {
        let label = |metric: &prometheus::proto::Metric, name: &str| {
            metric.get_label().iter().find(|label| label.name() == name).map(|label| label.value().to_owned())
        };
        self.inner
            .kubernetes_requests
            .collect()
            .iter()
            .flat_map(|family| family.get_metric())
            .filter(|metric| label(metric, "cluster").as_deref() == Some(cluster))
            .filter_map(|metric| label(metric, "code"))
            .collect()
    }

    // A panic of another holder leaves sets that are still whole.
    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.inner.known.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn known_mut(&self) -> RwLockWriteGuard<'_, Known> {
        self.inner.known.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn histogram(name: &str, help: &str) -> HistogramOpts {
    HistogramOpts::new(name, help).buckets(BUCKETS.to_vec())
}

fn register(registry: &Registry, collector: impl Collector + 'static) {
    registry.register(Box::new(collector)).expect(ONCE);
}

fn owned<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

/// Removes a series; one that was never there is gone already.
fn remove(counter: &IntCounterVec, labels: &[&str]) {
    let _absent = counter.remove_label_values(labels);
}

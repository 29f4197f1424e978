//! The daemon's own gauges, computed from the status. Timestamps are unix
//! seconds; a time that is not known has no series.

use jiff::Timestamp;

use super::series::Scrape;
use crate::status::{EnvironmentStatus, Status, SyncState};

pub(super) fn export(scrape: &Scrape, status: &Status, leader: bool) {
    process(scrape, leader);
    repositories(scrape, status);
    environment_info(scrape, status);
    per_environment(scrape, status);
}

fn process(scrape: &Scrape, leader: bool) {
    scrape
        .gauge("redis_gitops_build_info", "Always 1; the running version.", &["version"])
        .with_label_values(&[env!("CARGO_PKG_VERSION")])
        .set(1.0);
    scrape
        .gauge("redis_gitops_leader", "1 while this process is the one that acts.", &[])
        .with_label_values::<&str>(&[])
        .set(flag(leader));
}

fn repositories(scrape: &Scrape, status: &Status) {
    let last_success = scrape.gauge(
        "redis_gitops_git_last_success_timestamp_seconds",
        "When a repository last answered.",
        &["repository"],
    );
    for (url, repository) in &status.repositories {
        if let Some(time) = repository.last_success {
            last_success.with_label_values(&[url]).set(seconds(time));
        }
    }
}

fn environment_info(scrape: &Scrape, status: &Status) {
    let info = scrape.gauge(
        "redis_gitops_environment_info",
        "Always 1; the branch followed, the commit applied (empty before the first) and the namespace.",
        &["environment", "branch", "revision", "namespace"],
    );
    for (name, environment) in &status.environments {
        let revision = environment.applied.as_ref().map_or("", |commit| commit.revision.as_str());
        info.with_label_values(&[name, &environment.branch, revision, &environment.namespace]).set(1.0);
    }
}

/// What a gauge reads from an environment; `None` exports nothing.
type Read = fn(&EnvironmentStatus) -> Option<f64>;

/// Name, help and source of every gauge that has the label `environment` alone.
const PER_ENVIRONMENT: [(&str, &str, Read); 11] = [
    ("redis_gitops_environment_synced", "1 when the branch tip is what is applied.", |e| {
        Some(flag(e.sync == SyncState::Synced))
    }),
    ("redis_gitops_environment_ready", "1 when every applied object is ready.", |e| Some(flag(e.ready))),
    ("redis_gitops_last_sync_timestamp_seconds", "When the last sync of a commit ended.", |e| e.last_sync.map(seconds)),
    ("redis_gitops_last_sync_duration_seconds", "How long the last sync of a commit took.", |e| e.last_sync_seconds),
    (
        "redis_gitops_last_comparison_timestamp_seconds",
        "Until when Git and cluster are known to have been compared; advances while every watch is alive.",
        |e| e.last_comparison.map(seconds),
    ),
    ("redis_gitops_drifted_objects", "Objects that differ from Git now.", |e| {
        Some(e.objects.iter().filter(|object| !object.drift.is_empty()).count() as f64)
    }),
    (
        "redis_gitops_drift_first_seen_timestamp_seconds",
        "When the drift that lasts now was first seen; no series without drift.",
        |e| e.drift_first_seen.map(seconds),
    ),
    ("redis_gitops_ignored_fields", "Fields that differ from Git and that an ignore rule hides.", |e| {
        Some(e.objects.iter().map(|object| object.ignored.len()).sum::<usize>() as f64)
    }),
    ("redis_gitops_overridden_fields", "Fields that admission sets otherwise than Git says.", |e| {
        Some(e.objects.iter().map(|object| object.overridden.len()).sum::<usize>() as f64)
    }),
    ("redis_gitops_redis_pods_desired", "Redis pods the workload asks for.", |e| Some(f64::from(e.redis.desired))),
    ("redis_gitops_redis_pods_up", "Redis pods that answer with the right password.", |e| {
        Some(e.redis.pods.values().filter(|pod| pod.up).count() as f64)
    }),
];

fn per_environment(scrape: &Scrape, status: &Status) {
    for (metric, help, read) in PER_ENVIRONMENT {
        let gauge = scrape.gauge(metric, help, &["environment"]);
        for (name, environment) in &status.environments {
            if let Some(value) = read(environment) {
                gauge.with_label_values(&[name]).set(value);
            }
        }
    }
}

fn flag(value: bool) -> f64 {
    if value { 1.0 } else { 0.0 }
}

fn seconds(time: Timestamp) -> f64 {
    time.as_millisecond() as f64 / 1000.0
}

//! The metrics contract: `docs/metrics.md` and what a scrape returns are the same.

#[path = "fixtures/status.rs"]
mod fixture;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use redis_gitops::{
    difference::DriftClass,
    status::Status,
    telemetry::{FetchResult, Metrics, Stage, SyncResult, Verb},
};

const REPOSITORY: &str = "https://git.example.com/platform/redis.git";

/// Name to type and label names.
type Families = BTreeMap<String, (String, BTreeSet<String>)>;

fn metrics() -> Metrics {
    let metrics = Metrics::new();
    metrics.set_environments(["dev", "staging", "prod"]);
    metrics.set_repositories([REPOSITORY]);
    metrics.set_clusters(["local"]);
    metrics
}

/// Reads a scrape in the text format.
fn families(scrape: &str) -> Families {
    let mut families = Families::new();
    for line in scrape.lines() {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("name and type");
            let twice = families.insert(name.to_owned(), (kind.to_owned(), BTreeSet::new()));
            assert!(twice.is_none(), "{name} is exported twice");
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().expect("a name");
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            let found = if families.contains_key(name) { name } else { family };
            let (_, labels) = families.get_mut(found).unwrap_or_else(|| panic!("{name} has no type"));
            let inside =
                line.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}')).map_or("", |(inside, _)| inside);
            labels.extend(inside.split("\",").filter_map(|pair| Some(pair.split_once('=')?.0.to_owned())));
        }
    }
    for (kind, labels) in families.values_mut() {
        if kind == "histogram" {
            labels.remove("le");
        }
    }
    families
}

/// Reads the tables of the document: name, type, labels.
fn documented() -> Families {
    let text = include_str!("../docs/metrics.md");
    let code = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    text.lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [name, kind, labels, meaning] = cells[..] else { panic!("four cells: {line}") };
            assert!(meaning.len() > 10, "a meaning: {line}");
            (code(name).concat(), (kind.to_owned(), code(labels).into_iter().collect()))
        })
        .collect()
}

#[test]
fn the_document_lists_exactly_what_is_exported() {
    let exported = families(&metrics().render(&fixture::status(Timestamp::now()), true));
    let documented = documented();
    for (name, found) in &exported {
        assert_eq!(documented.get(name), Some(found), "docs/metrics.md on {name}, which is exported so");
    }
    for name in documented.keys() {
        assert!(exported.contains_key(name), "docs/metrics.md has {name}, which is not exported");
    }
}

#[test]
fn every_counter_is_there_at_zero_before_anything_happens() {
    let scrape = metrics().render(&Status::default(), true);
    for environment in ["dev", "staging", "prod"] {
        for result in ["success", "failure", "refused"] {
            has(&scrape, &format!("redis_gitops_sync_total{{environment=\"{environment}\",result=\"{result}\"}} 0"));
        }
        for class in DriftClass::ALL {
            let labels = format!("{{class=\"{class}\",environment=\"{environment}\"}}");
            has(&scrape, &format!("redis_gitops_drift_detected_total{labels} 0"));
        }
        has(&scrape, &format!("redis_gitops_drift_corrected_total{{environment=\"{environment}\"}} 0"));
    }
    for result in ["success", "failure"] {
        has(&scrape, &format!("redis_gitops_git_fetch_total{{repository=\"{REPOSITORY}\",result=\"{result}\"}} 0"));
    }
    for verb in Verb::ALL {
        let labels = format!("{{cluster=\"local\",code=\"200\",verb=\"{}\"}}", verb.as_str());
        has(&scrape, &format!("redis_gitops_kubernetes_requests_total{labels} 0"));
    }
    for stage in Stage::ALL {
        let name = "redis_gitops_sync_stage_duration_seconds_count";
        has(&scrape, &format!("{name}{{stage=\"{}\"}} 0", stage.as_str()));
    }
    has(&scrape, "redis_gitops_commit_to_ready_seconds_bucket{le=\"0.005\"} 0");
    has(&scrape, "redis_gitops_commit_to_ready_seconds_bucket{le=\"600\"} 0");
}

#[test]
fn what_happens_is_counted_by_every_clone() {
    let metrics = metrics();
    let clone = metrics.clone();
    clone.sync_finished("prod", SyncResult::Refused);
    clone.drift_detected("prod", DriftClass::Changed, 3);
    clone.drift_corrected("prod");
    clone.stage(Stage::Apply, Duration::from_millis(30));
    clone.commit_to_ready(Duration::from_secs(9));
    clone.git_fetch(REPOSITORY, FetchResult::Failure, Duration::from_secs(1));
    clone.kubernetes_request("local", Verb::DryRun, Some(418));
    clone.kubernetes_request("local", Verb::DryRun, None);
    let scrape = metrics.render(&Status::default(), true);
    for line in [
        "redis_gitops_sync_total{environment=\"prod\",result=\"refused\"} 1",
        "redis_gitops_drift_detected_total{class=\"changed\",environment=\"prod\"} 3",
        "redis_gitops_drift_corrected_total{environment=\"prod\"} 1",
        "redis_gitops_sync_stage_duration_seconds_bucket{stage=\"apply\",le=\"0.025\"} 0",
        "redis_gitops_sync_stage_duration_seconds_bucket{stage=\"apply\",le=\"0.05\"} 1",
        "redis_gitops_commit_to_ready_seconds_sum 9",
        &format!("redis_gitops_git_fetch_total{{repository=\"{REPOSITORY}\",result=\"failure\"}} 1"),
        "redis_gitops_git_fetch_duration_seconds_count 1",
        "redis_gitops_kubernetes_requests_total{cluster=\"local\",code=\"418\",verb=\"dry_run\"} 1",
        "redis_gitops_kubernetes_requests_total{cluster=\"local\",code=\"none\",verb=\"dry_run\"} 1",
    ] {
        has(&scrape, line);
    }
}

#[test]
fn what_is_gone_leaves_no_series_and_cannot_come_back() {
    let metrics = metrics();
    metrics.drift_detected("prod", DriftClass::Extra, 1);
    metrics.sync_finished("dev", SyncResult::Success);
    metrics.kubernetes_request("local", Verb::Get, Some(418));
    metrics.set_environments(["dev"]);
    metrics.set_repositories([]);
    metrics.set_clusters(["other"]);
    // What was under way when they went.
    metrics.sync_finished("prod", SyncResult::Success);
    metrics.drift_detected("prod", DriftClass::Extra, 1);
    metrics.drift_corrected("prod");
    metrics.git_fetch(REPOSITORY, FetchResult::Success, Duration::ZERO);
    metrics.kubernetes_request("local", Verb::Get, Some(200));

    let mut status = fixture::status(Timestamp::now());
    status.environments.retain(|name, _| name == "dev");
    status.repositories.clear();
    let scrape = metrics.render(&status, true);
    for gone in ["\"prod\"", "\"staging\"", REPOSITORY, "cluster=\"local\""] {
        assert!(!scrape.contains(gone), "{gone} is still in:\n{scrape}");
    }
    has(&scrape, "redis_gitops_sync_total{environment=\"dev\",result=\"success\"} 1");
}

#[test]
fn gauges_say_what_the_status_says_now() {
    let now = Timestamp::from_second(1_800_000_000).expect("a time");
    let mut status = fixture::status(now);
    let metrics = metrics();
    let scrape = metrics.render(&status, false);
    for line in [
        "redis_gitops_leader 0",
        "redis_gitops_environment_synced{environment=\"dev\"} 1",
        "redis_gitops_environment_synced{environment=\"prod\"} 0",
        "redis_gitops_environment_ready{environment=\"prod\"} 0",
        "redis_gitops_drifted_objects{environment=\"staging\"} 1",
        "redis_gitops_drift_first_seen_timestamp_seconds{environment=\"staging\"} 1799999870",
        "redis_gitops_last_comparison_timestamp_seconds{environment=\"dev\"} 1799999998",
        "redis_gitops_last_sync_duration_seconds{environment=\"dev\"} 0.084",
        "redis_gitops_redis_pods_desired{environment=\"prod\"} 2",
        "redis_gitops_redis_pods_up{environment=\"prod\"} 1",
        "redis_up{environment=\"prod\",namespace=\"project-template\",pod=\"redis-1\"} 0",
        "redis_memory_max_bytes{environment=\"prod\",namespace=\"project-template\",pod=\"redis-0\"} 268435456",
        &format!("redis_gitops_git_last_success_timestamp_seconds{{repository=\"{REPOSITORY}\"}} 1799999996"),
    ] {
        has(&scrape, line);
    }
    let of = |scrape: &str, what: &str| scrape.lines().filter(|line| line.contains(what)).count();
    assert_eq!(of(&scrape, "drift_first_seen_timestamp_seconds{"), 1, "only while drift lasts");
    let down = "namespace=\"project-template\",pod=\"redis-1\"";
    assert_eq!(of(&scrape, down), 1, "a pod that does not answer says nothing but that");
    assert_eq!(of(&scrape, "revision="), 3, "only the info series has a revision");

    let prod = status.environments.get_mut("prod").expect("prod");
    prod.applied.clone_from(&prod.tip);
    let later = metrics.render(&status, false);
    assert_eq!(of(&later, "environment_info{branch=\"env/prod\""), 1, "the old revision is gone");
}

#[test]
fn names_with_quotes_and_line_ends_stay_one_label() {
    let metrics = Metrics::new();
    metrics.set_repositories(["a\"b\\c\nd"]);
    has(
        &metrics.render(&Status::default(), true),
        r#"redis_gitops_git_fetch_total{repository="a\"b\\c\nd",result="success"} 0"#,
    );
}

fn has(scrape: &str, line: &str) {
    assert!(scrape.lines().any(|one| one == line), "there is no line {line:?} in:\n{scrape}");
}

//! The alert rules, judged by Prometheus' own tool: each is valid, fires when it
//! should and is quiet when it should, and names only metrics that exist.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use regex::Regex;
use serde::Deserialize;

#[derive(Deserialize)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    alert: String,
    expr: String,
    labels: Labels,
    annotations: Annotations,
}

#[derive(Deserialize)]
struct Labels {
    severity: String,
}

#[derive(Deserialize)]
struct Annotations {
    summary: String,
    description: String,
    runbook: String,
}

#[derive(Deserialize)]
struct Cases {
    tests: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rules() -> Vec<Rule> {
    let text = fs::read_to_string(root().join("deploy/alerts.yaml")).expect("the rules");
    let rules: Rules = serde_yaml::from_str(&text).expect("every alert has a severity and three annotations");
    rules.groups.into_iter().flat_map(|group| group.rules).collect()
}

fn promtool(arguments: &[&str], files: &[PathBuf]) {
    let output = Command::new("promtool")
        .args(arguments)
        .args(files)
        .output()
        .expect("promtool is needed; on Debian: apt-get install prometheus");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool {}:\n{text}", arguments.join(" "));
}

/// `RedisDown` to `tests/rules/redis-down.yaml`.
fn cases_of(alert: &str) -> PathBuf {
    let words = Regex::new("[A-Z][a-z]+").expect("a pattern");
    let words: Vec<_> = words.find_iter(alert).map(|word| word.as_str().to_lowercase()).collect();
    root().join("tests/rules").join(words.join("-")).with_extension("yaml")
}

#[test]
fn the_rules_are_valid() {
    promtool(&["check", "rules", "--lint-fatal"], &[root().join("deploy/alerts.yaml")]);
}

#[test]
fn each_alert_fires_and_is_quiet_when_it_should() {
    let files: Vec<_> = rules().iter().map(|rule| cases_of(&rule.alert)).collect();
    promtool(&["test", "rules"], &files);
    for (rule, file) in rules().iter().zip(files) {
        let text = fs::read_to_string(&file).expect("the cases");
        let cases: Cases = serde_yaml::from_str(&text).expect("cases");
        for kind in ["fires: ", "quiet: "] {
            assert!(cases.tests.iter().any(|case| case.name.starts_with(kind)), "{} has no case {kind:?}", rule.alert);
        }
        assert!(text.contains(&format!("alertname=\"{}\", alertstate=\"firing\"", rule.alert)), "{}", file.display());
    }
}

#[test]
fn the_alerts_are_those_of_the_contract() {
    let alerts: Vec<_> = rules().into_iter().map(|rule| (rule.alert, rule.labels.severity)).collect();
    let expected = [
        ("DriftDetected", "info"),
        ("DriftPersists", "warning"),
        ("NotSynced", "warning"),
        ("GitUnreachable", "warning"),
        ("ComparisonStale", "warning"),
        ("RedisDown", "critical"),
        ("RedisNotReplicating", "warning"),
        ("DaemonAbsent", "critical"),
    ];
    assert_eq!(alerts, expected.map(|(alert, severity)| (alert.to_owned(), severity.to_owned())));
}

#[test]
fn alerts_name_only_metrics_and_labels_that_exist() {
    let documented = include_str!("../docs/metrics.md");
    let metric = Regex::new(r"\b(?:redis|process)_[a-z_]+\b").expect("a pattern");
    let label = Regex::new(r"\$labels\.([a-z_]+)").expect("a pattern");
    let kept = Regex::new(r"\bby \(([a-z_, ]+)\)").expect("a pattern");
    for Rule { alert, expr, annotations, .. } in rules() {
        let text = [annotations.summary, annotations.description, annotations.runbook].join(" ");
        for name in metric.find_iter(&expr).chain(metric.find_iter(&text)) {
            assert!(documented.contains(&format!("| `{}` |", name.as_str())), "{alert}: no metric {}", name.as_str());
        }
        let kept: Vec<_> =
            kept.captures_iter(&expr).flat_map(|by| by[1].split(", ").map(str::to_owned).collect::<Vec<_>>()).collect();
        for used in label.captures_iter(&text) {
            assert!(kept.contains(&used[1].to_owned()), "{alert}: the expression does not keep the label {}", &used[1]);
        }
    }
}

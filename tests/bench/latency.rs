//! `make bench`: how long a user waits and what the daemon costs, on the release
//! build, a real API server and Git's own HTTP server. It prints tables and
//! judges nothing; docs/benchmarks.md says how to read them.

mod api;
#[path = "../support/control_plane.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod control_plane;
#[path = "../support/daemon.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod daemon;
mod fleet;
#[path = "../support/git_server.rs"]
#[allow(dead_code, reason = "the mirror's own tests use the rest")]
mod git_server;
mod process;
mod report;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use api::{Api, Watch};
use control_plane::{ControlPlane, tool};
use daemon::{Daemon, eventually};
use fleet::{Fleet, mark, namespace, replicas};
use report::{Sample, durations, durations_head, figure, figures_head};

/// Starts of a daemon with one environment that it has not seen before.
const STARTS: usize = 5;
/// Environments of the small daemon.
const FEW: usize = 3;
/// Environments of the large daemon.
const MANY: usize = 100;
/// Pushes that change one environment.
const PUSHES: usize = 40;
/// Manual changes.
const DRIFTS: usize = 100;
/// Manual changes of one environment in a row.
const IN_A_ROW: usize = 10;
/// Commits that change one object in each of many environments.
const COMMITS: usize = 3;
/// How long without a request counts as quiet.
const QUIET: Duration = Duration::from_secs(4);
/// How long the idle daemon is watched.
const IDLE: Duration = Duration::from_secs(60);
/// Runs of each program that renders.
const RENDERS: usize = 20;

const DEPLOYMENTS: &str = "/apis/apps/v1/deployments";

fn main() {
    let plane = ControlPlane::start();
    let api = Api::new(&plane.kubeconfig());
    durations_head();
    starts(&plane, &api);
    let memory_with_few = few(&plane, &api);
    many(&plane, &api, memory_with_few);
    renders();
}

/// From the start of the process until its first object exists.
fn starts(plane: &ControlPlane, api: &Api) {
    let fleet = Fleet::new(plane, api, "start", STARTS);
    let secrets = api.watch("/api/v1/secrets");
    let mut sample = Sample::new();
    for index in 0..STARTS {
        let config = fleet.configure(index..index + 1);
        let begun = Instant::now();
        let daemon = start(&config);
        sample.add(secrets.until("the first object", |secret| namespace(secret) == fleet.name(index)) - begun);
        daemon.terminate();
    }
    durations("process start → first object applied", &sample, "");
}

/// The everyday size; answers the memory it takes, in MB.
fn few(plane: &ControlPlane, api: &Api) -> f64 {
    let fleet = Fleet::new(plane, api, "few", FEW);
    let deployments = api.watch(DEPLOYMENTS);
    let daemon = start(&fleet.configure(0..FEW));
    all_at(&deployments, &fleet, "0");
    settled(&daemon, FEW);
    pushes(&fleet, &daemon, &deployments, "3 environments: push, nudged → field live", "150");
    drifts(&fleet, api, &deployments, "3 environments");
    let memory = process::resident(daemon.pid());
    daemon.terminate();
    memory
}

fn many(plane: &ControlPlane, api: &Api, memory_with_few: f64) {
    let fleet = Fleet::new(plane, api, "many", MANY);
    let deployments = api.watch(DEPLOYMENTS);
    let config = fleet.configure(0..MANY);
    let begun = Instant::now();
    let daemon = start(&config);
    let first_sync = all_at(&deployments, &fleet, "0") - begun;
    settled(&daemon, MANY);
    let first_cpu = process::cpu(daemon.pid());
    pushes(&fleet, &daemon, &deployments, "100 environments: push to one, nudged → field live", "150");
    drifts(&fleet, api, &deployments, "100 environments");
    let before = process::cpu(daemon.pid());
    let mut commits = Sample::new();
    for number in 0..COMMITS {
        let mark = format!("all-{number}");
        fleet.push(0..MANY, &mark);
        let pushed = Instant::now();
        daemon.nudge();
        commits.add(all_at(&deployments, &fleet, &mark) - pushed);
    }
    durations("100 environments: one commit changes an object in each → all live", &commits, "");
    settled(&daemon, MANY);
    let commits_cpu = (process::cpu(daemon.pid()) - before) / COMMITS as f64;
    figures_head();
    figure("first sync of 100 environments, from process start", &format!("{:.2} s", first_sync.as_secs_f64()), "");
    figure("CPU of that first sync", &format!("{first_cpu:.2} s"), "");
    figure("CPU of one commit in 100 environments", &format!("{commits_cpu:.2} s"), "");
    idle(&daemon);
    figure("memory with 3 environments", &format!("{memory_with_few:.1} MB"), "40");
    figure("memory with 100 environments", &format!("{:.1} MB", process::resident(daemon.pid())), "");
    let peak = process::peak(daemon.pid()).unwrap_or(f64::NAN);
    figure("its peak", &format!("{peak:.1} MB, {} threads", process::threads(daemon.pid())), "");
    daemon.terminate();
}

/// A daemon that logs as it does by default.
fn start(config: &Path) -> Daemon {
    Daemon::start_logging(config, "info")
}

/// When the last environment's Deployment had the mark.
fn all_at(deployments: &Watch, fleet: &Fleet<'_>, wanted: &str) -> Instant {
    let mut missing: BTreeSet<String> = (0..fleet.count()).map(|index| fleet.name(index)).collect();
    deployments.until(&format!("all environments at {wanted}"), |object| {
        if mark(object) == Some(wanted) {
            missing.remove(namespace(object));
        }
        missing.is_empty()
    })
}

/// Waits until the daemon calls everything synced and nothing has made it ask the
/// API server for a while: the controllers, too, are done with what was applied.
fn settled(daemon: &Daemon, environments: usize) {
    let (mut before, mut since) = (-1.0, Instant::now());
    eventually("the daemon to be quiet", || {
        thread::sleep(Duration::from_millis(500));
        let text = daemon.get("/metrics");
        let synced = text.lines().filter(|l| l.starts_with("redis_gitops_environment_synced{") && l.ends_with(" 1"));
        let requests: f64 = requests_by_verb(daemon).iter().filter(|(verb, _)| *verb != "watch").map(|(_, n)| n).sum();
        if synced.count() != environments || requests != before {
            (before, since) = (requests, Instant::now());
        }
        since.elapsed() > QUIET
    });
}

fn pushes(fleet: &Fleet<'_>, daemon: &Daemon, deployments: &Watch, what: &str, bar: &str) {
    let mut sample = Sample::new();
    for number in 0..PUSHES {
        let (index, wanted) = (number % fleet.count(), format!("push-{number}"));
        fleet.push(index..index + 1, &wanted);
        let pushed = Instant::now();
        daemon.nudge();
        sample.add(deployments.until("the pushed field", |object| mark(object) == Some(wanted.as_str())) - pushed);
    }
    durations(what, &sample, bar);
}

/// Each environment is changed some times in a row, so that a pause that grows
/// with each correction would show.
fn drifts(fleet: &Fleet<'_>, api: &Api, deployments: &Watch, what: &str) {
    let [mut bare, mut all, mut seen_to_seen, mut first, mut last] = [const { Sample::new() }; 5];
    for number in 0..DRIFTS {
        let index = number / IN_A_ROW % fleet.count();
        let name = fleet.name(index);
        let begun = Instant::now();
        api.merge(&fleet.deployment(index), &json!({"spec": {"replicas": 0}}));
        bare.add(begun.elapsed());
        let changed = deployments.until("the change", |o| namespace(o) == name && replicas(o) == Some(0));
        let corrected = deployments.until("its correction", |o| namespace(o) == name && replicas(o) == Some(1));
        all.add(corrected - begun);
        seen_to_seen.add(corrected - changed);
        match number % IN_A_ROW {
            0 => first.add(corrected - begun),
            n if n == IN_A_ROW - 1 => last.add(corrected - begun),
            _ => {}
        }
    }
    durations(&format!("{what}: manual change sent → corrected"), &all, "100 (later 15)");
    durations("… from the watch event of the change", &seen_to_seen, "");
    durations("… the change's own request, by a bare client", &bare, "");
    durations("… the first of ten in a row", &first, "");
    durations("… the tenth of ten in a row", &last, "");
}

/// Requests and CPU of a daemon that has nothing to do.
fn idle(daemon: &Daemon) {
    let (before, cpu) = (requests_by_verb(daemon), process::cpu(daemon.pid()));
    thread::sleep(IDLE);
    let after = requests_by_verb(daemon);
    let minutes = IDLE.as_secs_f64() / 60.0;
    let cpu = (process::cpu(daemon.pid()) - cpu) / minutes;
    let grown = after.iter().map(|(verb, count)| (verb, (count - before.get(verb).unwrap_or(&0.0)) / minutes));
    let (watches, others): (Vec<_>, Vec<_>) =
        grown.filter(|(_, count)| *count > 0.0).partition(|(verb, _)| *verb == "watch");
    let text = |counts: Vec<(&String, f64)>| {
        counts.iter().map(|(verb, count)| format!("{count:.0} {verb}")).collect::<Vec<_>>().join(", ")
    };
    let others = if others.is_empty() { "0".to_owned() } else { text(others) };
    figure("idle, 100 environments: requests per minute beside watches", &others, "0");
    figure("… watches opened again per minute", &text(watches), "");
    figure("… CPU per minute", &format!("{cpu:.2} s"), "");
}

/// All requests to the API server so far.
fn requests_by_verb(daemon: &Daemon) -> BTreeMap<String, f64> {
    let mut counts = BTreeMap::new();
    for line in daemon.get("/metrics").lines() {
        if let Some(labels) = line.strip_prefix("redis_gitops_kubernetes_requests_total{") {
            let verb = labels.split("verb=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("it has a verb");
            let count: f64 = labels.rsplit(' ').next().and_then(|count| count.parse().ok()).expect("a number");
            *counts.entry(verb.to_owned()).or_default() += count;
        }
    }
    counts
}

/// Whole processes in turn, so that both meet the same machine.
fn renders() {
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/redis");
    let arguments = ["template", "redis", chart];
    let programs = [Path::new(env!("CARGO_BIN_EXE_redis-gitops")).to_owned(), tool("helm")];
    let mut samples = [const { Sample::new() }; 2];
    let mut cpu = [0.0; 2];
    for _ in 0..RENDERS {
        for (which, program) in programs.iter().enumerate() {
            let before = process::cpu_of_ended_children();
            let begun = Instant::now();
            process::run(program, &arguments);
            samples[which].add(begun.elapsed());
            cpu[which] += process::cpu_of_ended_children() - before;
        }
    }
    durations_head();
    durations("redis-gitops template charts/redis, whole process", &samples[0], "");
    durations("helm template charts/redis, whole process", &samples[1], "");
    figures_head();
    figure("helm / redis-gitops, medians", &format!("{:.1}", samples[1].median() / samples[0].median()), "");
    for (which, name) in ["redis-gitops", "helm"].into_iter().enumerate() {
        let memory = (0..RENDERS / 4).map(|_| process::peak_of_run(&programs[which], &arguments));
        let memory = memory.fold(0.0, f64::max);
        let cpu = cpu[which] * 1000.0 / RENDERS as f64;
        figure(&format!("{name} template: CPU, memory"), &format!("{cpu:.1} ms, {memory:.1} MB"), "");
    }
}

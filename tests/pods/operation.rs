//! What the person on call sees: drift undone, metrics, alerts, and no secret.

use std::fs;

use base64::Engine;

use crate::{
    Case,
    daemon::eventually,
    prometheus::Prometheus,
    world::{DEV, ENVIRONMENTS, Environment, PROD, STAGING, World},
};

/// The cases of this file.
pub const CASES: &[Case] = &[
    ("a_scale_by_hand_is_undone", a_scale_by_hand_is_undone),
    ("metrics_say_what_redis_says", metrics_say_what_redis_says),
    ("the_alert_rules_see_drift_and_a_pod_that_is_down", the_alert_rules_see_drift_and_a_pod_that_is_down),
    ("no_secret_is_shown_anywhere", no_secret_is_shown_anywhere),
];

fn a_scale_by_hand_is_undone(world: &World) {
    world.healthy(&STAGING);
    let (primary, corrected) = (world.uid(&STAGING, "redis-0"), corrected(world, &STAGING));
    world.scale(&STAGING, 1);
    let status = world.daemon.wait(STAGING.name, "the drift is undone", |status| {
        let record = &status["recent_drift"][0];
        record["ended"] == "corrected" && record["differences"][0]["path"] == "spec.replicas"
    });
    let writer = &status["recent_drift"][0]["differences"][0]["writer"];
    assert_eq!((&writer["manager"], &writer["subresource"]), (&"kubectl".into(), &"scale".into()));
    let replicas =
        world.plane.get(STAGING.namespace, STAGING.workload).expect("the workload")["spec"]["replicas"].clone();
    assert_eq!(replicas, 2);
    world.healthy(&STAGING);
    assert_eq!(corrected + 1.0, self::corrected(world, &STAGING));
    assert_eq!(primary, world.uid(&STAGING, "redis-0"), "the primary was not touched");
}

fn corrected(world: &World, environment: &Environment) -> f64 {
    let series = format!("redis_gitops_drift_corrected_total{{environment=\"{}\"}}", environment.name);
    world.daemon.metric(&series).expect("a counter that is there from the start")
}

fn metrics_say_what_redis_says(world: &World) {
    const MIB: f64 = 1024.0 * 1024.0;
    for (environment, limit) in [(&DEV, 128.0), (&STAGING, 512.0), (&PROD, 1024.0)] {
        world.healthy(environment);
        let metrics = world.daemon.get("/metrics");
        let series = |name: &str| -> Vec<f64> {
            let begin = format!("{name}{{environment=\"{}\",", environment.name);
            let lines = metrics.lines().filter(|line| line.starts_with(&begin));
            lines.filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect()
        };
        let (name, pods) = (environment.name, environment.pods);
        assert_eq!(
            series("redis_up"),
            vec![1.0; pods],
            "{name}: a series for each pod, and none for those that are gone"
        );
        assert_eq!(series("redis_aof_enabled"), vec![1.0; pods], "{name}");
        assert_eq!(series("redis_aof_last_write_status"), vec![1.0; pods], "{name}");
        assert_eq!(series("redis_connected_slaves").iter().sum::<f64>(), pods as f64 - 1.0, "{name}");
        assert_eq!(series("redis_master_link_up"), vec![1.0; pods - 1], "{name}");
        for maximum in series("redis_memory_max_bytes") {
            assert!((maximum - limit * MIB * 0.7).abs() < MIB, "{name}: maxmemory is 70 % of the limit: {maximum}");
        }
        let version = world.ask(environment, "redis", &["INFO", "server"]);
        let version = version.lines().find_map(|line| line.trim().strip_prefix("redis_version:")).expect("a version");
        assert!(metrics.contains(&format!("redis_version=\"{version}\"")), "{name}: {version}");
        for gauge in ["desired", "up"] {
            let series = format!("redis_gitops_redis_pods_{gauge}{{environment=\"{name}\"}}");
            assert_eq!(world.daemon.metric(&series), Some(pods as f64), "{series}");
        }
    }
}

fn the_alert_rules_see_drift_and_a_pod_that_is_down(world: &World) {
    for environment in ENVIRONMENTS {
        world.healthy(environment);
    }
    let prometheus = Prometheus::start(world.daemon.address());
    world.scale(&STAGING, 1);
    prometheus.wait("DriftDetected", STAGING.name, "firing");
    let pod = world.pods(&DEV)[0].0.clone();
    world.plane.kubectl(&["-n", DEV.namespace, "delete", "pod", &pod, "--wait=false"]);
    prometheus.wait("RedisDown", DEV.name, "pending");
    world.healthy(&STAGING);
    eventually("RedisDown of dev ends with the outage", || prometheus.state("RedisDown", DEV.name).is_none());
    for alert in ["NotSynced", "GitUnreachable", "ComparisonStale", "DaemonAbsent", "DriftPersists"] {
        assert_eq!(prometheus.state(alert, PROD.name), None, "{alert} is quiet");
    }
}

fn no_secret_is_shown_anywhere(world: &World) {
    let mut shown = vec![("the daemon's log".to_owned(), world.daemon.log())];
    for path in ["/", "/metrics", "/api/v1/status", "/environments/dev", "/environments/staging", "/environments/prod"]
    {
        shown.push((path.to_owned(), world.daemon.get(path)));
    }
    for environment in ENVIRONMENTS {
        let namespace = environment.namespace;
        for kind in ["pods", "events", "configmaps", "deployments", "statefulsets"] {
            let arguments = ["-n", namespace, "get", kind, "-o", "json", "--show-managed-fields"];
            shown.push((format!("{kind} of {namespace}"), world.plane.kubectl(&arguments)));
        }
        for (pod, _) in world.pods(environment) {
            shown.push((
                format!("the log of {pod} in {namespace}"),
                world.plane.kubectl(&["-n", namespace, "logs", &pod]),
            ));
        }
    }
    shown.extend(processes());
    for environment in ENVIRONMENTS {
        let password = world.password(environment);
        let encoded = base64::engine::general_purpose::STANDARD.encode(password);
        for (place, text) in &shown {
            assert!(!text.is_empty(), "{place} was read");
            assert!(
                !text.contains(password) && !text.contains(&encoded),
                "{place} shows {}'s password",
                environment.name
            );
        }
    }
}

/// The argument list of every process of the two nodes, known by their control
/// group, and the environment of each Redis server.
fn processes() -> Vec<(String, String)> {
    let mut shown = Vec::new();
    let mut servers = 0;
    for entry in fs::read_dir("/proc").expect("a list of processes").flatten() {
        let text =
            |name: &str| fs::read(entry.path().join(name)).map(|text| String::from_utf8_lossy(&text).into_owned());
        // A process may end while it is looked at, and one that has ended has no arguments.
        let (Ok(group), Ok(arguments)) = (text("cgroup"), text("cmdline")) else { continue };
        if !group.contains("rgc-node") || arguments.is_empty() {
            continue;
        }
        if arguments.starts_with("redis-server") {
            let Ok(environment) = text("environ") else { continue };
            servers += 1;
            shown.push((format!("the environment of {arguments:?}"), environment));
        }
        shown.push((format!("the arguments {arguments:?}"), arguments));
    }
    assert_eq!(servers, 5, "the Redis servers of the three environments are among them");
    shown
}

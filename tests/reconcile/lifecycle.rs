//! The daemon's own life: restarts, kills, configuration changes, an absent Git
//! server.

use std::fs;

use crate::{
    Case,
    control_plane::ControlPlane,
    daemon::{Daemon, eventually},
    git_server::{Behaviour, git},
    world::World,
};

pub const CASES: &[Case] = &[
    ("a_restart_writes_nothing", a_restart_writes_nothing),
    ("a_kill_at_any_moment_loses_nothing", a_kill_at_any_moment_loses_nothing),
    ("a_changed_configuration_takes_effect", a_changed_configuration_takes_effect),
    ("an_unreachable_repository_keeps_the_last_commit", an_unreachable_repository_keeps_the_last_commit),
    ("state_of_a_newer_format_is_refused", state_of_a_newer_format_is_refused),
    ("a_missing_namespace_is_named", a_missing_namespace_is_named),
];

const OBJECTS: [&str; 5] = [
    "deployment/redis",
    "service/redis",
    "pvc/redis-pvc",
    "secret/redis-secret",
    "configmap/redis-gitops-inventory-dev",
];

fn a_restart_writes_nothing(plane: &ControlPlane) {
    let world = World::new(plane, "restart", &["a"]);
    let config = world.configure(&world.dev(""));
    let daemon = Daemon::start(&config);
    let revision = git(&world.origin.work(), &["rev-parse", "HEAD"]);
    daemon.synced("dev", &revision);
    let managed = |object: &str| {
        let object = world.get(object).expect("it is there");
        (
            object["metadata"]["generation"].clone(),
            object["metadata"]["managedFields"].clone(),
            object["metadata"]["uid"].clone(),
        )
    };
    eventually("the controller to have written its part", || {
        let deployment = world.get("deployment/redis").expect("it is there");
        deployment["status"]["observedGeneration"] == deployment["metadata"]["generation"]
            && deployment["status"]["conditions"].as_array().is_some_and(|c| c.len() >= 2)
    });
    assert_eq!(daemon.terminate(), Some(0), "SIGTERM ends it well");
    let before = OBJECTS.map(managed);
    let daemon = Daemon::start(&config);
    daemon.synced("dev", &revision);
    eventually("the first pass", || daemon.get("/readyz") == "ready\n");
    assert_eq!(OBJECTS.map(managed), before);
    for verb in ["apply", "create", "update", "patch", "delete"] {
        let wrote = daemon.get("/metrics").lines().any(|line| {
            line.contains(&format!("verb=\"{verb}\"")) && line.contains("_requests_total") && !line.ends_with(" 0")
        });
        assert!(!wrote, "a restart made a request {verb}");
    }
}

fn a_kill_at_any_moment_loses_nothing(plane: &ControlPlane) {
    let world = World::new(plane, "kill", &["a"]);
    let config = world.configure(&world.dev(""));
    let revision = git(&world.origin.work(), &["rev-parse", "HEAD"]);
    // Each life is killed as soon as one more object exists.
    for object in ["secret/redis-secret", "pvc/redis-pvc", "deployment/redis"] {
        let daemon = Daemon::start(&config);
        eventually(object, || world.get(object).is_some());
        daemon.kill();
        let inventory = world.get("configmap/redis-gitops-inventory-dev").expect("written before the objects");
        let text = inventory["data"]["inventory"].as_str().expect("a document");
        let name = object.split_once('/').expect("kind/name").1;
        assert!(text.contains(name), "{object} exists and is not named in the inventory");
    }
    let daemon = Daemon::start(&config);
    daemon.synced("dev", &revision);
    for object in OBJECTS {
        assert!(world.get(object).is_some(), "{object}");
    }
}

fn a_changed_configuration_takes_effect(plane: &ControlPlane) {
    let world = World::new(plane, "reload", &["a"]);
    let daemon = world.synced_dev("");
    let config = world.configure(&world.dev("    drift: sometimes\n"));
    eventually("the bad configuration to be reported", || {
        daemon.get("/api/v1/status").contains("sometimes") || daemon.log().contains("sometimes")
    });
    world.kubectl(&["scale", "deployment/redis", "--replicas=2"]);
    eventually("the old policy to hold", || world.get("deployment/redis").expect("there")["spec"]["replicas"] == 1);
    let text = fs::read_to_string(&config).expect("a file").replace("drift: sometimes", "drift: alert");
    fs::write(&config, text).expect("a file");
    daemon.wait("dev", "the new policy", |status| status["drift_policy"] == "alert");
    world.kubectl(&["scale", "deployment/redis", "--replicas=2"]);
    daemon.wait("dev", "the drift to be reported", |status| status["drift_first_seen"].is_string());
    assert_eq!(world.get("deployment/redis").expect("there")["spec"]["replicas"], 2);
}

fn an_unreachable_repository_keeps_the_last_commit(plane: &ControlPlane) {
    let world = World::new(plane, "nogit", &["a"]);
    let config = world.configure(&world.dev(""));
    let revision = git(&world.origin.work(), &["rev-parse", "HEAD"]);
    let daemon = Daemon::start(&config);
    daemon.synced("dev", &revision);
    world.server.behave(Behaviour::Status(503));
    daemon.nudge();
    eventually("the failure to be shown", || daemon.get("/api/v1/status").contains("\"consecutive_failures\":1"));
    world.kubectl(&["scale", "deployment/redis", "--replicas=0"]);
    eventually("drift to be undone all the same", || {
        world.get("deployment/redis").expect("there")["spec"]["replicas"] == 1
    });
    daemon.terminate();
    let daemon = Daemon::start(&config);
    daemon.synced("dev", &revision);
    assert_eq!(daemon.metric("redis_gitops_environment_synced{environment=\"dev\"}"), Some(1.0));
}

fn state_of_a_newer_format_is_refused(plane: &ControlPlane) {
    let world = World::new(plane, "newer", &["a"]);
    let inventory = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: redis-gitops-inventory-dev}\ndata: {inventory: '{\"format\": 99}'}\n";
    world.kubectl_with(&["apply", "-f", "-"], inventory).expect("it is valid");
    let daemon = Daemon::start(&world.configure(&world.dev("")));
    let status = daemon.wait("dev", "the refusal", |status| status["sync"]["state"] == "failed");
    assert!(status["sync"]["message"].as_str().is_some_and(|m| m.contains("format 99")), "{status:#}");
    assert!(world.get("deployment/redis").is_none(), "nothing is written");
}

fn a_missing_namespace_is_named(plane: &ControlPlane) {
    let world = World::new(plane, "nons", &[]);
    let daemon = Daemon::start(&world.configure(&world.dev("")));
    let namespace = world.namespace("a");
    daemon.wait("dev", "the namespace to be named", |status| status["sync"].to_string().contains(&namespace));
    plane.kubectl(&["create", "namespace", &namespace]);
    daemon.wait("dev", "the sync once it is there", |status| status["sync"]["state"] == "synced");
}

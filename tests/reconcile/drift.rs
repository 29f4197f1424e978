//! Changes made by hand: found, named, undone or only reported.

use serde_json::json;

use crate::{
    Case,
    control_plane::ControlPlane,
    daemon::{Daemon, eventually},
    world::World,
};

pub const CASES: &[Case] = &[
    ("a_manual_scale_is_undone_and_its_culprit_named", a_manual_scale_is_undone_and_its_culprit_named),
    ("under_alert_drift_is_reported_and_left", under_alert_drift_is_reported_and_left),
    ("what_git_does_not_state_is_removed", what_git_does_not_state_is_removed),
    ("a_deleted_object_comes_back", a_deleted_object_comes_back),
    ("an_object_that_lost_its_label_is_found_again", an_object_that_lost_its_label_is_found_again),
    ("a_steady_environment_asks_nothing", a_steady_environment_asks_nothing),
    ("a_restart_of_the_pods_by_hand_is_no_drift", a_restart_of_the_pods_by_hand_is_no_drift),
];

fn a_manual_scale_is_undone_and_its_culprit_named(plane: &ControlPlane) {
    let world = World::new(plane, "scale", &["a"]);
    let daemon = world.synced_dev("");
    world.kubectl(&["scale", "deployment/redis", "--replicas=3"]);
    let status = daemon.wait("dev", "the drift to be recorded", |status| {
        status["recent_drift"].as_array().is_some_and(|drift| drift.iter().any(|d| d["ended"] == "corrected"))
    });
    let drift = &status["recent_drift"][0]["differences"][0];
    assert_eq!((&drift["path"], &drift["live"], &drift["desired"]), (&json!("spec.replicas"), &json!(3), &json!(1)));
    assert_eq!((&drift["class"], &drift["writer"]["manager"]), (&json!("changed"), &json!("kubectl")));
    assert_eq!(drift["writer"]["subresource"], "scale");
    assert_eq!(world.get("deployment/redis").expect("it is there")["spec"]["replicas"], 1);
    assert_eq!(daemon.metric("redis_gitops_drift_detected_total{class=\"changed\",environment=\"dev\"}"), Some(1.0));
    assert_eq!(daemon.metric("redis_gitops_drift_corrected_total{environment=\"dev\"}"), Some(1.0));
    assert_eq!(daemon.metric("redis_gitops_drifted_objects{environment=\"dev\"}"), Some(0.0));
    assert_eq!(daemon.metric("redis_gitops_drift_first_seen_timestamp_seconds{environment=\"dev\"}"), None);
}

fn under_alert_drift_is_reported_and_left(plane: &ControlPlane) {
    let world = World::new(plane, "alert", &["a"]);
    let daemon = world.synced_dev("    drift: alert\n");
    world.kubectl(&["scale", "deployment/redis", "--replicas=0"]);
    eventually("the drift to be reported", || {
        daemon.metric("redis_gitops_drifted_objects{environment=\"dev\"}") == Some(1.0)
    });
    assert!(daemon.metric("redis_gitops_drift_first_seen_timestamp_seconds{environment=\"dev\"}").is_some());
    assert_eq!(world.get("deployment/redis").expect("it is there")["spec"]["replicas"], 0, "it is left as it is");
    // A commit to another object does not touch the drifted one.
    let values = world.read("environments/dev/values.yaml");
    let annotated = format!("{values}\nservice:\n  annotations:\n    example.com/merged: \"yes\"\n");
    world.write("environments/dev/values.yaml", &annotated);
    let revision = world.push("Annotate the service");
    daemon.nudge();
    daemon.synced("dev", &revision);
    let service = world.get("service/redis").expect("it is there");
    assert_eq!(service.pointer("/metadata/annotations/example.com~1merged"), Some(&json!("yes")));
    assert_eq!(world.get("deployment/redis").expect("it is there")["spec"]["replicas"], 0, "it is still left");
    world.kubectl(&["scale", "deployment/redis", "--replicas=1"]);
    eventually("the drift to end", || daemon.metric("redis_gitops_drifted_objects{environment=\"dev\"}") == Some(0.0));
    assert_eq!(daemon.metric("redis_gitops_drift_corrected_total{environment=\"dev\"}"), Some(0.0));
}

fn what_git_does_not_state_is_removed(plane: &ControlPlane) {
    let world = World::new(plane, "undeclared", &["a"]);
    let daemon = world.synced_dev("");
    // Neither changes the answer of a dry-run: an apply alone would leave them.
    let patch = json!({"spec": {"template": {"spec": {
        "hostNetwork": true,
        "containers": [{"name": "intruder", "image": "intruder"}],
    }}}});
    world.kubectl(&["patch", "deployment/redis", "--type=strategic", "-p", &patch.to_string()]);
    eventually("the additions to go", || {
        let pod = &world.get("deployment/redis").expect("it is there")["spec"]["template"]["spec"];
        pod.get("hostNetwork").is_none() && pod["containers"].as_array().is_some_and(|c| c.len() == 1)
    });
    eventually("the finding to be counted", || {
        daemon.metric("redis_gitops_drift_detected_total{class=\"undeclared\",environment=\"dev\"}") >= Some(2.0)
    });
}

fn a_deleted_object_comes_back(plane: &ControlPlane) {
    let world = World::new(plane, "deleted", &["a"]);
    let daemon = world.synced_dev("");
    world.kubectl(&["delete", "service/redis", "--wait=true"]);
    eventually("the service to be back", || world.get("service/redis").is_some());
    daemon.wait("dev", "the drift to be recorded", |status| status["recent_drift"].to_string().contains("missing"));
}

fn an_object_that_lost_its_label_is_found_again(plane: &ControlPlane) {
    let world = World::new(plane, "label", &["a"]);
    let _daemon = world.synced_dev("");
    world.kubectl(&["label", "service/redis", "redis-gitops/environment-"]);
    eventually("the label to be restored", || {
        let service = world.get("service/redis").expect("it is there");
        service.pointer("/metadata/labels/redis-gitops~1environment") == Some(&json!("dev"))
    });
}

fn a_steady_environment_asks_nothing(plane: &ControlPlane) {
    let world = World::new(plane, "steady", &["a"]);
    let daemon = world.synced_dev("");
    // The controllers' own status writes have settled once the deployment's are there.
    eventually("the deployment to be observed", || {
        let deployment = world.get("deployment/redis").expect("it is there");
        deployment["status"]["observedGeneration"] == deployment["metadata"]["generation"]
    });
    let mut before = daemon.requests();
    eventually("two equal counts in a row", || {
        let now = daemon.requests();
        let same = now.to_bits() == before.to_bits();
        before = now;
        same
    });
    let version = |object: &str| world.get(object).expect("it is there")["metadata"]["resourceVersion"].clone();
    let versions = ["deployment/redis", "service/redis", "pvc/redis-pvc", "secret/redis-secret"].map(version);
    // A poll, and a change of status alone, cause no request.
    daemon.nudge();
    let status = json!({"status": {"observedGeneration": 1, "readyReplicas": 0, "replicas": 1}});
    world.kubectl(&["patch", "deployment/redis", "--subresource=status", "--type=merge", "-p", &status.to_string()]);
    let polls = "redis_gitops_git_fetch_total{";
    eventually("the poll", || {
        daemon.get("/metrics").lines().any(|l| l.starts_with(polls) && !l.ends_with(" 1") && !l.ends_with(" 0"))
    });
    assert_eq!(daemon.requests().to_bits(), before.to_bits());
    assert_eq!(version("service/redis"), versions[1]);
    assert_eq!(version("secret/redis-secret"), versions[3]);
}

fn a_restart_of_the_pods_by_hand_is_no_drift(plane: &ControlPlane) {
    let world = World::new(plane, "rollout", &["a"]);
    let daemon: Daemon = world.synced_dev("");
    world.kubectl(&["rollout", "restart", "deployment/redis"]);
    world.kubectl(&["scale", "deployment/redis", "--replicas=2"]);
    eventually("the scale, which is drift, to be undone", || {
        world.get("deployment/redis").expect("it is there")["spec"]["replicas"] == 1
    });
    let deployment = world.get("deployment/redis").expect("it is there");
    let restarted = "/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt";
    assert!(deployment.pointer(restarted).is_some(), "the restart is left in place");
    assert_eq!(daemon.metric("redis_gitops_drift_detected_total{class=\"undeclared\",environment=\"dev\"}"), Some(0.0));
}

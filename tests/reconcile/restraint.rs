//! What must not be written: half of a refused commit, an older commit, another's
//! drift under `alert`, and the same correction without end.

use std::fs;

use serde_json::{Value, json};

use crate::{
    Case,
    commits::{notes_environment, with_notes},
    control_plane::ControlPlane,
    daemon::{Daemon, eventually},
    git_server::{Behaviour, git},
    world::World,
};

pub const CASES: &[Case] = &[
    ("under_alert_an_equal_value_written_anew_is_settled", under_alert_an_equal_value_written_anew_is_settled),
    ("under_alert_an_undeclared_field_stays_drift_after_a_commit", an_undeclared_field_stays_drift),
    ("a_finished_commit_stays_when_the_next_is_broken", a_finished_commit_stays_when_the_next_is_broken),
    ("a_configuration_that_is_refused_changes_nothing", a_configuration_that_is_refused_changes_nothing),
    ("a_mirror_left_behind_rolls_nothing_back", a_mirror_left_behind_rolls_nothing_back),
    ("an_inventory_deleted_by_hand_is_written_again", an_inventory_deleted_by_hand_is_written_again),
    ("a_kill_before_the_inventory_is_written_keeps_the_claim", a_kill_before_the_inventory_keeps_the_claim),
    ("a_commit_that_does_not_become_ready_is_named", a_commit_that_does_not_become_ready_is_named),
    ("somebody_who_insists_is_corrected_ever_more_slowly", somebody_who_insists_is_corrected_ever_more_slowly),
];

const VALUES: &str = "environments/dev/values.yaml";

fn drifted(daemon: &Daemon) -> Option<f64> {
    daemon.metric("redis_gitops_drifted_objects{environment=\"dev\"}")
}

fn under_alert_an_equal_value_written_anew_is_settled(plane: &ControlPlane) {
    let world = World::new(plane, "equal", &["a"]);
    let daemon = world.synced_dev("    drift: alert\n");
    // The API server keeps the same quantity: nothing is there to write.
    let values = world.read(VALUES);
    world.write(VALUES, &values.replace("cpu: 50m", "cpu: \"0.05\""));
    let revision = world.push("Write the limit in cores");
    daemon.nudge();
    daemon.synced("dev", &revision);
    world.kubectl(&["scale", "deployment/redis", "--replicas=0"]);
    eventually("the drift to be reported", || drifted(&daemon) == Some(1.0));
    assert_eq!(world.get("deployment/redis").expect("it is there")["spec"]["replicas"], 0, "alert changes nothing");
}

fn an_undeclared_field_stays_drift(plane: &ControlPlane) {
    let world = World::new(plane, "undecl", &["a"]);
    let daemon = world.synced_dev("    drift: alert\n");
    let patch = json!({"spec": {"template": {"spec": {"hostNetwork": true}}}}).to_string();
    world.kubectl(&["patch", "deployment/redis", "--type=strategic", "-p", &patch]);
    eventually("the drift to be reported", || drifted(&daemon) == Some(1.0));
    let values = world.read(VALUES);
    world.write(VALUES, &format!("{values}\npodAnnotations:\n  example.com/merged: \"yes\"\n"));
    let revision = world.push("Annotate the pods");
    daemon.nudge();
    daemon.synced("dev", &revision);
    let deployment = world.get("deployment/redis").expect("it is there");
    assert_eq!(deployment.pointer("/spec/template/spec/hostNetwork"), Some(&json!(true)), "alert removes nothing");
    daemon.nudge();
    daemon.wait("dev", "the drift to be shown still", |status| status["drift_first_seen"].is_string());
    assert!(!daemon.log().contains("admission changes"), "nobody but a person changed it");
}

fn a_finished_commit_stays_when_the_next_is_broken(plane: &ControlPlane) {
    let world = World::new(plane, "finished", &["a"]);
    with_notes(&world, &["one", "two", "three", "four", "five", "six", "seven"]);
    let first = world.push("Begin with seven notes");
    let daemon = Daemon::start(&world.configure(&notes_environment(&world, "")));
    daemon.synced("dev", &first);
    // A quota lets each dry-run pass, and the second of two applies not.
    let count = world.kubectl(&["get", "configmaps", "-o", "name"]).lines().count();
    quota(&world, count + 1);
    with_notes(&world, &["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]);
    let second = world.push("Add two notes");
    daemon.nudge();
    daemon.wait("dev", "half a commit", |status| status["sync"]["state"] == "partial");
    world.write(VALUES, "notes: [\n");
    world.push("Break the values");
    daemon.nudge();
    daemon.wait("dev", "the third to fail", |status| status["sync"]["state"] == "failed");
    world.kubectl(&["delete", "resourcequota", "few"]);
    daemon.wait("dev", "the second to be finished", |status| status["applied"]["revision"] == second);
    world.kubectl(&["delete", "configmap", "note-one"]);
    eventually("drift to be undone", || world.get("configmap/note-one").is_some());
    for note in ["configmap/note-eight", "configmap/note-nine"] {
        assert!(world.get(note).is_some(), "{note} belongs to the commit that was finished");
    }
    assert_eq!(daemon.environment("dev")["applied"]["revision"], second);
}

fn quota(world: &World<'_>, configmaps: usize) {
    let hard = format!("--hard=count/configmaps={configmaps}");
    world.kubectl(&["create", "quota", "few", &hard]);
    eventually("the quota to be in force", || {
        let quota = world.get("resourcequota/few").expect("it is there");
        quota.pointer("/status/used/count~1configmaps").is_some()
    });
}

fn a_configuration_that_is_refused_changes_nothing(plane: &ControlPlane) {
    let world = World::new(plane, "refconf", &["a"]);
    world.write(
        "environments/dev/more.yaml",
        "persistence: {size: 1Gi}\nservice: {annotations: {example.com/half: \"yes\"}}\n",
    );
    world.push("Add values that nobody uses yet");
    let daemon = world.synced_dev("");
    let config = world.configure(&world.dev(""));
    let text = fs::read_to_string(&config).expect("a configuration");
    let both = "values: [environments/dev/values.yaml, environments/dev/more.yaml]";
    fs::write(&config, text.replace("values: [environments/dev/values.yaml]", both)).expect("a configuration");
    let status = daemon.wait("dev", "the refusal", |status| status["sync"]["state"] == "refused");
    assert!(status["sync"].to_string().contains("redis-pvc"), "{status:#}");
    world.kubectl(&["scale", "deployment/redis", "--replicas=0"]);
    eventually("drift to be undone all the same", || {
        world.get("deployment/redis").expect("it is there")["spec"]["replicas"] == 1
    });
    let service = world.get("service/redis").expect("it is there");
    assert_eq!(service.pointer("/metadata/annotations/example.com~1half"), None, "nothing of it is applied");
    fs::write(&config, text.replace(both, "values: [environments/dev/values.yaml]")).expect("a configuration");
    daemon.wait("dev", "the old configuration to be in force", |status| status["sync"]["state"] == "synced");
}

fn a_mirror_left_behind_rolls_nothing_back(plane: &ControlPlane) {
    let world = World::new(plane, "behind", &["a"]);
    with_notes(&world, &["one", "two", "three", "four"]);
    let first = world.push("Begin with four notes");
    let behind = world.configure_as("behind", &plane.kubeconfig(), &notes_environment(&world, ""));
    let daemon = Daemon::start(&behind);
    daemon.synced("dev", &first);
    daemon.terminate();
    with_notes(&world, &["one", "two", "three", "four", "five"]);
    let second = world.push("Add a fifth");
    let daemon = Daemon::start(&world.configure(&notes_environment(&world, "")));
    daemon.synced("dev", &second);
    daemon.terminate();
    world.server.behave(Behaviour::Status(503));
    let daemon = Daemon::start(&behind);
    daemon.wait("dev", "the first pass", |status| status["sync"]["state"] == "failed");
    assert!(world.get("configmap/note-five").is_some(), "the mirror knows only the commit before");
    world.server.behave(Behaviour::Serve);
    daemon.nudge();
    daemon.synced("dev", &second);
}

fn an_inventory_deleted_by_hand_is_written_again(plane: &ControlPlane) {
    let world = World::new(plane, "noinv", &["a"]);
    with_notes(&world, &["one", "two", "three", "four"]);
    let first = world.push("Begin with four notes");
    let daemon = Daemon::start(&world.configure(&notes_environment(&world, "")));
    daemon.synced("dev", &first);
    world.kubectl(&["delete", "configmap", "redis-gitops-inventory-dev"]);
    with_notes(&world, &["one", "two", "three"]);
    let second = world.push("Drop the fourth");
    daemon.nudge();
    daemon.synced("dev", &second);
    assert!(world.get("configmap/note-four").is_none(), "what it named is still known");
    assert!(world.get("configmap/redis-gitops-inventory-dev").is_some());
}

/// The inventory as a kill leaves it between the applies and its last write.
fn a_kill_before_the_inventory_keeps_the_claim(plane: &ControlPlane) {
    let world = World::new(plane, "identity", &["a"]);
    let config = world.configure(&world.dev(""));
    let daemon = Daemon::start(&config);
    let revision = git(&world.origin.work(), &["rev-parse", "HEAD"]);
    daemon.synced("dev", &revision);
    daemon.terminate();
    let key = "configmap/redis-gitops-inventory-dev";
    let inventory = world.get(key).expect("it is there");
    let text = inventory["data"]["inventory"].as_str().expect("a document");
    let mut document: Value = serde_json::from_str(text).expect("JSON");
    document["applied"] = Value::Null;
    document["applying"] = json!(revision);
    for line in document["objects"].as_array_mut().expect("objects") {
        for field in ["uid", "digest", "revision"] {
            line[field] = Value::Null;
        }
    }
    let patch = json!({"data": {"inventory": document.to_string()}}).to_string();
    world.kubectl(&["patch", key, "--type=merge", "-p", &patch]);
    let daemon = Daemon::start(&config);
    daemon.synced("dev", &revision);
    let claim = world.get("pvc/redis-pvc").expect("it is there")["metadata"]["uid"].clone();
    let inventory = world.get(key).expect("it is there").to_string();
    assert!(inventory.contains(claim.as_str().expect("a uid")), "the claim is known by its uid: {inventory}");
}

fn a_commit_that_does_not_become_ready_is_named(plane: &ControlPlane) {
    let world = World::new(plane, "late", &["a"]);
    // No node runs its pods here.
    let daemon = world.synced_dev("    timeouts: {ready: 1s}\n");
    daemon.wait("dev", "the warning", |status| status["warnings"].to_string().contains("timeouts.ready"));
}

fn somebody_who_insists_is_corrected_ever_more_slowly(plane: &ControlPlane) {
    let world = World::new(plane, "insist", &["a"]);
    let daemon = world.synced_dev("");
    let corrected = || daemon.metric("redis_gitops_drift_corrected_total{environment=\"dev\"}").unwrap_or_default();
    for _ in 0..25 {
        world.kubectl(&["label", "--overwrite", "service/redis", "app.kubernetes.io/name=mine"]);
    }
    assert!(corrected() <= 12.0, "{} corrections in a few seconds", corrected());
    eventually("the last word to be Git's", || {
        world.get("service/redis").expect("it is there").pointer("/metadata/labels/app.kubernetes.io~1name")
            == Some(&json!("redis"))
    });
}

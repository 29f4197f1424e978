//! What a rule ignores stays as others set it, and is counted.

use serde_json::json;

use crate::{Case, control_plane::ControlPlane, daemon::eventually, world::World};

pub const CASES: &[Case] = &[("an_ignored_field_is_left_and_counted", an_ignored_field_is_left_and_counted)];

fn an_ignored_field_is_left_and_counted(plane: &ControlPlane) {
    let world = World::new(plane, "ignore", &["a"]);
    let rules = "    ignore:\n      - {kind: Deployment, fields: [/spec/replicas]}\n      - {manager: tuner}\n";
    let daemon = world.synced_dev(rules);
    world.kubectl(&["scale", "deployment/redis", "--replicas=3"]);
    let patch = json!({"metadata": {"annotations": {"example.com/tuned": "yes"}}, "spec": {"minReadySeconds": 7}});
    let patch = patch.to_string();
    world.kubectl(&["patch", "deployment/redis", "--field-manager=tuner", "--type=merge", "-p", &patch]);
    eventually("the hidden fields to be counted", || {
        daemon.metric("redis_gitops_ignored_fields{environment=\"dev\"}") == Some(3.0)
    });
    // A commit to the same object applies what it changes and leaves the rest.
    let values = world.read("environments/dev/values.yaml");
    world
        .write("environments/dev/values.yaml", &format!("{values}\npodAnnotations: {{example.com/merged: \"yes\"}}\n"));
    let revision = world.push("Annotate the pods");
    daemon.nudge();
    daemon.synced("dev", &revision);
    let deployment = world.get("deployment/redis").expect("it is there");
    let merged = "/spec/template/metadata/annotations/example.com~1merged";
    assert_eq!(deployment.pointer(merged), Some(&json!("yes")));
    assert_eq!((&deployment["spec"]["replicas"], &deployment["spec"]["minReadySeconds"]), (&json!(3), &json!(7)));
    assert_eq!(deployment.pointer("/metadata/annotations/example.com~1tuned"), Some(&json!("yes")));
    assert_eq!(daemon.metric("redis_gitops_drifted_objects{environment=\"dev\"}"), Some(0.0));
    assert_eq!(daemon.metric("redis_gitops_drift_corrected_total{environment=\"dev\"}"), Some(0.0));
    assert_eq!(
        daemon.metric("redis_gitops_changes_total{consequence=\"recreate\",environment=\"dev\"}"),
        Some(1.0),
        "new pod annotations restart the one pod"
    );
}

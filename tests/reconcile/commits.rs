//! What a commit does: applied, refused, broken, pruned, detached.

use serde_json::json;

use crate::{Case, control_plane::ControlPlane, daemon::Daemon, git_server::git, world::World};

pub const CASES: &[Case] = &[
    ("a_merge_changes_the_live_object", a_merge_changes_the_live_object),
    ("a_bad_value_is_refused_with_file_line_and_column", a_bad_value_is_refused_with_file_line_and_column),
    ("a_broken_commit_is_followed_by_its_fix", a_broken_commit_is_followed_by_its_fix),
    ("drift_is_undone_while_the_tip_is_broken", drift_is_undone_while_the_tip_is_broken),
    ("an_invalid_object_applies_nothing_of_its_commit", an_invalid_object_applies_nothing_of_its_commit),
    ("what_left_git_is_pruned", what_left_git_is_pruned),
    ("a_workload_is_pruned_only_with_a_token_in_git", a_workload_is_pruned_only_with_a_token_in_git),
    ("a_claim_that_left_git_is_kept", a_claim_that_left_git_is_kept),
    ("a_missing_branch_deletes_nothing", a_missing_branch_deletes_nothing),
    ("two_environments_share_a_namespace_in_peace", two_environments_share_a_namespace_in_peace),
    ("a_shrunk_claim_is_refused", a_shrunk_claim_is_refused),
];

const VALUES: &str = "environments/dev/values.yaml";

/// A second chart whose objects come and go more easily than Redis'.
pub fn with_notes(world: &World<'_>, notes: &[&str]) {
    let chart = "apiVersion: v2\nname: notes\nversion: 1.0.0\n";
    world.write("charts/notes/Chart.yaml", chart);
    let template = "{{- range .Values.notes }}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: note-{{ . }}\ndata:\n  text: {{ . | quote }}\n{{- end }}\n";
    world.write("charts/notes/templates/notes.yaml", template);
    world.write(VALUES, &format!("notes: [{}]\n", notes.join(", ")));
}

/// The environment `dev` with that chart.
pub fn notes_environment(world: &World<'_>, more: &str) -> String {
    world.dev(more).replace("charts/redis", "charts/notes")
}

fn a_merge_changes_the_live_object(plane: &ControlPlane) {
    let world = World::new(plane, "merge", &["a"]);
    let daemon = world.synced_dev("");
    let values = world.read(VALUES);
    world.write(VALUES, &format!("{values}\npodAnnotations:\n  example.com/merged: \"yes\"\n"));
    let revision = world.push("Annotate the pods");
    daemon.nudge();
    let status = daemon.synced("dev", &revision);
    assert_eq!(status["applied"]["subject"], "Annotate the pods");
    let deployment = world.get("deployment/redis").expect("it is there");
    assert_eq!(deployment.pointer("/spec/template/metadata/annotations/example.com~1merged"), Some(&json!("yes")));
    assert_eq!(deployment.pointer("/metadata/labels/redis-gitops~1environment"), Some(&json!("dev")));
    assert_eq!(daemon.metric("redis_gitops_sync_total{environment=\"dev\",result=\"success\"}"), Some(2.0));
    assert_eq!(daemon.metric("redis_gitops_environment_synced{environment=\"dev\"}"), Some(1.0));
}

fn a_bad_value_is_refused_with_file_line_and_column(plane: &ControlPlane) {
    let world = World::new(plane, "badvalue", &["a"]);
    let daemon = world.synced_dev("");
    let before = world.get("deployment/redis").expect("it is there");
    let values = world.read(VALUES);
    let line = values.lines().count() + 2;
    world.write(VALUES, &format!("{values}\nreplicaCount: many\n"));
    let revision = world.push("Set a count that is none");
    daemon.nudge();
    let status = daemon.wait("dev", "the commit to fail", |status| status["sync"]["state"] == "failed");
    let message = status["sync"]["message"].as_str().expect("a message");
    for part in [&format!("{VALUES}:{line}:"), "replicaCount", &revision[..12]] {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
    assert_eq!(
        world.get("deployment/redis").expect("still there")["metadata"]["generation"],
        before["metadata"]["generation"]
    );
    assert_eq!(daemon.metric("redis_gitops_sync_total{environment=\"dev\",result=\"failure\"}"), Some(1.0));
    assert_eq!(daemon.metric("redis_gitops_environment_synced{environment=\"dev\"}"), Some(0.0));
}

fn a_broken_commit_is_followed_by_its_fix(plane: &ControlPlane) {
    let world = World::new(plane, "fix", &["a"]);
    let daemon = world.synced_dev("");
    let template = world.read("charts/redis/templates/service.yaml");
    world.write("charts/redis/templates/service.yaml", &format!("{{{{ .Values.service.nothing.here }}}}\n{template}"));
    world.push("Break a template");
    daemon.nudge();
    let status = daemon.wait("dev", "the commit to fail", |status| status["sync"]["state"] == "failed");
    let message = status["sync"]["message"].as_str().expect("a message");
    assert!(message.contains("redis/templates/service.yaml:1:"), "{message}");
    world.write("charts/redis/templates/service.yaml", &template);
    let revision = world.push("Mend it");
    daemon.nudge();
    daemon.synced("dev", &revision);
}

fn drift_is_undone_while_the_tip_is_broken(plane: &ControlPlane) {
    let world = World::new(plane, "brokentip", &["a"]);
    let daemon = world.synced_dev("");
    world.write(VALUES, "replicaCount: [\n");
    world.push("Break the values");
    daemon.nudge();
    daemon.wait("dev", "the commit to fail", |status| status["sync"]["state"] == "failed");
    world.kubectl(&["scale", "deployment/redis", "--replicas=0"]);
    crate::daemon::eventually("the scale to be undone", || {
        world.get("deployment/redis").expect("it is there")["spec"]["replicas"] == 1
    });
}

fn an_invalid_object_applies_nothing_of_its_commit(plane: &ControlPlane) {
    let world = World::new(plane, "invalid", &["a"]);
    with_notes(&world, &["one"]);
    let first = world.push("Begin with one note");
    let daemon = Daemon::start(&world.configure(&notes_environment(&world, "")));
    daemon.synced("dev", &first);
    with_notes(&world, &["one", "two"]);
    world.write(
        "charts/notes/templates/wrong.yaml",
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: wrong\nspec:\n  ports:\n    - port: 99999\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: worse\ndata:\n  n: 5\n",
    );
    world.push("State two objects that are not valid");
    daemon.nudge();
    let status = daemon.wait("dev", "the commit to be refused", |status| status["sync"]["state"] == "refused");
    let refusals = status["sync"]["refusals"].to_string();
    assert!(refusals.contains("99999") && refusals.contains("worse"), "both are listed: {refusals}");
    assert!(world.get("configmap/note-two").is_none(), "nothing of the commit is applied");
    assert_eq!(daemon.metric("redis_gitops_sync_total{environment=\"dev\",result=\"refused\"}"), Some(1.0));
}

fn what_left_git_is_pruned(plane: &ControlPlane) {
    let world = World::new(plane, "prune", &["a"]);
    with_notes(&world, &["one", "two", "three", "four"]);
    let first = world.push("Begin with four notes");
    let daemon = Daemon::start(&world.configure(&notes_environment(&world, "")));
    daemon.synced("dev", &first);
    world.kubectl(&["create", "configmap", "note-stranger"]);
    with_notes(&world, &["one", "two", "three"]);
    let second = world.push("Drop the fourth");
    daemon.nudge();
    daemon.synced("dev", &second);
    assert!(world.get("configmap/note-four").is_none(), "it left Git");
    assert!(world.get("configmap/note-stranger").is_some(), "it was never ours");
    with_notes(&world, &["three"]);
    let third = world.push("Drop two of three");
    daemon.nudge();
    let status = daemon.wait("dev", "the breaker to hold", |status| status["sync"]["state"] == "refused");
    assert!(status["sync"].to_string().contains("prune"), "{status:#}");
    assert!(world.get("configmap/note-one").is_some() && world.get("configmap/note-two").is_some());
    assert_ne!(status["applied"]["revision"], third);
}

fn a_workload_is_pruned_only_with_a_token_in_git(plane: &ControlPlane) {
    let world = World::new(plane, "token", &["a"]);
    with_notes(&world, &["one", "two", "three", "four", "five"]);
    let workload = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec:\n      containers: [{name: web, image: web}]\n";
    world.write("charts/notes/templates/web.yaml", workload);
    let first = world.push("Begin with a workload");
    let daemon = Daemon::start(&world.configure(&notes_environment(&world, "")));
    daemon.synced("dev", &first);
    std::fs::remove_file(world.origin.work().join("charts/notes/templates/web.yaml")).expect("it is there");
    world.push("Drop the workload");
    daemon.nudge();
    daemon.wait("dev", "the breaker to hold", |status| status["sync"]["state"] == "refused");
    assert!(world.get("deployment/web").is_some());
    world.write("environments/dev/gitops.yaml", &format!("prune:\n  confirm: {first}\n"));
    let confirmed = world.push("Confirm that the workload goes");
    daemon.nudge();
    daemon.synced("dev", &confirmed);
    assert!(world.get("deployment/web").is_none());
}

fn a_claim_that_left_git_is_kept(plane: &ControlPlane) {
    let world = World::new(plane, "claim", &["a"]);
    with_notes(&world, &["one", "two", "three", "four"]);
    let claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata:\n  name: data\nspec:\n  accessModes: [ReadWriteOnce]\n  resources: {requests: {storage: 1Gi}}\n";
    world.write("charts/notes/templates/claim.yaml", claim);
    let first = world.push("Begin with a claim");
    let daemon = Daemon::start(&world.configure(&notes_environment(&world, "")));
    daemon.synced("dev", &first);
    std::fs::remove_file(world.origin.work().join("charts/notes/templates/claim.yaml")).expect("it is there");
    world.write("environments/dev/gitops.yaml", &format!("prune:\n  confirm: {first}\n"));
    let second = world.push("Drop the claim, with a token even");
    daemon.nudge();
    daemon.synced("dev", &second);
    assert!(world.get("pvc/data").expect("kept")["metadata"].get("deletionTimestamp").is_none());
}

fn a_missing_branch_deletes_nothing(plane: &ControlPlane) {
    let world = World::new(plane, "nobranch", &["a"]);
    let daemon = world.synced_dev("");
    git(&world.origin.bare(), &["branch", "-q", "-m", "env/dev", "env/moved"]);
    daemon.nudge();
    let status = daemon.wait("dev", "the environment to be detached", |status| status["sync"]["state"] == "detached");
    assert!(status["sync"]["message"].as_str().is_some_and(|m| m.contains("env/dev")), "{status:#}");
    assert!(world.get("deployment/redis").is_some() && world.get("pvc/redis-pvc").is_some());
    git(&world.origin.bare(), &["branch", "-q", "-m", "env/moved", "env/dev"]);
    daemon.nudge();
    daemon.wait("dev", "the environment to be synced again", |status| status["sync"]["state"] == "synced");
}

fn two_environments_share_a_namespace_in_peace(plane: &ControlPlane) {
    let world = World::new(plane, "shared", &["a"]);
    with_notes(&world, &["one", "two", "three", "four"]);
    world.write("environments/other/values.yaml", "notes: [five, six, seven, eight]\n");
    let first = world.push("Begin with two environments");
    let dev = notes_environment(&world, "");
    let other =
        dev.replace("name: dev", "name: other").replace("/dev/values", "/other/values") + "    release: other\n";
    let daemon = Daemon::start(&world.configure(&(dev + &other)));
    daemon.synced("dev", &first);
    daemon.synced("other", &first);
    with_notes(&world, &["one", "two", "three"]);
    let second = world.push("Drop a note of the first");
    daemon.nudge();
    daemon.synced("dev", &second);
    daemon.synced("other", &second);
    assert!(world.get("configmap/note-four").is_none());
    assert!(world.get("configmap/note-eight").is_some(), "the other environment's objects stay");
    with_notes(&world, &["one", "two", "three", "eight"]);
    world.push("Claim an object of the other environment");
    daemon.nudge();
    let status = daemon.wait("dev", "the theft to be refused", |status| status["sync"]["state"] == "refused");
    assert!(status["sync"].to_string().contains("other"), "the owner is named: {status:#}");
}

fn a_shrunk_claim_is_refused(plane: &ControlPlane) {
    let world = World::new(plane, "shrink", &["a"]);
    let daemon = world.synced_dev("");
    let values = world.read(VALUES);
    world.write(VALUES, &values.replace("size: 2Gi", "size: 1Gi"));
    world.push("Shrink the claim");
    daemon.nudge();
    let status = daemon.wait("dev", "the shrink to be refused", |status| status["sync"]["state"] == "refused");
    assert!(status["sync"].to_string().contains("redis-pvc"), "{status:#}");
    world.kubectl(&["scale", "deployment/redis", "--replicas=0"]);
    crate::daemon::eventually("drift to be undone while the commit is refused", || {
        world.get("deployment/redis").expect("it is there")["spec"]["replicas"] == 1
    });
}

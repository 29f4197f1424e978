//! An API server that is away, forbids, or forgets; a Git server that never answered.

use std::net::SocketAddr;

use serde_json::json;

use crate::{
    Case,
    api_proxy::ApiProxy,
    commits::{notes_environment, with_notes},
    control_plane::ControlPlane,
    daemon::{Daemon, eventually},
    git_server::{Behaviour, git},
    world::World,
};

pub const CASES: &[Case] = &[
    ("an_api_server_that_is_away_is_waited_for", an_api_server_that_is_away_is_waited_for),
    ("the_process_is_not_ready_before_git_has_answered", the_process_is_not_ready_before_git_has_answered),
    ("a_kind_that_cannot_be_watched_is_read_by_name", a_kind_that_cannot_be_watched_is_read_by_name),
    ("what_may_not_be_read_is_not_forgotten", what_may_not_be_read_is_not_forgotten),
    ("a_commit_refused_by_a_quota_is_applied_once_it_fits", a_commit_refused_by_a_quota_is_applied_once_it_fits),
    ("a_namespace_that_comes_back_is_filled_again", a_namespace_that_comes_back_is_filled_again),
    ("a_chart_may_state_its_own_namespace", a_chart_may_state_its_own_namespace),
    ("an_object_labelled_for_another_environment_is_found", an_object_labelled_for_another_environment_is_found),
    ("a_kind_that_appears_later_is_applied", a_kind_that_appears_later_is_applied),
];

const VALUES: &str = "environments/dev/values.yaml";

/// A kubeconfig that leads through a proxy.
fn proxied(world: &World<'_>) -> (ApiProxy, std::path::PathBuf) {
    let text = std::fs::read_to_string(world.plane.kubeconfig()).expect("a kubeconfig");
    let address = text.split("https://").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("an address");
    let proxy = ApiProxy::cut_off(address.parse::<SocketAddr>().expect("an address"));
    let kubeconfig = world.kubeconfig_with(address, &proxy.address().to_string());
    (proxy, kubeconfig)
}

fn an_api_server_that_is_away_is_waited_for(plane: &ControlPlane) {
    let world = World::new(plane, "away", &["a"]);
    let (proxy, kubeconfig) = proxied(&world);
    let daemon = Daemon::start(&world.configure_as("away", &kubeconfig, &world.dev("")));
    eventually("the failure to be logged", || daemon.log().contains("cannot be reached"));
    assert_eq!(daemon.get("/healthz"), "ok\n");
    proxy.open();
    let revision = git(&world.origin.work(), &["rev-parse", "HEAD"]);
    daemon.synced("dev", &revision);
    proxy.cut();
    eventually("the watches to notice", || daemon.log().contains("watch interrupted"));
    world.kubectl(&["scale", "deployment/redis", "--replicas=0"]);
    // A pass without the API server compares nothing.
    let compared = |daemon: &Daemon| daemon.environment("dev")["last_comparison"].clone();
    let before = compared(&daemon);
    let polls = || {
        daemon.metric(&format!(
            "redis_gitops_git_fetch_total{{repository=\"{}\",result=\"success\"}}",
            world.server.url("repo.git")
        ))
    };
    for _ in 0..2 {
        let polled = polls();
        daemon.nudge();
        eventually("the poll", || polls() > polled);
    }
    assert_eq!(compared(&daemon), before, "nothing was compared");
    proxy.open();
    eventually("the drift to be undone", || {
        world.get("deployment/redis").expect("it is there")["spec"]["replicas"] == 1
    });
}

fn the_process_is_not_ready_before_git_has_answered(plane: &ControlPlane) {
    let world = World::new(plane, "unready", &["a"]);
    world.server.behave(Behaviour::Status(503));
    let daemon = Daemon::start(&world.configure(&world.dev("")));
    eventually("the failure to be shown", || daemon.get("/api/v1/status").contains("\"consecutive_failures\":1"));
    assert!(daemon.get("/readyz").contains("first pass"), "nothing was looked at yet");
    world.server.behave(Behaviour::Serve);
    daemon.nudge();
    eventually("the first pass", || daemon.get("/readyz") == "ready\n");
}

/// Everything the notes need, with these verbs for Services.
fn rules(services: &str) -> String {
    format!(
        "- {{apiGroups: [\"\"], resources: [configmaps, secrets, pods], verbs: [get, list, watch, create, update, patch, delete]}}\n- {{apiGroups: [\"\"], resources: [services], verbs: [{services}]}}\n"
    )
}

fn with_service(world: &World<'_>) {
    with_notes(world, &["one", "two", "three", "four"]);
    world.write(
        "charts/notes/templates/service.yaml",
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: door\nspec:\n  selector: {app: door}\n  ports: [{port: 80}]\n",
    );
}

fn namespaced(world: &World<'_>, kubeconfig: &std::path::Path) -> std::path::PathBuf {
    let path = world.configure_as("limited", kubeconfig, &notes_environment(world, ""));
    let text = std::fs::read_to_string(&path).expect("a configuration");
    let text = text.replace("kubernetes:\n", "kubernetes:\n  scope: namespaced\n");
    std::fs::write(&path, text).expect("a configuration");
    path
}

fn a_kind_that_cannot_be_watched_is_read_by_name(plane: &ControlPlane) {
    let world = World::new(plane, "unwatched", &["a"]);
    with_service(&world);
    let revision = world.push("Begin with notes and a service");
    let kubeconfig = world.service_account(&rules("get, create, update, patch, delete"));
    let daemon = Daemon::start(&namespaced(&world, &kubeconfig));
    daemon.synced("dev", &revision);
    world.kubectl(&["label", "--overwrite", "service/door", "redis-gitops/environment=nobody"]);
    daemon.nudge();
    eventually("the label to be restored", || {
        let service = world.get("service/door").expect("it is there");
        service.pointer("/metadata/labels/redis-gitops~1environment") == Some(&json!("dev"))
    });
}

fn what_may_not_be_read_is_not_forgotten(plane: &ControlPlane) {
    let world = World::new(plane, "unread", &["a"]);
    with_service(&world);
    let first = world.push("Begin with notes and a service");
    let daemon = Daemon::start(&world.configure(&notes_environment(&world, "")));
    daemon.synced("dev", &first);
    daemon.terminate();
    std::fs::remove_file(world.origin.work().join("charts/notes/templates/service.yaml")).expect("it is there");
    let second = world.push("Drop the service");
    let kubeconfig = world.service_account(&rules("list"));
    let daemon = Daemon::start(&namespaced(&world, &kubeconfig));
    let looked = daemon.wait("dev", "a verdict", |status| {
        status["sync"]["state"] == "failed" || status["applied"]["revision"] == second
    });
    assert_eq!(looked["sync"]["state"], "failed", "it is not known whether the service is there");
    let inventory = world.get("configmap/redis-gitops-inventory-dev").expect("it is there").to_string();
    assert!(inventory.contains("door"), "{inventory}");
    let role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: limited}\nrules:\n";
    world.kubectl_with(&["apply", "-f", "-"], &(role.to_owned() + &rules("get, list, watch, delete"))).expect("valid");
    daemon.synced("dev", &second);
    assert!(world.get("service/door").is_none(), "pruned once it could be read");
}

fn a_commit_refused_by_a_quota_is_applied_once_it_fits(plane: &ControlPlane) {
    let world = World::new(plane, "quota", &["a"]);
    with_notes(&world, &["one", "two"]);
    let first = world.push("Begin with two notes");
    let daemon = Daemon::start(&world.configure(&notes_environment(&world, "")));
    daemon.synced("dev", &first);
    world.kubectl(&["create", "quota", "none", "--hard=count/configmaps=1"]);
    eventually("the quota to be in force", || {
        world.get("resourcequota/none").expect("there").pointer("/status/used/count~1configmaps").is_some()
    });
    with_notes(&world, &["one", "two", "three"]);
    let second = world.push("Add a third");
    daemon.nudge();
    daemon.wait("dev", "the refusal", |status| status["sync"]["state"] == "refused");
    world.kubectl(&["delete", "resourcequota", "none"]);
    daemon.synced("dev", &second);
}

fn a_namespace_that_comes_back_is_filled_again(plane: &ControlPlane) {
    let world = World::new(plane, "gone", &["a"]);
    with_notes(&world, &["one", "two"]);
    let first = world.push("Begin with two notes");
    let daemon = Daemon::start(&world.configure(&notes_environment(&world, "")));
    daemon.synced("dev", &first);
    let namespace = world.namespace("a");
    plane.kubectl(&["delete", "namespace", &namespace, "--wait=true"]);
    daemon.wait("dev", "the loss to be named", |status| status["warnings"].to_string().contains("namespace"));
    plane.kubectl(&["create", "namespace", &namespace]);
    eventually("the notes to be back", || world.get("configmap/note-two").is_some());
}

fn a_chart_may_state_its_own_namespace(plane: &ControlPlane) {
    let world = World::new(plane, "ownns", &[]);
    with_notes(&world, &["one", "two"]);
    world.write(
        "charts/notes/templates/namespace.yaml",
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {{ .Release.Namespace }}\n",
    );
    let revision = world.push("State the namespace");
    let daemon = Daemon::start(&world.configure(&notes_environment(&world, "")));
    daemon.synced("dev", &revision);
    assert!(world.get("configmap/note-two").is_some());
}

fn an_object_labelled_for_another_environment_is_found(plane: &ControlPlane) {
    let world = World::new(plane, "relabel", &["a"]);
    let revision = git(&world.origin.work(), &["rev-parse", "HEAD"]);
    let dev = world.dev("");
    let other = notes_environment(&world, "").replace("name: dev", "name: other") + "    release: other\n";
    let daemon = Daemon::start(&world.configure(&(dev + &other)));
    daemon.synced("dev", &revision);
    world.kubectl(&["label", "--overwrite", "service/redis", "redis-gitops/environment=other"]);
    eventually("the label to be restored", || {
        let service = world.get("service/redis").expect("it is there");
        service.pointer("/metadata/labels/redis-gitops~1environment") == Some(&json!("dev"))
    });
}

const CRD: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: lamps.t-later.example.com}
spec:
  group: t-later.example.com
  scope: Cluster
  names: {kind: Lamp, plural: lamps, singular: lamp}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"#;

fn a_kind_that_appears_later_is_applied(plane: &ControlPlane) {
    let world = World::new(plane, "later", &["a"]);
    with_notes(&world, &["one", "two"]);
    world.write(
        "charts/notes/templates/lamp.yaml",
        "apiVersion: t-later.example.com/v1\nkind: Lamp\nmetadata:\n  name: lamp\nspec: {lit: true}\n",
    );
    let revision = world.push("State a lamp, which the cluster does not know");
    let daemon = Daemon::start(&world.configure(&notes_environment(&world, "")));
    let status = daemon.wait("dev", "the refusal", |status| status["sync"]["state"] == "refused");
    assert!(status["sync"].to_string().contains("CustomResourceDefinition"), "{status:#}");
    world.kubectl_with(&["apply", "-f", "-"], CRD).expect("a valid definition");
    daemon.synced("dev", &revision);
    world.write(VALUES, "notes: [one, two, three]\n");
    let second = world.push("Add a note");
    daemon.nudge();
    daemon.synced("dev", &second);
}

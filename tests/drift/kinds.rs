//! What is as Git says shows no drift and costs no write, whatever its kind and
//! however the API server or admission completes it.

use std::{collections::BTreeSet, path::Path, process::Command};

use serde_json::{Value, json};

use crate::{
    Case,
    control_plane::{ControlPlane, tool},
    daemon::{Daemon, eventually},
    git_server::git,
    world::World,
};

pub const CASES: &[Case] = &[
    ("no_kind_shows_drift_that_is_none", no_kind_shows_drift_that_is_none),
    ("what_helm_installed_is_adopted_and_shows_no_drift", what_helm_installed_is_adopted_and_shows_no_drift),
    ("no_environment_of_the_project_shows_drift_that_is_none", no_environment_of_the_project_shows_drift_that_is_none),
    ("what_admission_overrides_is_shown_and_not_fought", what_admission_overrides_is_shown_and_not_fought),
];

/// `helm template` of the chart with every kind, as the only template of a chart
/// of its own: the manifests are the real helm's.
fn rendered_by_helm(world: &World<'_>, release: &str) -> String {
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drift/charts/kinds");
    let output = Command::new(tool("helm"))
        .args(["template", release])
        .arg(chart)
        .args(["--namespace", &world.namespace("a")])
        .output()
        .expect("helm runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let manifests = String::from_utf8(output.stdout).expect("helm prints text");
    world.write("charts/rendered/Chart.yaml", "apiVersion: v2\nname: rendered\nversion: 1.0.0\n");
    world.write("charts/rendered/templates/all.yaml", &manifests);
    world.write("environments/dev/values.yaml", "{}\n");
    manifests
}

fn kinds_of(manifests: &str) -> BTreeSet<&str> {
    manifests.lines().filter_map(|line| line.strip_prefix("kind: ")).collect()
}

/// A second daemon compares everything anew: what it finds and what it writes is
/// what a full pass would.
fn assert_steady(world: &World<'_>, environments: &str, names: &[&str], revision: &str) {
    let daemon = Daemon::start(&world.configure(environments));
    for name in names {
        let status = daemon.synced(name, revision);
        let drift: Vec<&Value> =
            status["objects"].as_array().into_iter().flatten().filter(|object| object["drift"] != json!([])).collect();
        assert!(drift.is_empty(), "{name} shows drift: {drift:#?}");
        assert_eq!(status["recent_drift"], json!([]), "{name} showed drift");
    }
    eventually("the first pass", || daemon.get("/readyz") == "ready\n");
    let metrics = daemon.get("/metrics");
    for verb in ["apply", "create", "update", "patch", "delete"] {
        let series = format!("verb=\"{verb}\"");
        let wrote = metrics.lines().find(|line| {
            line.starts_with("redis_gitops_kubernetes_requests_total{")
                && line.contains(&series)
                && !line.ends_with(" 0")
        });
        assert_eq!(wrote, None, "a full pass wrote");
    }
    let found = metrics.lines().find(|line| {
        (line.starts_with("redis_gitops_drift_detected_total{") || line.starts_with("redis_gitops_drifted_objects{"))
            && !line.ends_with(" 0")
    });
    assert_eq!(found, None);
}

fn no_kind_shows_drift_that_is_none(plane: &ControlPlane) {
    let world = World::new(plane, "kinds", &["a"]);
    let manifests = rendered_by_helm(&world, "kinds");
    let kinds = kinds_of(&manifests);
    assert!(kinds.len() >= 40, "{} kinds: {kinds:?}", kinds.len());
    let revision = world.push("State an object of every kind");
    let environment = world.dev("").replace("charts/redis", "charts/rendered");
    let daemon = Daemon::start(&world.configure(&environment));
    daemon.synced("dev", &revision);
    let stated = manifests.matches("\nkind: ").count();
    daemon
        .wait("dev", "every object to be listed", |status| status["objects"].as_array().map(Vec::len) == Some(stated));
    drop(daemon);
    assert_steady(&world, &environment, &["dev"], &revision);
}

fn what_helm_installed_is_adopted_and_shows_no_drift(plane: &ControlPlane) {
    let world = World::new(plane, "installed", &["a"]);
    rendered_by_helm(&world, "installed");
    let revision = world.push("State an object of every kind");
    let crd = world.read("charts/rendered/templates/all.yaml");
    let crd = crd.split("\n---\n").find(|text| text.contains("kind: CustomResourceDefinition")).expect("it is stated");
    plane.kubectl_with(&["apply", "--server-side", "-f", "-"], crd).expect("it is valid");
    plane.kubectl(&["wait", "--for=condition=Established", "crd/gadgets.installed.example.com"]);
    let output = Command::new(tool("helm"))
        .args(["install", "installed", "--take-ownership", "--namespace", &world.namespace("a")])
        .arg(world.origin.work().join("charts/rendered"))
        .env("KUBECONFIG", plane.kubeconfig())
        .output()
        .expect("helm runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let environment = world.dev("    release: installed\n").replace("charts/redis", "charts/rendered");
    let daemon = Daemon::start(&world.configure(&environment));
    daemon.synced("dev", &revision);
    drop(daemon);
    assert_steady(&world, &environment, &["dev"], &revision);
}

fn no_environment_of_the_project_shows_drift_that_is_none(plane: &ControlPlane) {
    let world = World::new(plane, "project", &["dev", "staging", "prod"]);
    let names = ["dev", "staging", "prod"];
    for name in names {
        let arguments = ["-n", &world.namespace(name), "create", "secret", "generic", "redis-credentials"];
        plane.kubectl(&[&arguments[..], &["--from-literal=redis-password=not-a-real-one"]].concat());
    }
    let environment = |name: &str| {
        world
            .dev("")
            .replace("name: dev", &format!("name: {name}"))
            .replace("/dev/values", &format!("/{name}/values"))
            .replace(&world.namespace("a"), &world.namespace(name))
    };
    let environments = names.map(environment).concat();
    let revision = git(&world.origin.work(), &["rev-parse", "HEAD"]);
    let daemon = Daemon::start(&world.configure(&environments));
    for name in names {
        daemon.synced(name, &revision);
    }
    drop(daemon);
    assert_steady(&world, &environments, &names, &revision);
}

/// Adds a label to every service of one namespace and sets what Git states of it.
const OVERRIDES: &str = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: t-override}
spec:
  matchConstraints:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NAMESPACE}}
    resourceRules:
      - {apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [services]}
  reinvocationPolicy: Never
  failurePolicy: Fail
  mutations:
    - patchType: ApplyConfiguration
      applyConfiguration:
        expression: >
          Object{metadata: Object.metadata{labels: {"example.com/cost-centre": "7"}},
          spec: Object.spec{sessionAffinity: "ClientIP"}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: t-override}
spec: {policyName: t-override}
"#;

fn what_admission_overrides_is_shown_and_not_fought(plane: &ControlPlane) {
    let world = World::new(plane, "override", &["a"]);
    let policy = OVERRIDES.replace("NAMESPACE", &world.namespace("a"));
    plane.kubectl_with(&["apply", "--server-side", "-f", "-"], &policy).expect("it is valid");
    eventually("the policy to be in force", || {
        let service = "apiVersion: v1\nkind: Service\nmetadata: {name: tried}\nspec: {ports: [{port: 1}]}\n";
        let answer =
            world.kubectl_with(&["apply", "--server-side", "--dry-run=server", "-o", "yaml", "-f", "-"], service);
        answer.is_ok_and(|text| text.contains("cost-centre"))
    });
    world.write("charts/one/Chart.yaml", "apiVersion: v2\nname: one\nversion: 1.0.0\n");
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: one}\nspec:\n  sessionAffinity: None\n  selector: {app: one}\n  ports: [{port: 80}]\n";
    world.write("charts/one/templates/service.yaml", service);
    world.write("environments/dev/values.yaml", "{}\n");
    let revision = world.push("State a service that admission changes");
    let environment = world.dev("").replace("charts/redis", "charts/one");
    let daemon = Daemon::start(&world.configure(&environment));
    daemon.synced("dev", &revision);
    drop(daemon);
    let version = |service: &Value| service["metadata"]["resourceVersion"].clone();
    let before = world.get("service/one").expect("it is there");
    assert_eq!(before["spec"]["sessionAffinity"], "ClientIP");
    let daemon = Daemon::start(&world.configure(&environment));
    daemon.synced("dev", &revision);
    eventually("the first pass", || daemon.get("/readyz") == "ready\n");
    let status =
        daemon.wait("dev", "the service to be listed", |status| status["objects"][0]["overridden"] != json!([]));
    let overridden = &status["objects"][0]["overridden"][0];
    assert_eq!((&overridden["path"], &overridden["live"]), (&json!("spec.sessionAffinity"), &json!("ClientIP")));
    assert_eq!(status["objects"][0]["drift"], json!([]));
    assert_eq!(daemon.metric("redis_gitops_overridden_fields{environment=\"dev\"}"), Some(1.0));
    assert_eq!(version(&world.get("service/one").expect("it is there")), version(&before), "it is not fought");
}

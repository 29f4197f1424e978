//! The chart's scripts with real servers, and its objects on a real API server.

#[path = "../support/control_plane.rs"]
#[allow(dead_code, reason = "the tests of the daemon use the rest")]
mod control_plane;

use std::{path::Path, process::Command};

use control_plane::{ControlPlane, tool};

use super::rendering::{PROGRAM, accepted, root};

/// What the real helm says against a values file.
pub fn helm_refuses(values: &Path) -> String {
    let helm = Command::new(tool("helm"))
        .args(["template", "redis"])
        .arg(root().join("charts/redis"))
        .arg("-f")
        .arg(values)
        .output()
        .expect("helm runs");
    assert!(!helm.status.success(), "helm accepts {}", values.display());
    String::from_utf8_lossy(&helm.stderr).into_owned()
}

fn script(name: &str, environment: &[(&str, String)]) {
    let output = Command::new("sh")
        .arg(root().join("tests/chart").join(name))
        .envs(environment.iter().map(|(name, value)| (*name, value)))
        .output()
        .expect("sh runs");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}:\n{text}");
}

#[test]
fn the_scripts_keep_the_data_on_real_servers() {
    script("boot_test.sh", &[("HELM", PROGRAM.to_owned())]);
}

#[test]
fn sentinels_move_the_primary_and_lose_nothing() {
    script("sentinel_test.sh", &[("HELM", PROGRAM.to_owned())]);
}

#[test]
fn a_backup_is_verified_kept_and_restored() {
    script("backup_test.sh", &[("HELM", PROGRAM.to_owned())]);
}

#[test]
fn the_examples_connect() {
    script("connect_test.sh", &[("HELM", PROGRAM.to_owned())]);
}

#[test]
fn the_guards_hold_and_the_api_server_takes_everything() {
    let plane = ControlPlane::start();
    let kubeconfig = plane.kubeconfig().display().to_string();
    let path = |name: &str| tool(name).display().to_string();
    let kubectl = format!("{} kubectl", path("cluster"));
    script("guard_test.sh", &[("HELM", path("helm")), ("KUBECTL", kubectl), ("KUBECONFIG", kubeconfig)]);
    takes_everything(&plane);
}

/// Kinds of others that the chart can render; here their content is not checked.
const DEFINITIONS: [&str; 1] = [r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: certificates.cert-manager.io}
spec:
  group: cert-manager.io
  scope: Namespaced
  names: {kind: Certificate, plural: certificates, singular: certificate}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"#];

/// Every accepted set of values, in a namespace where Pod Security warns of what
/// `restricted` would refuse.
fn takes_everything(plane: &ControlPlane) {
    plane.kubectl(&["create", "namespace", "taken"]);
    plane.kubectl(&["label", "namespace", "taken", "pod-security.kubernetes.io/warn=restricted"]);
    for definition in DEFINITIONS {
        plane.kubectl_with(&["apply", "-f", "-"], definition).expect("a definition");
    }
    plane.kubectl(&["wait", "--for=condition=Established", "--timeout=20s", "crd", "--all"]);
    for (name, rendered) in accepted() {
        let text = rendered.text.replace("namespace: default", "namespace: taken");
        let arguments =
            ["-n", "taken", "apply", "--server-side", "--dry-run=server", "--warnings-as-errors", "-f", "-"];
        plane.kubectl_with(&arguments, &text).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

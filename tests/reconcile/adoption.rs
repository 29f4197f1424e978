//! First contact with objects that were there before.

use serde_json::json;

use crate::{Case, control_plane::ControlPlane, daemon::Daemon, git_server::git, world::World};

pub const CASES: &[Case] = &[("the_seeds_kubectl_deployment_is_adopted", the_seeds_kubectl_deployment_is_adopted)];

/// The seed's Deployment as `kubectl apply` left it: RollingUpdate, client-side
/// ownership, an annotation that Git does not state.
const BY_HAND: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata:
  name: redis
  annotations: {example.com/by-hand: "yes"}
spec:
  replicas: 1
  strategy: {type: RollingUpdate}
  selector:
    matchLabels:
      app.kubernetes.io/name: redis
      app.kubernetes.io/instance: redis
      app.kubernetes.io/component: standalone
  template:
    metadata:
      labels:
        app.kubernetes.io/name: redis
        app.kubernetes.io/instance: redis
        app.kubernetes.io/component: standalone
    spec:
      containers:
        - name: redis
          image: redis:7-alpine
          env: [{name: LEFT_OVER, value: "1"}]
"#;

fn the_seeds_kubectl_deployment_is_adopted(plane: &ControlPlane) {
    let world = World::new(plane, "adopt", &["a"]);
    world.kubectl_with(&["apply", "-f", "-"], BY_HAND).expect("it is valid");
    let before = world.get("deployment/redis").expect("it is there");
    let claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: redis-pvc}\nspec:\n  accessModes: [ReadWriteOnce]\n  resources: {requests: {storage: 2Gi}}\n";
    world.kubectl_with(&["apply", "-f", "-"], claim).expect("it is valid");
    let daemon = Daemon::start(&world.configure(&world.dev("")));
    let revision = git(&world.origin.work(), &["rev-parse", "HEAD"]);
    daemon.synced("dev", &revision);
    let after = world.get("deployment/redis").expect("it is there");
    assert_eq!(after["metadata"]["uid"], before["metadata"]["uid"], "adopted, not recreated");
    assert_eq!(after["spec"]["strategy"], json!({"type": "Recreate"}));
    let text = after.to_string();
    assert!(!text.contains("LEFT_OVER"), "what Git does not state is gone: {text}");
    let managers: Vec<&str> = after["metadata"]["managedFields"]
        .as_array()
        .expect("managers")
        .iter()
        .filter_map(|entry| entry["manager"].as_str())
        .collect();
    assert!(!managers.iter().any(|m| m.starts_with("kubectl")), "{managers:?}");
}

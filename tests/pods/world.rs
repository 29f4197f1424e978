//! What all cases share: a repository with the project's chart and environments
//! and a branch for each, prepared namespaces, a client pod, and the daemon.

use std::{fs, path::Path, process::Command};

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    control_plane::ControlPlane,
    daemon::{Daemon, eventually},
    git_server::{GitServer, Origin, git},
};

/// An environment as `environments/` has it.
pub struct Environment {
    pub name: &'static str,
    pub namespace: &'static str,
    /// The workload with its number of pods.
    pub workload: &'static str,
    pub pods: usize,
}

pub const DEV: Environment =
    Environment { name: "dev", namespace: "project-template-dev", workload: "deployment/redis", pods: 1 };
pub const STAGING: Environment =
    Environment { name: "staging", namespace: "project-template-staging", workload: "statefulset/redis", pods: 2 };
pub const PROD: Environment =
    Environment { name: "prod", namespace: "project-template", workload: "statefulset/redis", pods: 2 };
pub const ENVIRONMENTS: [&Environment; 3] = [&DEV, &STAGING, &PROD];

/// Where the client runs: in none of the environments' namespaces.
const CLIENTS: &str = "clients";

/// Reads a password from standard input, so that no argument list shows it.
const CLIENT: &str = r#"IFS= read -r REDISCLI_AUTH; [ -z "$REDISCLI_AUTH" ] || export REDISCLI_AUTH
timeout 10 redis-cli -h "$@" 2>&1 || true"#;

/// Everything the cases need.
pub struct World {
    pub plane: ControlPlane,
    pub daemon: Daemon,
    password: String,
    _server: GitServer,
    _origin: Origin,
    _folder: tempfile::TempDir,
}

impl World {
    /// Prepares the cluster and starts the daemon on it.
    pub fn start() -> Self {
        let state = std::env::var_os("REDIS_GITOPS_PODS").expect("run tests/pods.sh, which starts the nodes");
        let plane = ControlPlane::attach(state.into());
        let password = format!("{:032x}", rand::random::<u128>());
        prepare(&plane, &password);
        let origin = Origin::new();
        let work = origin.work();
        fs::remove_dir_all(work.join("environments")).expect("the folder of the first commit");
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for folder in ["charts", "environments"] {
            let copied = Command::new("cp").arg("-R").arg(root.join(folder)).arg(&work).status();
            assert!(copied.is_ok_and(|status| status.success()), "{folder} is copied");
        }
        git(&work, &["add", "-A"]);
        git(&work, &["commit", "-q", "-m", "Add the chart and the environments"]);
        for environment in ENVIRONMENTS {
            origin.push(&format!("env/{}", environment.name));
        }
        let server = GitServer::start(origin.root());
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = folder.path().join("redis-gitops.yaml");
        fs::write(&config, configuration(&server, folder.path(), &plane)).expect("a configuration");
        let daemon = Daemon::start(&config);
        Self { plane, daemon, password, _server: server, _origin: origin, _folder: folder }
    }

    /// The password of an environment's Redis.
    pub fn password(&self, environment: &Environment) -> &str {
        if environment.name == DEV.name { "dev-redis-password" } else { &self.password }
    }

    /// Runs redis-cli in the client pod, against `host` of the environment's
    /// namespace by its DNS name; answers what it printed.
    pub fn redis(&self, environment: &Environment, host: &str, password: &str, command: &[&str]) -> String {
        let host = format!("{host}.{}", environment.namespace);
        let exec = ["-n", CLIENTS, "exec", "-i", "client", "--", "sh", "-c", CLIENT, "client", &host];
        let printed = self.plane.kubectl_with(&[&exec, command].concat(), &format!("{password}\n"));
        printed.unwrap_or_else(|error| panic!("the client pod: {error}")).trim().to_owned()
    }

    /// The same with the right password.
    pub fn ask(&self, environment: &Environment, host: &str, command: &[&str]) -> String {
        self.redis(environment, host, self.password(environment), command)
    }

    /// Waits until every object and every Redis of the environment is well, by
    /// what the daemon has learnt since the cluster came to rest; answers its status.
    pub fn healthy(&self, environment: &Environment) -> Value {
        self.daemon.wait(environment.name, "it is synced", |status| status["sync"]["state"] == "synced");
        eventually("the pods are at rest", || self.at_rest(environment));
        let now = Timestamp::now();
        let asked_since = |pod: &Value| {
            let probed = pod["probed"].as_str().and_then(|time| time.parse::<Timestamp>().ok());
            pod["up"] == true && probed.is_some_and(|time| time > now)
        };
        let what = format!("{} is healthy", environment.name);
        self.daemon.wait(environment.name, &what, |status| {
            let pods = status["redis"]["pods"].as_object();
            status["sync"]["state"] == "synced"
                && status["ready"] == true
                && status["redis"]["desired"] == environment.pods
                && pods.is_some_and(|pods| pods.len() == environment.pods && pods.values().all(asked_since))
        })
    }

    /// Whether the controller has acted on the newest spec, all pods are ready
    /// and none is on its way out.
    fn at_rest(&self, environment: &Environment) -> bool {
        let Some(workload) = self.plane.get(environment.namespace, environment.workload) else { return false };
        let status = &workload["status"];
        let selector = ["get", "pods", "-l", "app.kubernetes.io/name=redis", "-o", "json"];
        let pods = self.plane.kubectl(&[&["-n", environment.namespace], &selector[..]].concat());
        let pods: Value = serde_json::from_str(&pods).expect("kubectl prints JSON");
        let pods = pods["items"].as_array().expect("a list");
        status["observedGeneration"] == workload["metadata"]["generation"]
            && status["readyReplicas"] == environment.pods
            && pods.len() == environment.pods
            && pods.iter().all(|pod| pod["metadata"]["deletionTimestamp"].is_null())
    }

    /// The names and uids of an environment's Redis pods.
    pub fn pods(&self, environment: &Environment) -> Vec<(String, String)> {
        let format = "jsonpath={range .items[*]}{.metadata.name} {.metadata.uid}{\"\\n\"}{end}";
        let selector = "app.kubernetes.io/name=redis";
        let text = self.plane.kubectl(&["-n", environment.namespace, "get", "pods", "-l", selector, "-o", format]);
        text.lines().filter_map(|line| line.split_once(' ')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
    }

    /// The uid of one pod, if it is there.
    pub fn uid(&self, environment: &Environment, pod: &str) -> Option<String> {
        self.pods(environment).into_iter().find(|(name, _)| name == pod).map(|(_, uid)| uid)
    }

    /// Scales the environment's workload as a person would.
    pub fn scale(&self, environment: &Environment, replicas: usize) {
        let replicas = format!("--replicas={replicas}");
        self.plane.kubectl(&["-n", environment.namespace, "scale", environment.workload, &replicas]);
    }

    /// Deletes a pod, and waits until the environment is healthy with another in its place.
    pub fn replace_pod(&self, environment: &Environment, pod: &str) {
        let old = self.uid(environment, pod);
        self.plane.kubectl(&["-n", environment.namespace, "delete", "pod", pod, "--wait=true"]);
        eventually("another pod in its place", || {
            let pods = self.pods(environment);
            pods.len() == environment.pods && pods.iter().all(|(_, uid)| Some(uid) != old.as_ref())
        });
        self.healthy(environment);
    }
}

fn configuration(server: &GitServer, folder: &Path, plane: &ControlPlane) -> String {
    let mut text = format!(
        "repository:\n  url: {url}\nlisten: 127.0.0.1:0\ndataDir: {data}\nkubernetes:\n  kubeconfig: {kubeconfig}\nprobe:\n  connect: direct\n  interval: 1s\nenvironments:\n",
        url = server.url("repo.git"),
        data = folder.join("data").display(),
        kubeconfig = plane.kubeconfig().display(),
    );
    for Environment { name, namespace, .. } in ENVIRONMENTS {
        text += &format!(
            "  - name: {name}\n    branch: env/{name}\n    namespace: {namespace}\n    values: [environments/{name}/values.yaml]\n    throwAway: {}\n",
            **name == *DEV.name
        );
    }
    text
}

fn prepare(plane: &ControlPlane, password: &str) {
    let mut text = String::new();
    for namespace in ENVIRONMENTS.map(|environment| environment.namespace).into_iter().chain([CLIENTS]) {
        text += &format!(
            "{{apiVersion: v1, kind: Namespace, metadata: {{name: {namespace}, labels: {{pod-security.kubernetes.io/enforce: restricted}}}}}}\n---\n{{apiVersion: v1, kind: ServiceAccount, metadata: {{name: project-template, namespace: {namespace}}}}}\n---\n"
        );
    }
    for environment in [&STAGING, &PROD] {
        text += &format!(
            "{{apiVersion: v1, kind: Secret, metadata: {{name: redis-credentials, namespace: {}}}, stringData: {{redis-password: \"{password}\"}}}}\n---\n",
            environment.namespace
        );
    }
    text += &format!(
        "apiVersion: v1
kind: Pod
metadata: {{name: client, namespace: {CLIENTS}}}
spec:
  serviceAccountName: project-template
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 1
  securityContext: {{runAsNonRoot: true, runAsUser: 999, seccompProfile: {{type: RuntimeDefault}}}}
  containers:
    - name: client
      image: redis:7-alpine
      command: [sleep, \"3600\"]
      securityContext: {{allowPrivilegeEscalation: false, capabilities: {{drop: [ALL]}}}}
"
    );
    plane.kubectl_with(&["apply", "-f", "-"], &text).expect("the namespaces are made");
    plane.kubectl(&["-n", CLIENTS, "wait", "pod/client", "--for=condition=Ready", "--timeout=120s"]);
}

//! Environments to measure: one repository with a branch for each, served over
//! HTTP by Git itself; a namespace and the service account for each.

use std::{fs, ops::Range, path::PathBuf};

use serde_json::{Value, json};

use crate::{
    api::Api,
    control_plane::ControlPlane,
    git_server::{GitServer, Origin, git},
};

/// What every environment needs; environment `i` of `count` is found by its index.
pub struct Fleet<'a> {
    plane: &'a ControlPlane,
    origin: Origin,
    server: GitServer,
    folder: tempfile::TempDir,
    prefix: &'static str,
    count: usize,
}

impl<'a> Fleet<'a> {
    /// `count` environments of the project's chart with dev's values, all at one commit.
    pub fn new(plane: &'a ControlPlane, api: &Api, prefix: &'static str, count: usize) -> Self {
        let origin = Origin::new();
        let server = GitServer::start(origin.root());
        let fleet = Self { plane, origin, server, folder: tempfile::tempdir().expect("a folder"), prefix, count };
        let source = env!("CARGO_MANIFEST_DIR");
        let work = fleet.origin.work();
        for folder in ["charts", "environments"] {
            let status = std::process::Command::new("cp")
                .args(["-r", &format!("{source}/{folder}")])
                .arg(&work)
                .status()
                .expect("cp runs");
            assert!(status.success(), "{folder} is copied");
        }
        fleet.push(0..count, "0");
        for index in 0..count {
            let name = fleet.name(index);
            api.create("/api/v1/namespaces", &json!({"metadata": {"name": name}}));
            let account = json!({"metadata": {"name": "project-template"}});
            api.create(&format!("/api/v1/namespaces/{name}/serviceaccounts"), &account);
        }
        fleet
    }

    /// The environment's name, which is its namespace's too.
    pub fn name(&self, index: usize) -> String {
        format!("{}-{index:03}", self.prefix)
    }

    /// The path of the environment's Deployment.
    pub fn deployment(&self, index: usize) -> String {
        format!("/apis/apps/v1/namespaces/{}/deployments/redis", self.name(index))
    }

    /// Commits a pod annotation `mark` and pushes it to the branches of `which`.
    pub fn push(&self, which: Range<usize>, mark: &str) {
        let work = self.origin.work();
        let path = work.join("environments/bench.yaml");
        fs::write(path, format!("podAnnotations:\n  mark: \"{mark}\"\n")).expect("a file");
        git(&work, &["add", "-A"]);
        git(&work, &["commit", "-q", "-m", &format!("Set the mark to {mark}")]);
        let branches: Vec<String> = which.map(|index| format!("HEAD:refs/heads/env/{}", self.name(index))).collect();
        let mut arguments = vec!["push", "-q", "-f", "origin"];
        arguments.extend(branches.iter().map(String::as_str));
        git(&work, &arguments);
    }

    /// A configuration of the environments `which`, with defaults for all else.
    pub fn configure(&self, which: Range<usize>) -> PathBuf {
        let folder = self.folder.path().join(format!("{}-{}", which.start, which.end));
        fs::create_dir_all(&folder).expect("a folder");
        let mut text = format!(
            "repository: {{url: \"{}\"}}\nlisten: 127.0.0.1:0\ndataDir: {}\nkubernetes: {{kubeconfig: {}}}\nenvironments:\n",
            self.server.url("repo.git"),
            folder.join("data").display(),
            self.plane.kubeconfig().display(),
        );
        for name in which.map(|index| self.name(index)) {
            text.push_str(&format!(
                "  - {{name: {name}, branch: env/{name}, namespace: {name}, chart: charts/redis, values: [environments/dev/values.yaml, environments/bench.yaml], throwAway: true}}\n"
            ));
        }
        let path = folder.join("redis-gitops.yaml");
        fs::write(&path, text).expect("a configuration");
        path
    }

    /// How many environments there are.
    pub fn count(&self) -> usize {
        self.count
    }
}

/// The namespace of an object.
pub fn namespace(object: &Value) -> &str {
    object.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default()
}

/// The mark of a Deployment's pods.
pub fn mark(object: &Value) -> Option<&str> {
    object.pointer("/spec/template/metadata/annotations/mark").and_then(Value::as_str)
}

/// The replicas a Deployment asks for.
pub fn replicas(object: &Value) -> Option<u64> {
    object.pointer("/spec/replicas").and_then(Value::as_u64)
}

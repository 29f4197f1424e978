//! One case's world: a repository with the project's chart, namespaces, a
//! configuration, a daemon.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    control_plane::ControlPlane,
    daemon::Daemon,
    git_server::{GitServer, Origin, git},
};

/// Everything one case needs.
pub struct World<'a> {
    pub plane: &'a ControlPlane,
    pub origin: Origin,
    pub server: GitServer,
    folder: tempfile::TempDir,
    name: &'static str,
}

impl<'a> World<'a> {
    /// A repository that holds `charts/redis` and the `environments` folder, with
    /// the branch `env/dev`, and one namespace for each of `namespaces`.
    pub fn new(plane: &'a ControlPlane, name: &'static str, namespaces: &[&str]) -> Self {
        let origin = Origin::new();
        let server = GitServer::start(origin.root());
        let world = Self { plane, origin, server, folder: tempfile::tempdir().expect("a temporary folder"), name };
        for folder in ["charts", "environments"] {
            copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &world.origin.work().join(folder));
        }
        world.push("Add the chart and the environments");
        for namespace in namespaces {
            plane.kubectl(&["create", "namespace", &world.namespace(namespace)]);
        }
        world
    }

    /// A namespace of this case alone.
    pub fn namespace(&self, suffix: &str) -> String {
        format!("t-{}-{suffix}", self.name)
    }

    /// Commits and pushes what the work tree holds to `env/dev`.
    pub fn push(&self, subject: &str) -> String {
        git(&self.origin.work(), &["add", "-A"]);
        git(&self.origin.work(), &["commit", "-q", "--allow-empty", "-m", subject]);
        self.origin.push("env/dev")
    }

    /// Replaces a file of the work tree.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.origin.work().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    /// A file of the work tree.
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.origin.work().join(path)).expect("a file")
    }

    /// Writes a configuration with these environments (YAML list items).
    pub fn configure(&self, environments: &str) -> PathBuf {
        let path = self.folder.path().join("redis-gitops.yaml");
        let text = format!(
            "repository:\n  url: {url}\n  interval: 1h\nlisten: 127.0.0.1:0\ndataDir: {data}\nkubernetes:\n  kubeconfig: {kubeconfig}\nenvironments:\n{environments}",
            url = self.server.url("repo.git"),
            data = self.folder.path().join("data").display(),
            kubeconfig = self.plane.kubeconfig().display(),
        );
        fs::write(&path, text).expect("a configuration");
        path
    }

    /// One environment of the configuration: dev's branch and values, throw-away,
    /// in the namespace with that suffix.
    pub fn dev(&self, more: &str) -> String {
        let namespace = self.namespace("a");
        format!(
            "  - name: dev\n    branch: env/dev\n    chart: charts/redis\n    values: [environments/dev/values.yaml]\n    namespace: {namespace}\n    throwAway: true\n{more}"
        )
    }

    /// A daemon with the one environment `dev`, which runs the newest commit.
    pub fn synced_dev(&self, more: &str) -> Daemon {
        let daemon = Daemon::start(&self.configure(&self.dev(more)));
        let revision = git(&self.origin.work(), &["rev-parse", "HEAD"]);
        daemon.synced("dev", &revision);
        daemon
    }

    /// An object in the namespace `a`.
    pub fn get(&self, object: &str) -> Option<Value> {
        self.plane.get(&self.namespace("a"), object)
    }

    /// kubectl in the namespace `a`.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        let namespace = self.namespace("a");
        self.plane.kubectl(&[&["-n", &namespace], arguments].concat())
    }

    /// kubectl in the namespace `a` with standard input.
    pub fn kubectl_with(&self, arguments: &[&str], input: &str) -> Result<String, String> {
        let namespace = self.namespace("a");
        self.plane.kubectl_with(&[&["-n", &namespace], arguments].concat(), input)
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

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
        self.configure_as("redis-gitops", &self.plane.kubeconfig(), environments)
    }

    /// The same for a daemon with a name, and so a mirror and a log, of its own,
    /// which reaches the API server with that kubeconfig.
    pub fn configure_as(&self, name: &str, kubeconfig: &Path, environments: &str) -> PathBuf {
        let path = self.folder.path().join(format!("{name}.yaml"));
        let text = format!(
            "repository:\n  url: {url}\n  interval: 1h\nlisten: 127.0.0.1:0\ndataDir: {data}\nkubernetes:\n  kubeconfig: {kubeconfig}\nenvironments:\n{environments}",
            url = self.server.url("repo.git"),
            data = self.folder.path().join(format!("{name}-data")).display(),
            kubeconfig = kubeconfig.display(),
        );
        fs::write(&path, text).expect("a configuration");
        path
    }

    /// The administrator's kubeconfig with something replaced.
    pub fn kubeconfig_with(&self, from: &str, to: &str) -> PathBuf {
        let text = fs::read_to_string(self.plane.kubeconfig()).expect("a kubeconfig");
        assert!(text.contains(from), "{from:?} is not in the kubeconfig");
        let path = self.folder.path().join("kubeconfig");
        fs::write(&path, text.replace(from, to)).expect("a kubeconfig");
        path
    }

    /// The kubeconfig of a service account in the namespace `a` with these rules
    /// of a Role there (YAML list items).
    pub fn service_account(&self, rules: &str) -> PathBuf {
        self.kubectl(&["create", "serviceaccount", "limited"]);
        let role = format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {{name: limited}}\nrules:\n{rules}"
        );
        self.kubectl_with(&["apply", "-f", "-"], &role).expect("a valid role");
        let account = format!("--serviceaccount={}:limited", self.namespace("a"));
        self.kubectl(&["create", "rolebinding", "limited", "--role=limited", &account]);
        let token = self.kubectl(&["create", "token", "limited"]);
        let text = fs::read_to_string(self.plane.kubeconfig()).expect("a kubeconfig");
        let admin = text.split("token: ").nth(1).expect("a token").trim().to_owned();
        self.kubeconfig_with(&admin, token.trim())
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

//! A real API server for the tests: the local cluster's control plane alone, in
//! a folder of its own, without root; or a cluster that somebody else started.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

/// A running control plane; stopped and removed when dropped, if started here.
pub struct ControlPlane {
    program: PathBuf,
    state: PathBuf,
    folder: Option<tempfile::TempDir>,
}

impl ControlPlane {
    /// Starts etcd, the API server and the controllers.
    pub fn start() -> Self {
        let program = tool("cluster");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let state = folder.path().join("state");
        let status = Command::new(&program)
            .args(["up", "--nodes", "0", "--state"])
            .arg(&state)
            .stdout(Stdio::null())
            .status()
            .expect("the cluster program runs");
        assert!(status.success(), "the control plane did not start; its logs are in {}", folder.path().display());
        Self { program, state, folder: Some(folder) }
    }

    /// The cluster that runs in the folder `state`.
    pub fn attach(state: PathBuf) -> Self {
        Self { program: tool("cluster"), state, folder: None }
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.state.join("kubeconfig")
    }

    /// Runs kubectl; answers what it printed. `input` goes to its standard input.
    pub fn kubectl_with(&self, arguments: &[&str], input: &str) -> Result<String, String> {
        use std::io::Write;
        let mut child = Command::new(&self.program)
            .arg("kubectl")
            .args(arguments)
            .env("KUBECONFIG", self.kubeconfig())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kubectl runs");
        child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("kubectl reads");
        let output = child.wait_with_output().expect("kubectl ends");
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// Runs kubectl, which must succeed.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.kubectl_with(arguments, "").unwrap_or_else(|error| panic!("kubectl {arguments:?}: {error}"))
    }

    /// One object as JSON; `None` when there is none.
    pub fn get(&self, namespace: &str, object: &str) -> Option<Value> {
        let arguments = ["-n", namespace, "get", object, "-o", "json", "--ignore-not-found", "--show-managed-fields"];
        let text = self.kubectl(&arguments);
        (!text.trim().is_empty()).then(|| serde_json::from_str(&text).expect("kubectl prints JSON"))
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        if self.folder.is_none() {
            return;
        }
        let ended = Command::new(&self.program)
            .args(["down", "--purge", "--state"])
            .arg(&self.state)
            .stdout(Stdio::null())
            .status();
        assert!(
            std::thread::panicking() || ended.is_ok_and(|status| status.success()),
            "the control plane did not stop"
        );
    }
}

/// A program that `make tools` builds.
pub fn tool(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".state/bin").join(name);
    assert!(path.exists(), "{} is missing; run `make tools` first", path.display());
    path
}

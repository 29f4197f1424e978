//! A real Prometheus that scrapes the daemon and evaluates the rules of `deploy/`.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::daemon::eventually;

/// A running Prometheus; killed when dropped.
pub struct Prometheus {
    child: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    /// Starts it on the daemon at `target` and waits for its first scrape.
    pub fn start(target: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/alerts.yaml");
        let config = format!(
            "global: {{scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}}\nrule_files: [{}]\nscrape_configs:\n  - job_name: redis-gitops\n    honor_labels: true\n    static_configs: [{{targets: ['{target}']}}]\n",
            rules.display()
        );
        let file = folder.path().join("prometheus.yml");
        fs::write(&file, config).expect("a configuration");
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus is installed by tests/tools/install.sh");
        let prometheus = Self { child, url: format!("http://127.0.0.1:{port}"), _folder: folder };
        eventually("the first scrape", || {
            let targets = prometheus.get("/api/v1/targets");
            targets["data"]["activeTargets"][0]["health"] == "up"
        });
        prometheus
    }

    /// `pending` or `firing`; `None` while the alert is not raised for the
    /// environment (or for none, where it has no environment).
    pub fn state(&self, alert: &str, environment: &str) -> Option<String> {
        let alerts = self.get("/api/v1/alerts");
        let found = alerts["data"]["alerts"].as_array().expect("alerts").iter().find(|raised| {
            let labels = &raised["labels"];
            labels["alertname"] == alert && labels.get("environment").is_none_or(|of| of == environment)
        })?;
        found["state"].as_str().map(str::to_owned)
    }

    /// Waits until the alert is in that state.
    pub fn wait(&self, alert: &str, environment: &str, state: &str) {
        eventually(&format!("{alert} of {environment} is {state}"), || {
            self.state(alert, environment).as_deref() == Some(state)
        });
    }

    fn get(&self, path: &str) -> Value {
        let answer = ureq::get(format!("{}{path}", self.url)).call();
        let text = answer.and_then(|mut answer| answer.body_mut().read_to_string()).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

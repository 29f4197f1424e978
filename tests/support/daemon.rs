//! The real daemon as a child process, asked over HTTP as a user would.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

/// How long a condition may take before the test fails. Generous: the machine
/// may be busy, and a passing test never waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running daemon; killed when dropped.
pub struct Daemon {
    child: Child,
    log: PathBuf,
    url: String,
}

impl Daemon {
    /// Starts the daemon on `config`, with a log that explains a failure.
    pub fn start(config: &Path) -> Self {
        Self::start_logging(config, "debug,hyper=info,kube=info,tower=info,rustls=info,ureq=info,h2=info")
    }

    /// Starts the daemon on `config`; its log goes beside it.
    pub fn start_logging(config: &Path, filter: &str) -> Self {
        let log = config.with_extension("log");
        let file = File::options().create(true).append(true).open(&log).expect("a log file");
        let begin = fs::metadata(&log).map_or(0, |meta| meta.len());
        let child = Command::new(env!("CARGO_BIN_EXE_redis-gitops"))
            .args(["run", "--log", filter, "--config"])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("the same file"))
            .stderr(file)
            .spawn()
            .expect("the daemon starts");
        let mut daemon = Self { child, log, url: String::new() };
        let address = daemon.wait_for_line(begin, "address=");
        daemon.url = format!("http://{address}");
        daemon
    }

    /// The value after `mark` in the log behind `from`, once it is there.
    fn wait_for_line(&mut self, from: u64, mark: &str) -> String {
        let from = usize::try_from(from).expect("a small log");
        let mut found = String::new();
        eventually("the daemon to listen", || {
            let ended = self.child.try_wait().expect("a child");
            let text = self.log();
            assert!(ended.is_none(), "the daemon ended: {text}");
            let line = strip_colours(&text[from..]);
            let value = line.split(mark).nth(1).and_then(|rest| rest.split_whitespace().next()).map(str::to_owned);
            found = value.clone().unwrap_or_default();
            value.is_some()
        });
        found
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        let mut text = String::new();
        File::open(&self.log).and_then(|mut file| file.read_to_string(&mut text)).expect("a readable log");
        text
    }

    /// The body at `path`, whatever the status code.
    pub fn get(&self, path: &str) -> String {
        agent()
            .get(format!("{}{path}", self.url))
            .call()
            .and_then(|mut response| response.body_mut().read_to_string())
            .unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    /// Asks it to look at Git now.
    pub fn nudge(&self) {
        let url = format!("{}/api/v1/sync", self.url);
        let answer = agent().post(url).header("X-Redis-Gitops", "test").send_empty().expect("the nudge is taken");
        assert_eq!(answer.status(), 202);
    }

    /// The status of one environment, `Null` before it is known.
    pub fn environment(&self, name: &str) -> Value {
        let status: Value = serde_json::from_str(&self.get("/api/v1/status")).expect("the status is JSON");
        status["environments"][name].clone()
    }

    /// Waits until the environment's status is as wanted; answers it.
    pub fn wait(&self, name: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let found = within(PATIENCE, || {
            last = self.environment(name);
            wanted(&last)
        });
        assert!(
            found,
            "{what}: not within {PATIENCE:?}; the status is {last:#}\nthe log ends with\n{}",
            tail(&self.log())
        );
        last
    }

    /// Waits until the environment runs the commit.
    pub fn synced(&self, name: &str, revision: &str) -> Value {
        self.wait(name, &format!("{name} at {revision}"), |status| {
            status["sync"]["state"] == "synced" && status["applied"]["revision"] == revision
        })
    }

    /// The value of one metric line, by its exact name and labels.
    pub fn metric(&self, series: &str) -> Option<f64> {
        self.get("/metrics").lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    /// All requests to the API server so far.
    pub fn requests(&self) -> f64 {
        self.get("/metrics")
            .lines()
            .filter(|line| line.starts_with("redis_gitops_kubernetes_requests_total{"))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as Kubernetes would (SIGTERM) and answers its exit code.
    pub fn terminate(mut self) -> Option<i32> {
        signal(self.pid(), "TERM");
        let mut code = None;
        eventually("the daemon to end", || match self.child.try_wait().expect("a child") {
            Some(status) => {
                code = status.code();
                true
            }
            None => false,
        });
        code
    }

    /// Ends it as a power cut would.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Sends a signal by name.
pub fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().expect("kill runs");
    assert!(status.success());
}

/// Waits until the condition holds; the test fails when it does not in time.
pub fn eventually(what: &str, condition: impl FnMut() -> bool) {
    assert!(within(PATIENCE, condition), "waited for {what} for {PATIENCE:?}");
}

fn within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    true
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(10)))
        .build()
        .into()
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

fn strip_colours(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        plain.push_str(&rest[..at]);
        rest = rest[at..].split_once('m').map_or("", |(_, after)| after);
    }
    plain + rest
}

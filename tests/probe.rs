//! The probe against real Redis servers, and against what is none.

#[path = "fixtures/status.rs"]
mod fixture;

use std::{
    io::{BufRead, BufReader, Write},
    net::{IpAddr, Ipv4Addr},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use redis_gitops::probe::{Answer, Direct, Link, PodAddress, ProbeError, Role, Secret, Target, probe};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Long enough for a busy machine; nothing here waits for it in vain.
const PATIENCE: Duration = Duration::from_secs(30);
const PASSWORD: &str = r#"p"a ss\word'7"#;
const PLAIN: &str = "hunter2";
const QUOTED: &str = r#""p\"a ss\\word'7""#;

/// A server that ends with the test.
struct Redis {
    port: u16,
    log: mpsc::Receiver<String>,
    child: Child,
    directory: TempDir,
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Redis {
    fn start(configuration: &str) -> Self {
        // Someone else can take a free port before the server does.
        for _ in 0..5 {
            let redis = Self::spawn(configuration, TempDir::new().expect("a directory"));
            if redis.wait_for("Ready to accept connections", "Address already in use") {
                return redis;
            }
        }
        panic!("redis-server found no free port");
    }

    fn spawn(configuration: &str, directory: TempDir) -> Self {
        let port = free_port();
        let mut child = Command::new("redis-server")
            .args(["-", "--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
            .arg(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("redis-server is needed; on Debian: apt-get install redis-server");
        let mut input = child.stdin.take().expect("piped");
        input.write_all(configuration.as_bytes()).expect("it reads its configuration");
        let output = child.stdout.take().expect("piped");
        let (sender, log) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { port, log, child, directory }
    }

    /// Waits for an event in the log; false when the other came first.
    fn wait_for(&self, event: &str, other: &str) -> bool {
        let mut seen = Vec::new();
        while let Ok(line) = self.log.recv_timeout(PATIENCE) {
            if line.contains(event) || line.contains(other) {
                return line.contains(event);
            }
            seen.push(line);
        }
        panic!("redis-server never said {event:?}, but:\n{}", seen.join("\n"));
    }

    fn target(&self, passwords: &[&str]) -> Target {
        target(self.port, passwords)
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").port()
}

fn target(port: u16, passwords: &[&str]) -> Target {
    let ip = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let address = PodAddress { namespace: "prod".to_owned(), pod: "redis-0".to_owned(), ip, port };
    Target { address, passwords: passwords.iter().map(|password| Secret::new(*password)).collect() }
}

async fn ask(target: &Target) -> Result<Answer, ProbeError> {
    probe(&Direct { deadline: PATIENCE }, target, PATIENCE).await
}

#[tokio::test]
async fn the_right_password_opens_info_and_role() {
    let redis = Redis::start(&format!("requirepass {QUOTED}\n"));
    let answer = ask(&redis.target(&[PASSWORD])).await.expect("it answers");
    assert!(answer.info.contains("\r\nredis_version:") && answer.info.contains("\r\nused_memory:"), "{}", answer.info);
    assert_eq!(answer.password, Some(0));
    assert_eq!(answer.role, Role::Primary { offset: 0, replicas: Vec::new() });

    let previous = ask(&redis.target(&["the next one", PASSWORD])).await.expect("it answers");
    assert_eq!(previous.password, Some(1), "the previous password is tried too");
}

#[tokio::test]
async fn a_wrong_password_is_told_without_naming_any() {
    let redis = Redis::start(&format!("requirepass {QUOTED}\n"));
    let wrong = redis.target(&["hunter2", "hunter3"]);
    let error = ask(&wrong).await.expect_err("wrong");
    assert!(matches!(error, ProbeError::WrongPassword { tried: 2, .. }), "{error:?}");
    for text in [error.to_string(), format!("{error:?}"), format!("{wrong:?}")] {
        assert!(!text.contains("hunter"), "{text}");
    }
    assert!(error.to_string().contains("Pod/redis-0 in prod, port"), "{error}");

    let error = ask(&redis.target(&[])).await.expect_err("none known");
    assert!(matches!(error, ProbeError::PasswordUnknown { .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_that_wants_no_password_is_a_finding_unless_none_is_stated() {
    let redis = Redis::start("protected-mode no\n");
    let error = ask(&redis.target(&[PASSWORD])).await.expect_err("open");
    assert!(matches!(error, ProbeError::NoPasswordRequired { .. }), "{error:?}");
    let answer = ask(&redis.target(&[])).await.expect("it is meant to be open");
    assert_eq!(answer.password, None);
}

#[tokio::test]
async fn a_replica_tells_all_that_is_exported_and_its_primary_names_it() {
    let auth = format!("requirepass {QUOTED}\nmasterauth {QUOTED}\nrepl-diskless-sync-delay 0\nappendonly yes\n");
    let primary = Redis::start(&auth);
    let replica = Redis::start(&format!("{auth}replicaof 127.0.0.1 {}\n", primary.port));
    assert!(replica.wait_for("Finished with success", "Unable to AUTH"));
    assert!(primary.wait_for("Synchronization with replica 127.0.0.1", "AUTH failed"));

    let Role::Replica { host, port, link, .. } = ask(&replica.target(&[PASSWORD])).await.expect("it answers").role
    else {
        panic!("not a replica");
    };
    assert_eq!((&*host, port, link), ("127.0.0.1", primary.port, Link::Connected));
    let info = ask(&replica.target(&[PASSWORD])).await.expect("it answers").info;
    let staging = fixture::status(jiff::Timestamp::UNIX_EPOCH).environments.remove("staging").expect("staging");
    let exported = staging.redis.pods["redis-1"].info.clone().expect("an answer").fields;
    for field in exported.keys() {
        assert!(info.contains(&format!("\n{field}:")), "metrics read {field}, which INFO does not have:\n{info}");
    }
    let Role::Primary { replicas, .. } = ask(&primary.target(&[PASSWORD])).await.expect("it answers").role else {
        panic!("not a primary");
    };
    assert_eq!(replicas.len(), 1);
    assert_eq!((&*replicas[0].host, replicas[0].port), ("127.0.0.1", replica.port));
}

#[tokio::test]
async fn a_server_that_loads_its_data_is_not_up_but_tells_how_far_it_is() {
    let mut redis = Redis::start(&format!("requirepass {QUOTED}\nenable-debug-command yes\n"));
    {
        let client = redis::Client::open(("127.0.0.1", redis.port)).expect("an address");
        let mut connection = client.get_multiplexed_async_connection().await.expect("it listens");
        let mut all = redis::pipe();
        all.cmd("AUTH").arg(PASSWORD).ignore();
        all.cmd("DEBUG").arg("POPULATE").arg(20_000).arg("key").arg(100).ignore();
        all.cmd("SAVE").ignore();
        all.query_async::<()>(&mut connection).await.expect("it saves");
    }
    redis.child.kill().expect("it ran");
    redis.child.wait().expect("it ended");
    let directory = std::mem::replace(&mut redis.directory, TempDir::new().expect("a directory"));
    // Two milliseconds for each key: loading outlasts the test.
    let slow = "key-load-delay 2000\nloading-process-events-interval-bytes 1024\n";
    let loading = Redis::spawn(&format!("requirepass {QUOTED}\n{slow}"), directory);
    assert!(loading.wait_for("Loading RDB", "Address already in use"));

    let error = ask(&loading.target(&[PASSWORD])).await.expect_err("it loads");
    let ProbeError::Loading { loading: progress, answer, .. } = &error else { panic!("{error:?}") };
    assert!(progress.percent.is_some() && answer.info.contains("loading:1"), "{answer:?}");
    assert!(error.to_string().contains("% done"), "{error}");
}

#[tokio::test]
async fn a_refused_command_is_told_in_the_servers_words() {
    let redis = Redis::start(&format!("user default on >{PLAIN} ~* +ping\n"));
    let error = ask(&redis.target(&[PLAIN])).await.expect_err("no permission");
    let ProbeError::Protocol { command: "ROLE", message, .. } = &error else { panic!("{error:?}") };
    assert!(message.contains("NOPERM"), "{message}");
}

#[tokio::test]
async fn a_port_that_nothing_listens_on_is_refused_and_a_pod_without_ip_has_none() {
    // Bound, so that nobody else can listen there meanwhile.
    let unheard = tokio::net::TcpSocket::new_v4().expect("a socket");
    unheard.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let port = unheard.local_addr().expect("bound").port();
    let error = ask(&target(port, &[PASSWORD])).await.expect_err("nobody is there");
    assert!(error.to_string().contains("connection refused"), "{error}");
    let mut nowhere = target(6379, &[PASSWORD]);
    nowhere.address.ip = None;
    let error = ask(&nowhere).await.expect_err("no address");
    assert!(error.to_string().contains("no IP address yet"), "{error}");
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let silent = target(listener.local_addr().expect("bound").port(), &[PASSWORD]);
    let deadline = Duration::from_millis(50);
    let error = probe(&Direct { deadline: PATIENCE }, &silent, deadline).await.expect_err("silence");
    assert!(matches!(error, ProbeError::Timeout { .. }), "{error:?}");
    assert!(error.to_string().contains("50ms"), "{error}");
}

#[tokio::test]
async fn what_hangs_up_or_speaks_otherwise_is_no_redis() {
    for words in ["", "HTTP/1.1 400 Bad Request\r\n\r\n", "-ERR max number of clients reached\r\n"] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let other = target(listener.local_addr().expect("bound").port(), &[PASSWORD]);
        let server = async {
            let (mut stream, _) = listener.accept().await.expect("a client");
            // Answers after the first command, as a server does that is at its limit.
            stream.read_buf(&mut Vec::with_capacity(64)).await.expect("a command");
            stream.write_all(words.as_bytes()).await.expect("it reads");
        };
        let (answer, ()) = tokio::join!(ask(&other), server);
        let error = answer.expect_err("no Redis");
        assert!(matches!(error, ProbeError::Closed { .. } | ProbeError::Protocol { .. }), "{words:?}: {error:?}");
    }
}

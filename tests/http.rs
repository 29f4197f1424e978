//! What a browser, a probe and Prometheus get from the daemon, over a real socket.

#[path = "fixtures/status.rs"]
mod fixture;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;
use redis_gitops::{
    http::{HttpState, Nudge, ProcessState, serve},
    status::{Status, SyncState},
    telemetry::Metrics,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{oneshot, watch},
};

/// A server on a free port, with everything that feeds it.
struct Served {
    address: std::net::SocketAddr,
    status: watch::Sender<Arc<Status>>,
    process: watch::Sender<ProcessState>,
    nudges: Arc<Nudges>,
    stop: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<std::io::Result<()>>,
}

#[derive(Default)]
struct Nudges(Mutex<Vec<Option<String>>>);

impl Nudge for Nudges {
    fn nudge(&self, environment: Option<&str>) {
        self.0.lock().expect("no panic").push(environment.map(str::to_owned));
    }
}

struct Answer {
    code: u16,
    head: String,
    body: String,
}

impl Served {
    async fn start(status: Status) -> Self {
        let (status, seen) = watch::channel(Arc::new(status));
        let whole = ProcessState { leader: true, first_pass_done: true, dead_task: None };
        let (process, process_seen) = watch::channel(whole);
        let nudges = Arc::new(Nudges::default());
        let (stop, stopped) = oneshot::channel();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let state =
            HttpState { status: seen, process: process_seen, metrics: Metrics::new(), nudge: Arc::clone(&nudges) as _ };
        let ended = tokio::spawn(serve(listener, state, async move {
            let _dropped = stopped.await;
        }));
        Self { address, status, process, nudges, stop, ended }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "").await
    }

    async fn send(&self, method: &str, path: &str, headers: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.expect("it listens");
        let host = self.address;
        let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{headers}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut text = String::new();
        stream.read_to_string(&mut text).await.expect("it answers");
        let (head, body) = text.split_once("\r\n\r\n").expect("a whole answer");
        let code = head[9..12].parse().expect("a status code");
        Answer { code, head: head.to_owned(), body: body.to_owned() }
    }
}

#[tokio::test]
async fn the_page_tells_where_each_environment_stands_and_why() {
    let served = Served::start(fixture::status(Timestamp::now())).await;
    let page = served.get("/").await;
    assert_eq!(page.code, 200);
    for told in [
        "1 environment needs a person, 1 wants a look",
        "environments/prod/values.yaml:12:9 asks for 5Gi",
        "Revert the commit, or move the data",
        "Shrink the claim to 5Gi",
        "spec.replicas",
        "kubectl (scale)",
        "follows redis-0.redis-headless",
        "nothing listens on the port",
        "241 MiB of 256 MiB",
        "7.0.15",
    ] {
        assert!(page.body.contains(told), "the page does not tell {told:?}:\n{}", page.body);
    }
    let detail = served.get("/environments/staging").await;
    assert_eq!(detail.code, 200);
    for told in ["PersistentVolumeClaim", "redis-secret", "Recent drift", "2 drifted", "env/staging"] {
        assert!(detail.body.contains(told), "the detail does not tell {told:?}");
    }
}

#[tokio::test]
async fn the_page_tells_how_old_its_knowledge_is() {
    let now = Timestamp::now();
    let mut status = fixture::status(now);
    status.environments.retain(|name, _| name == "dev");
    let served = Served::start(status.clone()).await;
    assert!(served.get("/").await.body.contains("Everything is as Git says"));

    for repository in status.repositories.values_mut() {
        repository.error = Some("could not connect within 10 s".to_owned());
        repository.last_success = fixture::ago(now, 900);
        repository.consecutive_failures = 14;
    }
    status.configuration.error = Some("config.yaml:14:7: unknown key `pol`".to_owned());
    status.environments.get_mut("dev").expect("dev").last_comparison = fixture::ago(now, 1_200);
    served.status.send_replace(Arc::new(status.clone()));
    let page = served.get("/").await.body;
    for told in
        ["Git is unreachable since 15 min ago", "14 attempts failed", "config.yaml:14:7", "not compared for 20 min"]
    {
        assert!(page.contains(told), "the page does not tell {told:?}");
    }

    status.environments.get_mut("dev").expect("dev").last_comparison = Some(now);
    served.status.send_replace(Arc::new(status));
    assert!(served.get("/").await.body.contains("Everything is as Git last said"));

    served.status.send_modify(|status| {
        Arc::make_mut(status).environments.get_mut("dev").expect("dev").last_comparison = None;
    });
    for path in ["/", "/environments/dev"] {
        let page = served.get(path).await.body;
        assert!(page.contains("not compared yet") && !page.contains("no drift"), "{path} claims what nobody looked at");
    }
}

#[tokio::test]
async fn nothing_that_is_shown_becomes_markup() {
    let mut status = fixture::status(Timestamp::now());
    let dev = status.environments.get_mut("dev").expect("dev");
    let hostile = fixture::HOSTILE.to_owned();
    dev.sync = SyncState::Failed { stage: hostile.clone(), message: hostile.clone() };
    dev.branch = hostile.clone();
    dev.warnings = vec![hostile.clone()];
    let commit = dev.applied.as_mut().expect("a commit");
    (commit.subject, commit.author) = (hostile.clone(), hostile.clone());
    dev.redis.pods.values_mut().for_each(|pod| pod.error = Some(hostile.clone()));
    dev.name = "a/b?c\"<".to_owned();
    let odd = dev.clone();
    status.environments.insert(odd.name.clone(), odd);
    status.configuration.error = Some(hostile);
    let served = Served::start(status).await;
    for path in ["/", "/environments/dev", "/environments/%3Cscript%3Ealert('1')"] {
        let page = served.get(path).await.body;
        assert!(!page.contains("<script>") && page.contains("alert("), "{path} shows markup:\n{page}");
    }
    assert!(served.get("/").await.body.contains("/environments/a%2Fb%3Fc%22%3C"), "the link survives any name");
    assert_eq!(served.get("/environments/a%2Fb%3Fc%22%3C").await.code, 200);
}

#[tokio::test]
async fn every_answer_forbids_framing_sniffing_caching_and_foreign_content() {
    let served = Served::start(fixture::status(Timestamp::now())).await;
    for path in ["/", "/environments/dev", "/api/v1/status", "/metrics", "/healthz", "/assets/style.css", "/nowhere"] {
        let head = served.get(path).await.head;
        for header in [
            "content-security-policy: default-src 'none';",
            "frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "cache-control: no-store",
        ] {
            assert!(head.contains(header), "{path} lacks {header:?}:\n{head}");
        }
    }
    let page = served.get("/").await.body;
    let own = |reference: &str| reference.starts_with('/') || reference.starts_with('#');
    let references: Vec<_> = page
        .split(" href=\"")
        .skip(1)
        .chain(page.split(" src=\"").skip(1))
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert!(references.len() > 5 && references.iter().all(|reference| own(reference)), "{references:?}");
    for asset in references.iter().filter(|reference| reference.starts_with("/assets/")) {
        assert_eq!(served.get(asset).await.code, 200, "{asset}");
    }
    assert_eq!(served.get("/nowhere").await.code, 404);
    assert_eq!(served.get("/environments/nowhere").await.code, 404);
    assert_eq!(served.get("/assets/nothing").await.code, 404);
}

#[tokio::test]
async fn the_status_is_json() {
    let served = Served::start(fixture::status(Timestamp::now())).await;
    let answer = served.get("/api/v1/status").await;
    assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
    let status: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
    let prod = &status["environments"]["prod"];
    assert_eq!(prod["sync"]["state"], "refused");
    assert_eq!(prod["sync"]["refusals"][0]["refusal"]["guard"], "claim-shrink");
    assert_eq!(status["environments"]["staging"]["objects"][3]["drift"][0]["path"], "spec.replicas");
}

#[tokio::test]
async fn metrics_are_of_the_newest_status() {
    let served = Served::start(fixture::status(Timestamp::now())).await;
    let answer = served.get("/metrics").await;
    assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{}", answer.head);
    assert!(answer.body.contains("redis_gitops_environment_synced{environment=\"prod\"} 0\n"));
    assert!(answer.body.contains("redis_gitops_leader 1\n"));
    served.status.send_replace(Arc::default());
    served.process.send_modify(|process| process.leader = false);
    let later = served.get("/metrics").await.body;
    assert!(!later.contains("environment=\"prod\"") && later.contains("redis_gitops_leader 0\n"), "{later}");
}

#[tokio::test]
async fn alive_and_ready_are_told_apart() {
    let served = Served::start(Status::default()).await;
    assert_eq!(served.get("/healthz").await.code, 200);
    let unready = served.get("/readyz").await;
    assert_eq!((unready.code, unready.body.contains("configuration")), (503, true), "{}", unready.body);

    served.process.send_modify(|process| process.first_pass_done = false);
    served.status.send_replace(Arc::new(fixture::status(Timestamp::now())));
    let unready = served.get("/readyz").await;
    assert_eq!((unready.code, unready.body.contains("first pass")), (503, true), "{}", unready.body);

    served.process.send_modify(|process| process.first_pass_done = true);
    assert_eq!(served.get("/readyz").await.code, 200);

    served.process.send_modify(|process| process.dead_task = Some("git".to_owned()));
    let dead = served.get("/healthz").await;
    assert_eq!((dead.code, dead.body.contains("\"git\"")), (500, true), "{}", dead.body);
    assert!(served.get("/").await.body.contains("The daemon is not whole"));
}

#[tokio::test]
async fn a_nudge_needs_the_header_and_this_origin() {
    let served = Served::start(fixture::status(Timestamp::now())).await;
    let own = format!("X-Redis-Gitops: 1\r\nOrigin: http://{}\r\nSec-Fetch-Site: same-origin\r\n", served.address);
    let guard = "X-Redis-Gitops: 1\r\n";
    for (path, headers, code) in [
        ("/api/v1/sync", "", 403),
        ("/api/v1/sync", "X-Redis-Gitops: 1\r\nOrigin: https://evil.example\r\n", 403),
        ("/api/v1/sync", "X-Redis-Gitops: 1\r\nOrigin: null\r\n", 403),
        ("/api/v1/sync", "X-Redis-Gitops: 1\r\nSec-Fetch-Site: cross-site\r\n", 403),
        ("/api/v1/sync?environment=nowhere", guard, 404),
        ("/api/v1/sync", guard, 202),
        ("/api/v1/sync?environment=prod", &own, 202),
    ] {
        let answer = served.send("POST", path, headers).await;
        assert_eq!(answer.code, code, "{path} with {headers:?}: {}", answer.body);
    }
    assert_eq!(*served.nudges.0.lock().expect("no panic"), [None, Some("prod".to_owned())]);
    assert_eq!(served.get("/api/v1/sync").await.code, 405, "a link cannot nudge");

    served.process.send_modify(|process| process.leader = false);
    assert_eq!(served.send("POST", "/api/v1/sync", guard).await.code, 503, "a standby does not steer");
}

#[tokio::test]
async fn it_stops_although_a_client_does_not_read_its_answer() {
    let mut status = fixture::status(Timestamp::now());
    // More than the sockets between can hold.
    status.configuration.error = Some("x".repeat(32 << 20));
    let served = Served::start(status).await;
    let mut slow = TcpStream::connect(served.address).await.expect("it listens");
    slow.write_all(b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("it reads");
    slow.read_exact(&mut [0; 100]).await.expect("the answer has begun");
    served.stop.send(()).expect("it runs");
    tokio::time::timeout(Duration::from_secs(20), served.ended)
        .await
        .expect("it stops in time")
        .expect("no panic")
        .expect("no error");
}

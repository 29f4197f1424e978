//! The mirror against Git's own server, well-behaved and not.

use std::{
    error::Error,
    fs,
    io::{self, BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::Command,
    thread,
    time::Duration,
};

use redis_gitops::{
    environment::BranchName,
    git::{BranchTip, GitError, Mirror, Operation, Rebuilt, RemoteFailure, Tips},
    repository::{Credentials, Repository},
    revision::Revision,
};

#[path = "git/faults.rs"]
mod faults;
#[path = "support/git_server.rs"]
mod git_server;

use git_server::{GitServer, Origin, git};

fn branch(name: &str) -> BranchName {
    name.parse().expect("a branch name")
}

fn repository(url: &str) -> Repository {
    Repository {
        url: url.parse().expect("a URL"),
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(30),
        ca_file: None,
        proxy: None,
        credentials: Credentials::Anonymous,
    }
}

/// An origin, a server for it, and a folder for mirrors.
struct Setting {
    origin: Origin,
    server: GitServer,
    data: tempfile::TempDir,
}

impl Setting {
    fn new() -> Self {
        let origin = Origin::new();
        let server = GitServer::start(origin.root());
        Self { origin, server, data: tempfile::tempdir().expect("a temporary folder") }
    }

    fn repository(&self) -> Repository {
        repository(&self.server.url("repo.git"))
    }

    async fn mirror(&self) -> Mirror {
        Mirror::open(self.repository(), self.data.path()).await.expect("a new mirror")
    }

    fn folder(&self) -> PathBuf {
        let entries = fs::read_dir(self.data.path().join("git")).expect("the folder of mirrors");
        let is_mirror = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "git");
        entries.map(|entry| entry.expect("an entry").path()).find(is_mirror).expect("a mirror")
    }
}

async fn tips(mirror: &Mirror) -> Tips {
    mirror.poll(&[branch("env/dev")]).await.expect("a poll")
}

async fn failure(mirror: &Mirror) -> (Operation, RemoteFailure) {
    match mirror.poll(&[branch("env/dev")]).await.expect_err("the poll must fail") {
        GitError::Remote { operation, failure, .. } => (operation, failure),
        other => panic!("not a failure of the remote: {other}"),
    }
}

fn at(tips: &Tips, name: &str) -> (String, bool) {
    match &tips.branches[&branch(name)] {
        BranchTip::At { revision, rewound } => (revision.to_string(), *rewound),
        BranchTip::Missing => panic!("{name} is missing"),
    }
}

fn revision(tips: &Tips) -> Revision {
    Revision::try_from(at(tips, "env/dev").0).expect("a full id")
}

fn content(mirror: &Mirror, revision: &Revision, path: &str) -> Option<String> {
    let snapshot = mirror.snapshot(revision).expect("a fetched commit");
    let bytes = snapshot.files.read(path).expect("a readable file")?;
    Some(String::from_utf8(bytes.to_vec()).expect("text"))
}

const VALUES: &str = "environments/dev/values.yaml";

/// The error and all its sources, as a log would show them.
fn shown(error: &GitError) -> String {
    let mut text = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

#[tokio::test]
async fn the_first_poll_fetches_and_the_files_can_be_read() {
    let setting = Setting::new();
    let mirror = setting.mirror().await;
    assert_eq!(mirror.last_known(&branch("env/dev")).expect("a readable mirror"), None);

    let tips = tips(&mirror).await;
    assert!(tips.fetched && tips.rebuilt.is_none());
    assert_eq!(at(&tips, "env/dev").0, git(&setting.origin.work(), &["rev-parse", "HEAD"]));
    let revision = revision(&tips);
    assert_eq!(content(&mirror, &revision, VALUES).as_deref(), Some("replicaCount: 1\n"));
    assert_eq!(content(&mirror, &revision, "nothing/here.yaml"), None);
    assert_eq!(content(&mirror, &revision, "environments"), None, "a folder is no file");

    let info = mirror.commit_info(&revision).expect("a fetched commit");
    assert_eq!(info.author, "Ada <ada@example.com>");
    assert_eq!(info.subject, "Begin with one replica");
    assert_eq!(info.time.to_string(), "2026-01-02T03:04:05Z");
}

#[tokio::test]
async fn a_poll_that_finds_nothing_new_is_one_request() {
    let setting = Setting::new();
    let mirror = setting.mirror().await;
    let first = tips(&mirror).await;
    setting.server.requests();

    let second = tips(&mirror).await;
    assert!(!second.fetched);
    assert_eq!(second.branches, first.branches);
    assert_eq!(setting.server.requests(), ["GET /repo.git/info/refs?service=git-upload-pack"]);
    assert_eq!(setting.server.connections(), 1, "polls share a connection");
}

#[tokio::test]
async fn one_fetch_serves_all_branches_and_a_missing_one_is_said() {
    let setting = Setting::new();
    let mirror = setting.mirror().await;
    tips(&mirror).await;
    let staging = setting.origin.commit("env/staging", &[("a", "1")], "Stage");
    let dev = setting.origin.commit("env/dev", &[("a", "2")], "Develop");
    setting.server.requests();

    let names = [branch("env/dev"), branch("env/staging"), branch("env/prod")];
    let found = mirror.poll(&names).await.expect("a poll");
    assert_eq!(at(&found, "env/dev"), (dev, false));
    assert_eq!(at(&found, "env/staging"), (staging, false));
    assert_eq!(found.branches[&branch("env/prod")], BranchTip::Missing);
    let requests = setting.server.requests();
    assert_eq!(requests.iter().filter(|request| request.starts_with("GET")).count(), 1, "{requests:?}");

    git(&setting.origin.bare(), &["update-ref", "-d", "refs/heads/env/staging"]);
    let gone = mirror.poll(&names).await.expect("a poll");
    assert_eq!(gone.branches[&branch("env/staging")], BranchTip::Missing);
    assert!(!gone.fetched);
}

#[tokio::test]
async fn an_old_snapshot_outlives_pushes() {
    let setting = Setting::new();
    let mirror = setting.mirror().await;
    let before = revision(&tips(&mirror).await);
    let snapshot = mirror.snapshot(&before).expect("a fetched commit");
    setting.origin.commit("env/dev", &[(VALUES, "replicaCount: 2\n")], "Grow");
    let after = revision(&tips(&mirror).await);
    let old = snapshot.files.read(VALUES).expect("a readable file").expect("the file");
    assert_eq!(&*old, b"replicaCount: 1\n");
    assert_eq!(content(&mirror, &after, VALUES).as_deref(), Some("replicaCount: 2\n"));
}

#[tokio::test]
async fn a_force_push_is_followed_and_said_once() {
    let setting = Setting::new();
    let mirror = setting.mirror().await;
    let first = revision(&tips(&mirror).await);
    setting.origin.commit("env/dev", &[(VALUES, "replicaCount: 2\n")], "Grow");
    let second = tips(&mirror).await;
    assert!(!at(&second, "env/dev").1, "a commit on top is no rewind");

    git(&setting.origin.work(), &["reset", "-q", "--hard", first.as_str()]);
    setting.origin.push("env/dev");
    assert_eq!(at(&tips(&mirror).await, "env/dev"), (first.to_string(), true), "back to an old commit");
    assert_eq!(at(&tips(&mirror).await, "env/dev"), (first.to_string(), false));

    git(&setting.origin.work(), &["commit", "-q", "--amend", "-m", "Begin otherwise"]);
    let amended = setting.origin.push("env/dev");
    assert_eq!(at(&tips(&mirror).await, "env/dev"), (amended, true), "a rewritten commit");
    assert_eq!(content(&mirror, &revision(&second), VALUES).as_deref(), Some("replicaCount: 2\n"));
}

#[tokio::test]
async fn credentials_come_from_files_that_are_read_each_time() {
    let setting = Setting::new();
    setting.server.require_login("deploy", "correct horse");
    let (user, password) = (setting.data.path().join("user"), setting.data.path().join("password"));
    fs::write(&user, "deploy\n").expect("a file");
    fs::write(&password, "planted-wrong-password\n").expect("a file");
    let mut repository = setting.repository();
    repository.credentials = Credentials::Basic { username_file: user, password_file: password.clone() };
    let mirror = Mirror::open(repository, setting.data.path()).await.expect("a new mirror");

    let error = mirror.poll(&[branch("env/dev")]).await.expect_err("a wrong password");
    let refused = RemoteFailure::Authentication { status: 401 };
    assert!(matches!(&error, GitError::Remote { failure, .. } if *failure == refused), "{error}");
    let encoded = "ZGVwbG95OnBsYW50ZWQtd3JvbmctcGFzc3dvcmQ=";
    for secret in ["planted-wrong-password", encoded] {
        assert!(!shown(&error).contains(secret), "{error}");
    }

    fs::write(&password, "correct horse\n").expect("a rotated file");
    assert!(tips(&mirror).await.fetched, "the new password is used without a restart");

    fs::remove_file(&password).expect("a file");
    let error = mirror.poll(&[branch("env/dev")]).await.expect_err("no file");
    assert!(matches!(error, GitError::Secret { .. }) && error.to_string().contains("password"), "{error}");
}

#[tokio::test]
async fn a_bearer_token_is_sent_and_a_broken_one_is_not_shown() {
    let setting = Setting::new();
    setting.server.require_bearer("t0ken");
    let file = setting.data.path().join("token");
    fs::write(&file, "t0ken").expect("a file");
    let mut repository = setting.repository();
    repository.credentials = Credentials::Bearer { token_file: file.clone() };
    let mirror = Mirror::open(repository, setting.data.path()).await.expect("a new mirror");
    assert!(tips(&mirror).await.fetched);

    fs::write(&file, "planted\ntoken").expect("a file");
    let error = mirror.poll(&[branch("env/dev")]).await.expect_err("no header can hold it");
    assert!(matches!(error, GitError::Secret { .. }), "{error}");
    assert!(!shown(&error).contains("planted"), "{error}");
}

#[tokio::test]
async fn many_packs_become_one_and_open_snapshots_stay() {
    let setting = Setting::new();
    let mirror = setting.mirror().await;
    let forced_away = revision(&tips(&mirror).await);
    git(&setting.origin.work(), &["commit", "-q", "--amend", "-m", "Begin otherwise"]);
    setting.origin.push("env/dev");
    let first = revision(&tips(&mirror).await);
    let snapshot = mirror.snapshot(&first).expect("a fetched commit");
    let mut rebuilt = None;
    for push in 0..80 {
        let expected = setting.origin.commit("env/dev", &[("count", &push.to_string())], "Count");
        let tips = tips(&mirror).await;
        assert_eq!(at(&tips, "env/dev"), (expected, false));
        if tips.rebuilt.is_some() {
            rebuilt = tips.rebuilt;
            break;
        }
    }
    assert!(matches!(rebuilt, Some(Rebuilt::Packs(packs)) if packs > 60), "{rebuilt:?}");
    let is_pack = |entry: &fs::DirEntry| entry.path().extension().is_some_and(|extension| extension == "pack");
    let packs = fs::read_dir(setting.folder().join("objects/pack")).expect("packs");
    assert_eq!(packs.flatten().filter(is_pack).count(), 1);
    assert!(mirror.commit_info(&forced_away).is_ok(), "what may still run stays readable");
    let kept = git(&setting.folder(), &["for-each-ref", "--format=%(objectname)", "refs/rewound"]);
    assert_eq!(kept, forced_away.as_str(), "and stays so past the next compaction");
    assert_eq!(snapshot.files.read("count").expect("readable"), None);
    assert!(snapshot.files.read(VALUES).expect("readable").is_some());
}

#[tokio::test]
async fn a_second_daemon_is_kept_out_until_the_first_is_gone() {
    let setting = Setting::new();
    let mirror = setting.mirror().await;
    let error = Mirror::open(setting.repository(), setting.data.path()).await.err().expect("it is locked");
    assert!(matches!(&error, GitError::Locked { owner, .. } if *owner == std::process::id().to_string()), "{error}");
    drop(mirror);
    // What a killed process leaves behind is a lock file that nobody holds.
    fs::write(setting.folder().with_extension("lock"), "999999\n").expect("a stale lock");
    setting.mirror().await;
}

#[tokio::test]
async fn links_are_refused_and_submodules_are_absent() {
    let setting = Setting::new();
    let work = setting.origin.work();
    std::os::unix::fs::symlink("values.yaml", work.join("environments/dev/link.yaml")).expect("a link");
    std::os::unix::fs::symlink("dev", work.join("environments/alias")).expect("a link");
    let head = git(&work, &["rev-parse", "HEAD"]);
    git(&work, &["update-index", "--add", "--cacheinfo", &format!("160000,{head},module")]);
    git(&work, &["add", "environments"]);
    git(&work, &["commit", "-q", "-m", "Link"]);
    setting.origin.push("env/dev");
    let mirror = setting.mirror().await;
    let files = mirror.snapshot(&revision(&tips(&mirror).await)).expect("a fetched commit").files;

    for path in ["environments/dev/link.yaml", "environments/alias/values.yaml"] {
        let error = files.read(path).expect_err("a link");
        assert!(error.to_string().contains("symbolic link"), "{error}");
    }
    assert_eq!(files.read("module/x").expect("absent"), None);
    let listed = files.list("").expect("a list");
    assert_eq!(listed, ["environments/alias", "environments/dev/link.yaml", VALUES]);
    assert_eq!(files.list("environments/dev").expect("a list"), ["environments/dev/link.yaml", VALUES]);
    assert_eq!(files.list("nowhere").expect("a list"), Vec::<String>::new());
}

#[tokio::test]
async fn a_path_is_a_repository_too() {
    let origin = Origin::new();
    let data = tempfile::tempdir().expect("a temporary folder");
    let url = format!("file://{}", origin.bare().display());
    let mirror = Mirror::open(repository(&url), data.path()).await.expect("a new mirror");
    let found = tips(&mirror).await;
    assert!(found.fetched);
    assert!(content(&mirror, &revision(&found), VALUES).is_some());
    assert!(!tips(&mirror).await.fetched);

    let absent = format!("file://{}/absent", origin.root().display());
    let mirror = Mirror::open(repository(&absent), data.path()).await.expect("a new mirror");
    assert_eq!(failure(&mirror).await.1, RemoteFailure::NotFound);
}

#[tokio::test]
async fn an_unknown_commit_is_an_error_that_says_so() {
    let setting = Setting::new();
    let mirror = setting.mirror().await;
    let unknown = Revision::try_from("0123456789abcdef0123456789abcdef01234567".to_owned()).expect("an id");
    let error = mirror.snapshot(&unknown).expect_err("never fetched");
    assert!(error.to_string().contains("0123456789ab") && error.to_string().contains("never fetched"), "{error}");
    tips(&mirror).await;
    assert_eq!(tips(&mirror).await.rebuilt, None, "an unknown commit is no damage");
}

#[tokio::test]
async fn reads_go_on_while_another_thread_fetches() {
    let setting = Setting::new();
    let mirror = setting.mirror().await;
    let first = revision(&tips(&mirror).await);
    let reader = mirror.clone();
    let reading = tokio::task::spawn_blocking(move || {
        for _ in 0..2_000 {
            assert_eq!(content(&reader, &first, VALUES).as_deref(), Some("replicaCount: 1\n"));
        }
    });
    for push in 0..10 {
        setting.origin.commit("env/dev", &[("count", &push.to_string())], "Count");
        assert!(tips(&mirror).await.fetched);
    }
    reading.await.expect("no read failed");
}

#[tokio::test]
async fn the_gitconfig_of_the_host_and_its_proxy_variables_are_not_used() {
    let test = std::env::current_exe().expect("this test");
    let home = tempfile::tempdir().expect("a temporary folder");
    let config = "[url \"http://127.0.0.1:1/\"]\n\tinsteadOf = redis-gitops://\n\tinsteadOf = http://\n";
    fs::write(home.path().join(".gitconfig"), config).expect("a file");
    let status = Command::new(test)
        .args(["--exact", "a_poll_that_finds_nothing_new_is_one_request"])
        .env("HOME", home.path())
        .envs(["http_proxy", "HTTP_PROXY", "ALL_PROXY"].map(|name| (name, "http://127.0.0.1:1")))
        .output()
        .expect("the test runs");
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stdout));
}

/// A proxy for one connection; gives the request lines that it took.
fn proxy() -> (String, thread::JoinHandle<io::Result<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("a bound port"));
    let serving = thread::spawn(move || {
        let (client, _) = listener.accept()?;
        let mut from_client = BufReader::new(client.try_clone()?);
        let mut request = String::new();
        while !request.ends_with("\r\n\r\n") {
            from_client.read_line(&mut request)?;
        }
        let target = request.split(' ').nth(1).unwrap_or_default();
        let (server, mut to_client) = (TcpStream::connect(target)?, client);
        let mut from_server = server.try_clone()?;
        to_client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        let back = thread::spawn(move || io::copy(&mut from_server, &mut to_client));
        io::copy(&mut from_client, &mut &server)?;
        server.shutdown(std::net::Shutdown::Both)?;
        drop(back.join());
        Ok(request)
    });
    (address, serving)
}

#[tokio::test]
async fn a_proxy_carries_every_request_when_one_is_named() {
    let setting = Setting::new();
    let (address, serving) = proxy();
    let named = Repository { proxy: Some(address), ..setting.repository() };
    let mirror = Mirror::open(named, setting.data.path()).await.expect("a new mirror");
    assert!(tips(&mirror).await.fetched);
    drop(mirror);
    let request = serving.join().expect("no panic").expect("a proxied connection");
    assert!(request.starts_with("CONNECT 127.0.0.1:"), "{request}");
}

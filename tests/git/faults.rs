//! Servers that misbehave, mirrors that are damaged, and what is said about it.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use redis_gitops::{
    git::{GitError, Mirror, Operation, Rebuilt, RemoteFailure},
    repository::Repository,
};

use super::{
    Setting, VALUES, at, branch, content, failure,
    git_server::{Behaviour, GitServer, Origin, git},
    repository, revision, tips,
};

#[tokio::test]
async fn a_server_that_hangs_is_given_up_at_the_deadline() {
    let setting = Setting::new();
    let mut repository = setting.repository();
    repository.timeout = Duration::from_secs(1);
    let mirror = Mirror::open(repository, setting.data.path()).await.expect("a new mirror");
    for (behaviour, during) in [(Behaviour::Hang, Operation::List), (Behaviour::HangInPack, Operation::Fetch)] {
        setting.server.behave(behaviour);
        let started = Instant::now();
        let (operation, failure) = failure(&mirror).await;
        let took = started.elapsed();
        assert_eq!((operation, failure), (during, RemoteFailure::Timeout { seconds: 1 }));
        assert!(took >= Duration::from_millis(900) && took < Duration::from_secs(5), "{took:?}");
    }
    setting.server.behave(Behaviour::Serve);
    let relaxed = mirror.reconfigured(setting.repository()).expect("the same URL");
    assert!(tips(&relaxed).await.fetched, "and the mirror is usable afterwards");
}

#[tokio::test]
async fn a_poll_waits_no_longer_than_its_own_deadline_for_another() {
    let setting = Setting::new();
    setting.server.behave(Behaviour::Hang);
    let mut repository = setting.repository();
    repository.timeout = Duration::from_secs(4);
    let slow = Mirror::open(repository.clone(), setting.data.path()).await.expect("a new mirror");
    repository.timeout = Duration::from_secs(1);
    let quick = slow.reconfigured(repository).expect("the same URL");
    let hanging = tokio::spawn(async move { slow.poll(&[branch("env/dev")]).await });
    let asked = async {
        while setting.server.requests().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), asked).await.expect("the first poll asks");
    let (operation, late) = failure(&quick).await;
    assert_eq!((operation, late), (Operation::Wait, RemoteFailure::Timeout { seconds: 1 }));
    hanging.abort();
}

#[tokio::test]
async fn a_broken_answer_changes_nothing_and_the_next_poll_recovers() {
    let setting = Setting::new();
    let mirror = setting.mirror().await;
    let before = revision(&tips(&mirror).await);
    let large = "x: y\n".repeat(20_000);
    let after = setting.origin.commit("env/dev", &[("large.yaml", &large)], "Grow");
    for behaviour in [Behaviour::CutPack(60), Behaviour::EndPack(60), Behaviour::EndPack(0)] {
        setting.server.behave(behaviour.clone());
        let (operation, failure) = failure(&mirror).await;
        assert_eq!(operation, Operation::Fetch);
        assert!(matches!(failure, RemoteFailure::Protocol(_)), "{behaviour:?}: {failure}");
        assert_eq!(mirror.last_known(&branch("env/dev")).expect("readable"), Some(before.clone()));
        assert!(content(&mirror, &before, VALUES).is_some());
    }
    setting.server.behave(Behaviour::Serve);
    assert_eq!(at(&tips(&mirror).await, "env/dev"), (after, false));
}

#[tokio::test]
async fn each_kind_of_refusal_has_its_own_name() {
    let setting = Setting::new();
    let mirror = setting.mirror().await;
    type Expected = fn(&RemoteFailure) -> bool;
    let cases: [(Behaviour, Expected); 7] = [
        (Behaviour::Status(403), |f| *f == RemoteFailure::Authentication { status: 403 }),
        (Behaviour::Status(404), |f| *f == RemoteFailure::NotFound),
        (Behaviour::Status(503), |f| *f == RemoteFailure::Server { status: 503 }),
        (Behaviour::Status(429), |f| *f == RemoteFailure::Server { status: 429 }),
        (Behaviour::Status(418), |f| matches!(f, RemoteFailure::Protocol(_))),
        (Behaviour::Page, |f| matches!(f, RemoteFailure::Protocol(text) if text.contains("text/html"))),
        (Behaviour::Redirect { from: "/", to: "https://elsewhere.example/x".to_owned() }, |f| {
            *f == RemoteFailure::Redirect("https://elsewhere.example".to_owned())
        }),
    ];
    for (behaviour, expected) in cases {
        setting.server.behave(behaviour.clone());
        let (operation, failure) = failure(&mirror).await;
        assert_eq!(operation, Operation::List);
        assert!(expected(&failure), "{behaviour:?}: {failure:?}");
    }
    setting.server.behave(Behaviour::Serve);
    let absent = repository(&setting.server.url("no.git"));
    let mirror = Mirror::open(absent, setting.data.path()).await.expect("a new mirror");
    let (_, missing) = failure(&mirror).await;
    assert_eq!(missing, RemoteFailure::NotFound);
}

#[tokio::test]
async fn a_redirect_on_the_same_host_is_followed_for_the_whole_fetch() {
    let setting = Setting::new();
    let moved = Behaviour::Redirect { from: "/old.git", to: setting.server.url("repo.git") };
    setting.server.behave(moved);
    let old = repository(&setting.server.url("old.git"));
    let mirror = Mirror::open(old.clone(), setting.data.path()).await.expect("a new mirror");
    assert!(tips(&mirror).await.fetched);
    let requests = setting.server.requests();
    let list = "info/refs?service=git-upload-pack";
    let expected =
        [format!("GET /old.git/{list}"), format!("GET /repo.git/{list}"), "POST /repo.git/git-upload-pack".to_owned()];
    assert_eq!(requests, expected);

    setting.server.behave(Behaviour::Redirect { from: "/", to: setting.server.url("old.git") });
    let (_, circular) = failure(&mirror).await;
    assert!(matches!(&circular, RemoteFailure::Protocol(text) if text.contains("redirects")), "{circular}");
}

#[tokio::test]
async fn the_last_commit_stays_readable_while_the_server_is_down() {
    let Setting { origin, server, data } = Setting::new();
    let repository = repository(&server.url("repo.git"));
    let mirror = Mirror::open(repository.clone(), data.path()).await.expect("a new mirror");
    let known = revision(&tips(&mirror).await);
    drop(server);
    let (operation, failure) = failure(&mirror).await;
    assert_eq!(operation, Operation::List);
    assert!(matches!(failure, RemoteFailure::Unreachable(_)), "{failure}");
    drop(mirror);

    let reopened = Mirror::open(repository, data.path()).await.expect("the mirror again");
    assert_eq!(reopened.last_known(&branch("env/dev")).expect("readable"), Some(known.clone()));
    assert!(content(&reopened, &known, VALUES).is_some(), "also after a restart");
    drop(origin);
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_no_connection() {
    let data = tempfile::tempdir().expect("a temporary folder");
    let mirror = Mirror::open(repository("http://no-such-host.invalid/x.git"), data.path()).await.expect("a mirror");
    let (_, failure) = failure(&mirror).await;
    assert!(matches!(failure, RemoteFailure::Unreachable(_)), "{failure}");
}

/// Overwrites every object that the mirror stores.
fn damage(folder: &Path) {
    let packs = fs::read_dir(folder.join("objects/pack")).expect("packs");
    for entry in packs {
        let path = entry.expect("an entry").path();
        let length = fs::metadata(&path).expect("a file").len();
        fs::remove_file(&path).expect("a file");
        fs::write(&path, vec![0; usize::try_from(length).expect("a small file")]).expect("a file");
    }
}

#[tokio::test]
async fn a_damaged_mirror_is_built_anew_and_said() {
    let setting = Setting::new();
    let mirror = setting.mirror().await;
    let known = revision(&tips(&mirror).await);
    drop(mirror);
    damage(&setting.folder());

    let mirror = setting.mirror().await;
    assert!(mirror.snapshot(&known).is_err(), "nothing can be read of it");
    setting.server.behave(Behaviour::Status(503));
    failure(&mirror).await;
    setting.server.behave(Behaviour::Serve);
    let rebuilt = tips(&mirror).await;
    assert!(matches!(rebuilt.rebuilt, Some(Rebuilt::Corrupt(_))), "{rebuilt:?}");
    assert_eq!(revision(&rebuilt), known);
    assert!(content(&mirror, &known, VALUES).is_some());
    assert_eq!(tips(&mirror).await.rebuilt, None, "once");
    let left: Vec<_> = fs::read_dir(setting.data.path().join("git")).expect("a folder").collect();
    assert_eq!(left.len(), 2, "the mirror and its lock: {left:?}");
}

#[tokio::test]
async fn a_file_that_is_lost_from_the_mirror_is_said_and_comes_back() {
    let setting = Setting::new();
    let mirror = setting.mirror().await;
    let known = revision(&tips(&mirror).await);
    drop(mirror);
    unpack(&setting.folder());
    let blob = git(&setting.origin.work(), &["rev-parse", &format!("HEAD:{VALUES}")]);
    fs::remove_file(setting.folder().join("objects").join(&blob[..2]).join(&blob[2..])).expect("the blob");

    let mirror = setting.mirror().await;
    assert_eq!(tips(&mirror).await.rebuilt, None, "nothing shows until it is read");
    let files = mirror.snapshot(&known).expect("a fetched commit").files;
    let error = files.read(VALUES).expect_err("it is lost");
    assert!(error.to_string().contains("damaged"), "{error}");
    let rebuilt = tips(&mirror).await.rebuilt;
    assert!(matches!(&rebuilt, Some(Rebuilt::Corrupt(what)) if what.contains(VALUES)), "{rebuilt:?}");
    assert!(files.read(VALUES).expect("the same snapshot works again").is_some());
}

/// Turns the packs of a repository into single files.
fn unpack(folder: &Path) {
    let aside = folder.join("aside");
    for path in fs::read_dir(folder.join("objects/pack")).expect("packs").map(|entry| entry.expect("an entry").path()) {
        if path.extension().is_some_and(|extension| extension == "pack") {
            fs::copy(&path, &aside).expect("a copy");
        }
        fs::remove_file(path).expect("a file");
    }
    let status = Command::new("git")
        .args(["-C", &folder.display().to_string(), "unpack-objects", "-q"])
        .stdin(fs::File::open(&aside).expect("the pack"))
        .status();
    assert!(status.expect("git is installed").success());
}

#[tokio::test]
async fn a_folder_that_is_no_repository_is_built_anew_and_said() {
    let setting = Setting::new();
    drop(setting.mirror().await);
    fs::remove_file(setting.folder().join("HEAD")).expect("a repository");
    let rebuilt = tips(&setting.mirror().await).await;
    assert!(matches!(rebuilt.rebuilt, Some(Rebuilt::Corrupt(_))), "{rebuilt:?}");
}

/// A certificate for 127.0.0.1 that signs itself, and a server configuration with it.
fn certificate() -> (String, Arc<rustls::ServerConfig>) {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let key = rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("a configuration");
    (cert.pem(), Arc::new(config))
}

#[tokio::test]
async fn https_trusts_the_authority_that_the_repository_names_and_no_other() {
    let origin = Origin::new();
    let data = tempfile::tempdir().expect("a temporary folder");
    let ((pem, config), (other_pem, _)) = (certificate(), certificate());
    let server = GitServer::with_tls(origin.root(), Some(config));
    let plain = repository(&server.url("repo.git"));
    let mirror = Mirror::open(plain.clone(), data.path()).await.expect("a new mirror");
    let (_, untrusted) = failure(&mirror).await;
    assert!(matches!(untrusted, RemoteFailure::Tls(_)), "{untrusted}");

    let ca_file = data.path().join("ca.crt");
    fs::write(&ca_file, &other_pem).expect("a file");
    let trusting = Repository { ca_file: Some(ca_file.clone()), ..plain };
    let mirror = mirror.reconfigured(trusting).expect("the same URL");
    let (_, wrong) = failure(&mirror).await;
    assert!(matches!(wrong, RemoteFailure::Tls(_)), "{wrong}");

    fs::write(&ca_file, pem).expect("a file");
    assert!(tips(&mirror).await.fetched, "a replaced CA file is used without a restart");

    fs::write(&ca_file, "nonsense").expect("a file");
    let error = mirror.poll(&[branch("env/dev")]).await.expect_err("no certificate");
    assert!(matches!(error, GitError::Secret { .. }), "{error}");
}

#[tokio::test]
async fn a_connection_that_was_kept_too_long_is_made_anew() {
    let setting = Setting::new();
    let mirror = setting.mirror().await;
    setting.server.behave(Behaviour::CloseAtSecond);
    assert!(tips(&mirror).await.fetched);
    assert!(!tips(&mirror).await.fetched);
    assert!(setting.server.connections() > 1);
    setting.server.behave(Behaviour::Close);
    let (_, closed) = failure(&mirror).await;
    assert!(matches!(&closed, RemoteFailure::Unreachable(why) if why.contains("closed")), "{closed}");
}

//! The configuration file: what is accepted, what is said about mistakes, and
//! how a running daemon follows it.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use redis_gitops::{
    cli::{Output, validate::Validate},
    config::{Config, ConfigError, Connect, Scope, Watch},
    environment::DriftPolicy,
    repository::Credentials,
};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Each `bad/NAME.yaml` has what is said about it in `bad/NAME.txt`. With
/// `UPDATE_EXPECT=1` the texts are written anew, for a person to review.
#[test]
fn every_mistake_is_explained_at_its_place() {
    let mut differing = Vec::new();
    let mut cases = 0;
    for entry in fs::read_dir(root().join("tests/config/bad")).expect("the folder of cases") {
        let path = entry.expect("a case").path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        cases += 1;
        let text = fs::read_to_string(&path).expect("a readable case");
        let error = Config::parse(&text, Path::new("config.yaml")).expect_err(&path.display().to_string());
        let said = format!("{error}\n");
        assert!(!said.contains("hunter2"), "{} shows a password:\n{said}", path.display());
        let expected = path.with_extension("txt");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&expected, &said).expect("a writable case");
        }
        if fs::read_to_string(&expected).unwrap_or_default() != said {
            differing.push(format!("{}:\n{said}", path.display()));
        }
    }
    assert!(cases > 10, "only {cases} cases were found");
    assert!(differing.is_empty(), "not as expected:\n{}", differing.join("\n"));
}

#[test]
fn the_example_is_valid_and_means_what_its_comments_say() {
    let file = root().join("deploy/config.example.yaml");
    let config = Config::load(&file).expect("the example");
    assert_eq!(config.environments.len(), 3);
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.kubernetes.scope, Scope::Cluster);
    assert_eq!(config.probe.connect, Connect::Direct);
    let [dev, _, prod] = config.environments.as_slice() else { panic!("three environments") };
    assert!(dev.throw_away && dev.prune && !prod.throw_away && !prod.prune);
    assert_eq!((dev.drift, prod.drift), (DriftPolicy::Correct, DriftPolicy::Alert));
    assert_eq!(prod.timeouts.ready, Duration::from_secs(900));
    assert_eq!(prod.timeouts.apply, Duration::from_secs(60));
}

/// The commented defaults are the defaults: with their comment signs removed
/// the example reads as the same configuration.
#[test]
fn the_defaults_named_in_the_example_are_the_defaults() {
    let file = root().join("deploy/config.example.yaml");
    let text = fs::read_to_string(&file).expect("the example");
    let no_default = ["caFile", "proxy", "bearerTokenFile", "kubeconfig", "context"];
    let spelled: String = text
        .lines()
        .map(|line| {
            let key = line.trim_start().strip_prefix("# ").and_then(|rest| rest.split_once(':'));
            let is_key = key.is_some_and(|(key, _)| key.trim().chars().all(|c| c.is_ascii_alphabetic()));
            let has_default = key.is_some_and(|(key, _)| !no_default.contains(&key.trim()));
            if is_key && has_default { line.replacen("# ", "", 1) + "\n" } else { format!("{line}\n") }
        })
        .collect();
    assert!(spelled.lines().any(|line| line == "listen: 127.0.0.1:8080            # metrics, health, API and page"));
    let spelled = Config::parse(&spelled, &file).expect("the example with its defaults spelled out");
    assert_eq!(spelled, Config::load(&file).expect("the example"));
}

#[test]
fn aliases_and_flow_style_are_yaml_too() {
    let config = Config::load(&root().join("tests/config/good/aliases.yaml")).expect("a good file");
    let [a, b] = config.environments.as_slice() else { panic!("two environments") };
    assert_eq!(a.values, b.values);
    assert_eq!(config.repository.credentials, Credentials::Anonymous);
    assert_eq!((a.chart.as_str(), b.chart.as_str()), ("charts/redis", "other/chart"));
    assert_eq!((a.release.as_str(), b.release.as_str()), ("redis", "cache"));
}

#[test]
fn relative_files_start_from_the_folder_of_the_configuration() {
    let text = "repository: { url: /srv/x, caFile: tls/ca.crt, credentials: { bearerTokenFile: /abs/token } }\n\
                environments: [{ name: a, branch: a, namespace: a, values: [] }]";
    let config = Config::parse(text, Path::new("/etc/redis-gitops/config.yaml")).expect("a good file");
    assert_eq!(config.repository.ca_file.as_deref(), Some(Path::new("/etc/redis-gitops/tls/ca.crt")));
    assert_eq!(config.repository.credentials, Credentials::Bearer { token_file: "/abs/token".into() });
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Config::load(Path::new("/nowhere/config.yaml")).expect_err("no file");
    assert!(matches!(error, ConfigError::Read { .. }));
    assert!(error.to_string().contains("/nowhere/config.yaml"), "{error}");
}

fn content(branch: &str, listen: &str) -> String {
    format!(
        "repository: {{ url: /srv/x }}\nlisten: {listen}\n\
         environments: [{{ name: a, branch: {branch}, namespace: a, values: [] }}]\n"
    )
}

/// A folder as the kubelet mounts a ConfigMap: `config.yaml` leads through the
/// link `..data` into the newest of the folders beside it.
struct Mount {
    folder: tempfile::TempDir,
    generation: u32,
}

impl Mount {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        symlink("..data/config.yaml", folder.path().join("config.yaml")).expect("a link");
        let mut mount = Self { folder, generation: 0 };
        mount.swap(text);
        mount
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("config.yaml")
    }

    fn swap(&mut self, text: &str) {
        self.generation += 1;
        let name = format!("..generation_{}", self.generation);
        let folder = self.folder.path();
        fs::create_dir(folder.join(&name)).expect("a new generation");
        fs::write(folder.join(&name).join("config.yaml"), text).expect("its content");
        symlink(&name, folder.join("..data_tmp")).expect("a link");
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).expect("the swap");
    }
}

async fn soon<T>(what: &str, wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap_or_else(|_| panic!("{what} did not happen"))
}

#[tokio::test]
async fn the_swap_of_a_mounted_config_map_takes_effect() {
    let mut mount = Mount::new(&content("one", "127.0.0.1:1"));
    let first = Config::load(&mount.file()).expect("a good file");
    let mut watch = Watch::start(&mount.file(), first).expect("a folder to watch");
    assert_eq!(watch.config.borrow().environments[0].branch.as_str(), "one");

    mount.swap(&content("two", "127.0.0.1:1"));
    let changed = watch.config.wait_for(|config| config.environments[0].branch.as_str() == "two");
    drop(soon("the new configuration", changed).await.expect("the watch runs"));

    mount.swap("repository: {}\n");
    let rejected = watch.reload.wait_for(|reload| reload.rejected.is_some());
    let reload = soon("the rejection", rejected).await.expect("the watch runs").clone();
    let error = reload.rejected.expect("waited for").to_string();
    assert!(error.contains("config.yaml:1:13: repository.url: is required and missing"), "{error}");
    assert_eq!(watch.config.borrow().environments[0].branch.as_str(), "two", "the good one stays");

    mount.swap(&content("three", "127.0.0.1:2"));
    let recovered = watch.reload.wait_for(|reload| reload.rejected.is_none() && !reload.needs_restart.is_empty());
    let reload = soon("the recovery", recovered).await.expect("the watch runs").clone();
    assert_eq!(reload.needs_restart, ["listen"]);
    assert_eq!(watch.config.borrow().environments[0].branch.as_str(), "three");
    assert_eq!(watch.config.borrow().listen.port(), 1, "what needs a restart keeps its value");
}

#[tokio::test]
async fn an_edit_in_place_and_an_atomic_replacement_take_effect() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("config.yaml");
    fs::write(&file, content("one", "127.0.0.1:1")).expect("a file");
    let mut watch = Watch::start(&file, Config::load(&file).expect("a good file")).expect("a folder to watch");

    fs::write(&file, content("two", "127.0.0.1:1")).expect("an edit");
    let changed = watch.config.wait_for(|config| config.environments[0].branch.as_str() == "two");
    drop(soon("the edit", changed).await.expect("the watch runs"));

    fs::write(folder.path().join("new"), content("three", "127.0.0.1:1")).expect("a file");
    fs::rename(folder.path().join("new"), &file).expect("a replacement");
    let changed = watch.config.wait_for(|config| config.environments[0].branch.as_str() == "three");
    drop(soon("the replacement", changed).await.expect("the watch runs"));
}

#[tokio::test]
async fn dropping_the_watch_ends_it() {
    let mount = Mount::new(&content("one", "127.0.0.1:1"));
    let watch = Watch::start(&mount.file(), Config::load(&mount.file()).expect("a good file")).expect("a folder");
    let mut config = watch.config.clone();
    drop(watch);
    let ended = async { while config.changed().await.is_ok() {} };
    soon("the end", ended).await;
}

fn validate(file: &Path, output: Output) -> (bool, String) {
    let mut out = Vec::new();
    let args = Validate { config: file.to_owned(), output };
    let valid = redis_gitops::cli::validate::run(&args, &mut out).expect("a buffer takes everything");
    (valid, String::from_utf8(out).expect("text"))
}

#[test]
fn validate_shows_the_environments_with_their_defaults() {
    let file = root().join("deploy/config.example.yaml");
    let (valid, text) = validate(&file, Output::Text);
    assert!(valid);
    let row = text.lines().find(|line| line.starts_with("prod ")).expect("a row for prod");
    let cells: Vec<_> = row.split_whitespace().collect();
    let expected = ["prod", "env/prod", "project-template", "redis", "alert", "no", "charts/redis"];
    assert_eq!(cells[..7], expected, "{text}");
}

/// What `--output json` shows is itself a configuration, and means the same.
#[test]
fn validate_as_json_reads_back_as_the_same_configuration() {
    for file in ["deploy/config.example.yaml", "tests/config/good/aliases.yaml"] {
        let file = root().join(file);
        let (valid, text) = validate(&file, Output::Json);
        assert!(valid);
        let mut value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        value.as_object_mut().expect("an object").remove("valid");
        let again = Config::parse(&value.to_string(), &file).expect("a configuration");
        assert_eq!(again, Config::load(&file).expect("a good file"));
    }
}

#[test]
fn validate_reports_every_mistake_in_both_forms() {
    let file = root().join("tests/config/bad/names.yaml");
    let (valid, text) = validate(&file, Output::Text);
    assert!(!valid);
    let (valid, json) = validate(&file, Output::Json);
    assert!(!valid);
    let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(value["problems"].as_array().expect("a list").len(), text.lines().count());
    assert_eq!(value["problems"][0]["line"], 4);

    let (valid, text) = validate(Path::new("/nowhere/config.yaml"), Output::Json);
    assert!(!valid && text.contains("/nowhere/config.yaml"), "{text}");
}

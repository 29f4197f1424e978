//! The keys of the configuration file, their defaults, and what must hold
//! between them.

use std::{
    collections::HashMap,
    hash::Hash,
    net::SocketAddr,
    path::{Path, PathBuf},
    rc::Rc,
    str::FromStr,
    time::Duration,
};

use super::{
    Config, Connect, Kubernetes, Probe, Problem, Scope,
    decode::{Decoder, Read, Rejection, Section, Spanned, boolean, duration, scalar, word},
    node::{self, Node},
};
use crate::{
    environment::{DriftPolicy, Environment, EnvironmentName, InvalidName, Namespace, ReleaseName, Timeouts, TreePath},
    ignore::{FieldPattern, IgnoreRule, InvalidField},
    repository::{Credentials, InvalidUrl, Repository, RepositoryUrl},
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Reads `text` as the content of `file`, whose folder relative paths start from.
pub(super) fn config(text: &str, file: &Path) -> Result<Config, Vec<Problem>> {
    let mut decoder = Decoder::new(file);
    let root = match node::parse(text) {
        Ok(root) => root,
        Err(error) => {
            decoder.report(error.at, "", Rejection::new(error.message, "correct the YAML at this place"));
            return Err(decoder.into_problems());
        }
    };
    let folder = file.parent().unwrap_or(Path::new(""));
    let config = document(&mut decoder, &root, folder);
    match (config, decoder.into_problems()) {
        (Some(config), problems) if problems.is_empty() => Ok(config),
        (_, problems) => Err(problems),
    }
}

fn document(decoder: &mut Decoder, root: &Rc<Node>, folder: &Path) -> Option<Config> {
    let mut top = Section::new(decoder, root, String::new());
    let section = top.section(decoder, "repository");
    let repository = repository(decoder, section, folder);
    let listen = top.optional(decoder, "listen", address);
    let data_dir = top.optional(decoder, "dataDir", file_path(folder));
    let section = top.section(decoder, "kubernetes");
    let kubernetes = kubernetes(decoder, section, folder);
    let section = top.section(decoder, "probe");
    let probe = probe(decoder, section);
    let section = top.section(decoder, "defaults");
    let defaults = Defaults::read(decoder, section);
    let environments = match top.filled_list(decoder, "environments") {
        Some(items) => environments(decoder, items, &defaults),
        None => {
            top.missing(decoder, "environments");
            Vec::new()
        }
    };
    top.finish(decoder);
    Some(Config {
        repository: repository?,
        listen: value(listen).unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080))),
        data_dir: value(data_dir).unwrap_or_else(|| PathBuf::from("/var/lib/redis-gitops")),
        kubernetes,
        probe,
        environments,
    })
}

fn value<T>(spanned: Option<Spanned<T>>) -> Option<T> {
    spanned.map(|spanned| spanned.value)
}

fn repository(decoder: &mut Decoder, mut section: Section, folder: &Path) -> Option<Repository> {
    let url = section.required(decoder, "url", url);
    let interval = section.optional(decoder, "interval", duration(SECOND, HOUR));
    let timeout = section.optional(decoder, "timeout", duration(SECOND, HOUR));
    let ca_file = section.optional(decoder, "caFile", file_path(folder));
    let proxy = section.optional(decoder, "proxy", proxy);
    let below = section.section(decoder, "credentials");
    let credentials = credentials(decoder, below, folder);
    section.finish(decoder);
    Some(Repository {
        url: value(url)?,
        interval: value(interval).unwrap_or(Duration::from_secs(10)),
        timeout: value(timeout).unwrap_or(Duration::from_secs(30)),
        ca_file: value(ca_file),
        proxy: value(proxy),
        credentials,
    })
}

fn credentials(decoder: &mut Decoder, mut section: Section, folder: &Path) -> Credentials {
    let username = section.optional(decoder, "usernameFile", file_path(folder));
    let password = section.optional(decoder, "passwordFile", file_path(folder));
    let token = section.optional(decoder, "bearerTokenFile", file_path(folder));
    let credentials = match (username, password, token) {
        (None, None, None) => Credentials::Anonymous,
        (Some(username), Some(password), None) => {
            Credentials::Basic { username_file: username.value, password_file: password.value }
        }
        (None, None, Some(token)) => Credentials::Bearer { token_file: token.value },
        (Some(_), None, None) => {
            section.missing(decoder, "passwordFile");
            Credentials::Anonymous
        }
        (None, Some(_), None) => {
            section.missing(decoder, "usernameFile");
            Credentials::Anonymous
        }
        (_, _, Some(token)) => {
            let message = "stands beside usernameFile or passwordFile, and a request carries one kind of credential";
            decoder.report(token.at, &token.key, Rejection::new(message, "keep one of the two kinds"));
            Credentials::Anonymous
        }
    };
    section.finish(decoder);
    credentials
}

fn kubernetes(decoder: &mut Decoder, mut section: Section, folder: &Path) -> Kubernetes {
    let kubeconfig = section.optional(decoder, "kubeconfig", file_path(folder));
    let context = section.optional(decoder, "context", text);
    let words = &[("cluster", Scope::Cluster), ("namespaced", Scope::Namespaced)];
    let scope = section.optional(decoder, "scope", word(words));
    section.finish(decoder);
    Kubernetes { kubeconfig: value(kubeconfig), context: value(context), scope: value(scope).unwrap_or(Scope::Cluster) }
}

fn probe(decoder: &mut Decoder, mut section: Section) -> Probe {
    let words = &[("direct", Connect::Direct), ("portForward", Connect::PortForward)];
    let connect = section.optional(decoder, "connect", word(words));
    let interval = section.optional(decoder, "interval", duration(SECOND, HOUR));
    section.finish(decoder);
    Probe {
        connect: value(connect).unwrap_or(Connect::Direct),
        interval: value(interval).unwrap_or(Duration::from_secs(10)),
    }
}

/// The keys that may stand under `defaults` as well as in an environment.
struct Defaults {
    chart: Option<TreePath>,
    release: Option<ReleaseName>,
    drift: Option<DriftPolicy>,
    prune: Option<bool>,
    resync: Option<Duration>,
    render: Option<Duration>,
    apply: Option<Duration>,
    ready: Option<Duration>,
}

impl Defaults {
    fn read(decoder: &mut Decoder, mut section: Section) -> Self {
        let defaults = Self::shared(decoder, &mut section);
        section.finish(decoder);
        defaults
    }

    fn shared(decoder: &mut Decoder, section: &mut Section) -> Self {
        let words = &[("correct", DriftPolicy::Correct), ("alert", DriftPolicy::Alert)];
        let chart = section.optional(decoder, "chart", name("charts/redis"));
        let release = section.optional(decoder, "release", name("redis"));
        let drift = section.optional(decoder, "drift", word(words));
        let prune = section.optional(decoder, "prune", boolean);
        let resync = section.optional(decoder, "resync", duration(60 * SECOND, 7 * DAY));
        let mut timeouts = section.section(decoder, "timeouts");
        let render = timeouts.optional(decoder, "render", duration(SECOND, HOUR));
        let apply = timeouts.optional(decoder, "apply", duration(SECOND, HOUR));
        let ready = timeouts.optional(decoder, "ready", duration(SECOND, DAY));
        timeouts.finish(decoder);
        Self {
            chart: value(chart),
            release: value(release),
            drift: value(drift),
            prune: value(prune),
            resync: value(resync),
            render: value(render),
            apply: value(apply),
            ready: value(ready),
        }
    }
}

fn environments(decoder: &mut Decoder, items: Vec<(Rc<Node>, String)>, defaults: &Defaults) -> Vec<Environment> {
    let mut names = Taken::default();
    let mut releases = Taken::default();
    let mut environments = Vec::new();
    for (node, path) in items {
        let section = Section::new(decoder, &node, path);
        environments.extend(environment(decoder, section, defaults, &mut names, &mut releases));
    }
    environments
}

type Releases = Taken<(Namespace, ReleaseName)>;

fn environment(
    decoder: &mut Decoder,
    mut section: Section,
    defaults: &Defaults,
    names: &mut Taken<EnvironmentName>,
    releases: &mut Releases,
) -> Option<Environment> {
    let label = section.required::<EnvironmentName>(decoder, "name", name("dev"));
    let branch = section.required(decoder, "branch", name("env/dev"));
    let namespace = section.required::<Namespace>(decoder, "namespace", name("redis-dev"));
    let values = values(decoder, &mut section);
    let own = Defaults::shared(decoder, &mut section);
    let throw_away = section.optional(decoder, "throwAway", boolean);
    let ignore = ignore(decoder, &mut section);
    section.finish(decoder);

    let release = own
        .release
        .or(defaults.release.clone())
        .unwrap_or_else(|| "redis".parse().expect("a DNS label of five letters"));
    if let Some(place) = &label {
        let message = |line| format!("an environment {} exists already, on line {line}", place.value);
        names.take(decoder, place.value.clone(), place, message, "give each environment its own name");
    }
    if let Some(place) = &namespace {
        let of = &place.value;
        let message = |line| format!("the release {release} in {of} belongs to the environment on line {line}");
        let remedy = "give this environment another namespace or another release";
        releases.take(decoder, (of.clone(), release.clone()), place, message, remedy);
    }
    Some(Environment {
        name: label?.value,
        branch: branch?.value,
        chart: own.chart.or(defaults.chart.clone()).unwrap_or_else(|| "charts/redis".parse().expect("a relative path")),
        values,
        namespace: namespace?.value,
        release,
        drift: own.drift.or(defaults.drift).unwrap_or(DriftPolicy::Correct),
        prune: own.prune.or(defaults.prune).unwrap_or(true),
        timeouts: Timeouts {
            render: own.render.or(defaults.render).unwrap_or(10 * SECOND),
            apply: own.apply.or(defaults.apply).unwrap_or(60 * SECOND),
            ready: own.ready.or(defaults.ready).unwrap_or(300 * SECOND),
        },
        resync: own.resync.or(defaults.resync).unwrap_or(6 * HOUR),
        throw_away: value(throw_away).unwrap_or(false),
        ignore,
    })
}

fn values(decoder: &mut Decoder, section: &mut Section) -> Vec<TreePath> {
    let Some(items) = section.list(decoder, "values") else {
        section.missing(decoder, "values");
        return Vec::new();
    };
    let read =
        |(node, key): (Rc<Node>, String)| value(scalar(decoder, &node, key, name("environments/dev/values.yaml")));
    items.into_iter().filter_map(read).collect()
}

fn ignore(decoder: &mut Decoder, section: &mut Section) -> Vec<IgnoreRule> {
    let items = section.list(decoder, "ignore").unwrap_or_default();
    let mut rules = Vec::new();
    for (node, path) in items {
        let section = Section::new(decoder, &node, path);
        rules.extend(ignore_rule(decoder, section));
    }
    rules
}

fn ignore_rule(decoder: &mut Decoder, mut section: Section) -> Option<IgnoreRule> {
    let kind = section.optional(decoder, "kind", text);
    let name = section.optional(decoder, "name", text);
    let manager = section.optional(decoder, "manager", text);
    let items = section.filled_list(decoder, "fields");
    if items.is_none() && manager.is_none() {
        section.missing(decoder, "fields");
    }
    section.finish(decoder);
    let read = |(node, key): (Rc<Node>, String)| value(scalar(decoder, &node, key, field));
    let fields: Vec<FieldPattern> = items.into_iter().flatten().filter_map(read).collect();
    let some = !fields.is_empty() || manager.is_some();
    some.then(|| IgnoreRule { kind: value(kind), name: value(name), fields, manager: value(manager) })
}

fn field(text: &str, _: bool) -> Result<FieldPattern, Rejection> {
    let remedy = "write a JSON pointer, in which '*' stands for any key or item, as in /spec/template/spec/containers/*/resources";
    text.parse().map_err(|error: InvalidField| Rejection::new(error.to_string(), remedy))
}

/// What may occur once, with the line of its first use.
struct Taken<K>(HashMap<K, usize>);

impl<K> Default for Taken<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Hash + Eq> Taken<K> {
    fn take<T>(
        &mut self,
        decoder: &mut Decoder,
        key: K,
        place: &Spanned<T>,
        message: impl Fn(usize) -> String,
        remedy: &str,
    ) {
        match self.0.get(&key) {
            Some(line) => decoder.report(place.at, &place.key, Rejection::new(message(*line), remedy)),
            None => {
                self.0.insert(key, place.at.line);
            }
        }
    }
}

/// A checked name; `example` goes into the remedy.
fn name<T: FromStr<Err = InvalidName>>(example: &'static str) -> impl Read<T> {
    move |text: &str, _: bool| {
        text.parse::<T>().map_err(|error| Rejection::new(error.to_string(), format!("write it as in '{example}'")))
    }
}

fn url(text: &str, _: bool) -> Result<RepositoryUrl, Rejection> {
    text.parse().map_err(|error: InvalidUrl| Rejection::new(error.to_string(), error.remedy()))
}

fn proxy(text: &str, _: bool) -> Result<String, Rejection> {
    let remedy = "write it as in 'http://proxy.example:3128'";
    match text.parse() {
        Ok(RepositoryUrl::Http(url)) if url.starts_with("http://") => Ok(url),
        _ => Err(Rejection::new("is not the address of an http proxy without credentials", remedy)),
    }
}

fn text(text: &str, _: bool) -> Result<String, Rejection> {
    if text.is_empty() {
        Err(Rejection::new("is empty", "write a value or remove the key"))
    } else {
        Ok(text.to_owned())
    }
}

fn address(text: &str, _: bool) -> Result<SocketAddr, Rejection> {
    let remedy = "write an IP address and a port, as in 127.0.0.1:8080 or [::]:8080";
    text.parse().map_err(|_| Rejection::new(format!("{text:?} is not an address to listen on"), remedy))
}

/// A path of this machine; a relative one starts from the folder of the configuration.
fn file_path(folder: &Path) -> impl Read<PathBuf> {
    move |path: &str, plain: bool| Ok(folder.join(text(path, plain)?))
}

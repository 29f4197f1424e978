//! From a commit to what Git wants of one environment: values and chart read
//! from the snapshot, rendered, labelled, their namespaces completed.
//!
//! All or nothing: an error yields no desired state. Errors name the environment's
//! file, line and commit, with whatever the values call a password masked.

use std::{
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use super::lookups::Questions;
use crate::{
    chart::{self, Capabilities, Chart, ChartError, Clock, Entropy, KubeVersion, Lookup, Release, RenderInputs},
    cluster::{Cluster, Discovery},
    config::{ConfigError, Instructions},
    desired::DesiredState,
    diff::{self, Redactor},
    environment::Environment,
    git::Mirror,
    plan::{self, ENVIRONMENT_LABEL},
    resource::{Manifest, ManifestError, ObjectKey},
    revision::Revision,
    snapshot::{FileTree, ReadError, Snapshot},
    template::Limits,
    values::{Values, ValuesError, ValuesFile},
};

/// Why a commit gives no desired state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// The environment is not there any more: chart, values or objects are
    /// missing. What runs is left alone.
    Detached(String),
    /// The commit is broken.
    Broken(String),
    /// Something the render needs could not be read now; it may work later.
    Transient(String),
}

/// Why, before it is put into words for one environment.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RenderFailure {
    /// A file could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A values file that the configuration names is not in the commit.
    #[error("the values file {0} is not in the commit")]
    NoValues(String),
    /// No objects.
    #[error("the chart renders no objects")]
    NoObjects,
    /// A values file.
    #[error(transparent)]
    Values(#[from] ValuesError),
    /// The chart.
    #[error(transparent)]
    Chart(#[from] ChartError),
    /// The render.
    #[error(transparent)]
    Render(#[from] chart::RenderError),
    /// A rendered document is no object.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The same object twice.
    #[error("{key} is rendered twice, by {first} and by {second}; give one of them another name")]
    Twice {
        /// The object.
        key: Box<ObjectKey>,
        /// The first template.
        first: String,
        /// The second.
        second: String,
    },
    /// The file with the instructions.
    #[error(transparent)]
    Instructions(#[from] ConfigError),
}

/// Renders one environment's commits; the newest two results are remembered.
pub struct Renderer {
    environment: Arc<Environment>,
    cluster: Cluster,
    mirror: Mirror,
    /// What the API server served when the remembered commits were rendered.
    discovery: Arc<Discovery>,
    questions: Questions,
    remembered: Vec<(Revision, Result<Arc<DesiredState>, Unusable>)>,
}

impl Renderer {
    /// A renderer that remembers nothing.
    pub fn new(environment: Environment, cluster: Cluster, mirror: Mirror) -> Self {
        Self {
            environment: Arc::new(environment),
            discovery: cluster.discovery(),
            cluster,
            mirror,
            questions: Questions::default(),
            remembered: Vec::new(),
        }
    }

    /// Forgets all results: what they were rendered from may have changed.
    pub fn forget(&mut self) {
        self.remembered.clear();
    }

    /// The desired state at a commit that the mirror has.
    pub async fn render(&mut self, revision: &Revision) -> Result<Arc<DesiredState>, Unusable> {
        let discovery = self.cluster.discovery();
        if !Arc::ptr_eq(&self.discovery, &discovery) {
            // Charts ask which kinds there are, and a kind tells whether it has a namespace.
            self.remembered.clear();
            self.discovery = discovery;
        }
        if let Some((_, known)) = self.remembered.iter().find(|(known, _)| known == revision) {
            return known.clone();
        }
        let (environment, mirror) = (Arc::clone(&self.environment), self.mirror.clone());
        let (cluster, wanted) = (self.cluster.clone(), revision.clone());
        let limit = self.environment.timeouts.render;
        let work = live_context(cluster, &self.questions, move |context| {
            let snapshot = mirror.snapshot(&wanted).map_err(|error| Unusable::Transient(error.to_string()))?;
            desired_state(&environment, &snapshot, context).map(Arc::new)
        });
        let result = match tokio::time::timeout(limit, work).await {
            Ok(result) => result,
            Err(_) => Err(Unusable::Transient(format!(
                "the render of commit {} took longer than timeouts.render, {} s",
                revision.short(),
                limit.as_secs_f32()
            ))),
        };
        if !matches!(result, Err(Unusable::Transient(_))) {
            self.remembered.insert(0, (revision.clone(), result.clone()));
            self.remembered.truncate(2);
        }
        result
    }
}

/// Runs a render beside the runtime's own threads, with look-ups in the cluster.
pub(crate) async fn live_context<T: Send + 'static>(
    cluster: Cluster,
    questions: &Questions,
    render: impl FnOnce(&Context<'_>) -> Result<T, Unusable> + Send + 'static,
) -> Result<T, Unusable> {
    let live = questions.begin(cluster).await;
    let work = tokio::task::spawn_blocking(move || {
        let discovery = live.cluster().discovery();
        render(&Context::of_cluster(&discovery, &live))
    });
    work.await
        .unwrap_or_else(|_| Err(Unusable::Broken("the render panicked; this is a defect of redis-gitops".to_owned())))
}

/// What a render depends on, beside Git.
pub(crate) struct Context<'a> {
    capabilities: Capabilities,
    lookup: Option<&'a dyn Lookup>,
    discovery: Option<&'a Discovery>,
}

impl<'a> Context<'a> {
    /// The live cluster.
    pub(crate) fn of_cluster(discovery: &'a Discovery, lookup: &'a dyn Lookup) -> Self {
        let mut capabilities = Capabilities { api_versions: discovery.api_versions(), ..Capabilities::default() };
        if let Some(version) = KubeVersion::parse(&discovery.git_version) {
            capabilities.kube_version = version;
        }
        Self { capabilities, lookup: Some(lookup), discovery: Some(discovery) }
    }

    /// No cluster: look-ups find nothing, as in `helm template`.
    pub(crate) fn offline() -> Self {
        Self { capabilities: Capabilities::default(), lookup: None, discovery: None }
    }
}

/// Renders an environment at a snapshot.
pub(crate) fn desired_state(
    environment: &Environment,
    snapshot: &Snapshot,
    context: &Context<'_>,
) -> Result<DesiredState, Unusable> {
    let revision = &snapshot.revision;
    let values = read_values(environment, snapshot.files.as_ref())
        .map_err(|failure| explain(environment, revision, &Values::default(), &failure))?;
    build(environment, snapshot, &values, context).map_err(|failure| explain(environment, revision, &values, &failure))
}

/// The effective values: the chart's defaults under the environment's files.
/// Errors are masked, as those of a render are.
pub(crate) fn effective_values(environment: &Environment, snapshot: &Snapshot) -> Result<Value, Unusable> {
    let (files, revision) = (snapshot.files.as_ref(), &snapshot.revision);
    let values = read_values(environment, files)
        .map_err(|failure| explain(environment, revision, &Values::default(), &failure))?;
    coalesced(environment, files, &values).map_err(|failure| explain(environment, revision, &values, &failure))
}

fn coalesced(environment: &Environment, files: &dyn FileTree, values: &Values) -> Result<Value, RenderFailure> {
    let chart = Chart::load(files, environment.chart.as_str())?;
    let table = chart::effective_values(&chart, values).map_err(chart::RenderError::from)?;
    Ok(Value::Object(table))
}

fn read_values(environment: &Environment, files: &dyn FileTree) -> Result<Values, RenderFailure> {
    let mut read = Vec::new();
    for path in &environment.values {
        let bytes = files.read(path.as_str())?.ok_or_else(|| RenderFailure::NoValues(path.to_string()))?;
        read.push(ValuesFile { name: path.to_string(), text: String::from_utf8_lossy(&bytes).into_owned() });
    }
    Ok(Values::from_files(read)?)
}

fn build(
    environment: &Environment,
    snapshot: &Snapshot,
    values: &Values,
    context: &Context<'_>,
) -> Result<DesiredState, RenderFailure> {
    let files = snapshot.files.as_ref();
    let chart = Chart::load(files, environment.chart.as_str())?;
    let release = Release {
        name: environment.release.to_string(),
        namespace: environment.namespace.to_string(),
        revision: 1,
        is_upgrade: false,
    };
    let rendered = chart::render(
        &chart,
        &RenderInputs {
            values,
            release: &release,
            capabilities: &context.capabilities,
            lookup: context.lookup,
            clock: &SystemClock,
            entropy: &SystemEntropy,
            lenient: false,
            limits: Limits::default(),
        },
    )?;
    let mut manifests: Vec<Manifest> = Vec::new();
    for document in rendered.manifests.into_iter().filter(|document| !document.body.is_null()) {
        let manifest = Manifest::from_body(&document.source, document.body)?;
        let manifest = complete(manifest, environment, context.discovery);
        if let Some(other) = manifests.iter().find(|other| other.key == manifest.key) {
            return Err(RenderFailure::Twice {
                key: Box::new(manifest.key),
                first: other.source.clone(),
                second: manifest.source,
            });
        }
        manifests.push(manifest);
    }
    if manifests.is_empty() {
        return Err(RenderFailure::NoObjects);
    }
    manifests.sort_by_key(|manifest| plan::rank(&manifest.key.kind));
    let mut hooks = Vec::new();
    for document in rendered.hooks {
        hooks.push(Manifest::from_body(&document.source, document.body)?.key);
    }
    let prune_confirm = read_instructions(environment, files)?.prune_confirm;
    Ok(DesiredState { revision: snapshot.revision.clone(), manifests, hooks, prune_confirm })
}

/// Namespace, label, and `stringData` as `data`.
fn complete(manifest: Manifest, environment: &Environment, discovery: Option<&Discovery>) -> Manifest {
    let mut manifest = diff::normalise(&manifest);
    let namespaced = discovery
        .and_then(|discovery| discovery.kind(&manifest.api_version, &manifest.key.kind))
        .is_none_or(|kind| kind.namespaced);
    let metadata = &mut manifest.body["metadata"];
    if namespaced && manifest.key.namespace.is_empty() {
        manifest.key.namespace = environment.namespace.to_string();
        metadata["namespace"] = Value::from(environment.namespace.as_str());
    }
    if !metadata["labels"].is_object() {
        metadata["labels"] = json!({});
    }
    metadata["labels"][ENVIRONMENT_LABEL] = Value::from(environment.name.as_str());
    manifest
}

fn read_instructions(environment: &Environment, files: &dyn FileTree) -> Result<Instructions, RenderFailure> {
    let Some(last) = environment.values.last() else { return Ok(Instructions::default()) };
    let file = match last.as_str().rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/gitops.yaml"),
        None => "gitops.yaml".to_owned(),
    };
    match files.read(&file)? {
        Some(bytes) => Ok(Instructions::parse(&String::from_utf8_lossy(&bytes), Path::new(&file))?),
        None => Ok(Instructions::default()),
    }
}

/// A failure in words for the environment, with its commit, and without secrets.
fn explain(environment: &Environment, revision: &Revision, values: &Values, failure: &RenderFailure) -> Unusable {
    let text =
        format!("environment {}, commit {} of {}: {failure}", environment.name, revision.short(), environment.branch);
    // A key that nobody knows: a mask must not confirm a guess.
    let text = match Redactor::new(&rand::random::<[u8; 16]>(), [&passwords_of(values)]) {
        Ok(redactor) => redactor.text(&text),
        Err(error) => format!("environment {}: the render failed, and {error}", environment.name),
    };
    let left = "what runs is left alone until the branch has it again";
    match failure {
        RenderFailure::NoValues(_) | RenderFailure::NoObjects | RenderFailure::Chart(ChartError::NoChart { .. }) => {
            Unusable::Detached(format!("{text}; {left}"))
        }
        RenderFailure::Read(_) => Unusable::Transient(text),
        _ => Unusable::Broken(text),
    }
}

/// What the values call a password, in the shape of a Secret, for the redactor.
pub(crate) fn passwords_of(values: &Values) -> Value {
    let mut found = serde_json::Map::new();
    collect_passwords(&Value::Object(values.table().clone()), false, &mut found);
    json!({"apiVersion": "v1", "kind": "Secret", "stringData": found})
}

fn collect_passwords(value: &Value, secret: bool, found: &mut serde_json::Map<String, Value>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                let key = key.to_lowercase();
                let named = ["password", "passphrase", "token", "credential", "privatekey", "apikey"];
                // `existingSecret` and its like are names of Secrets, not secrets.
                let secret = !key.starts_with("existing")
                    && (secret
                        || matches!(key.as_str(), "secret" | "secrets")
                        || named.iter().any(|word| key.contains(word)));
                collect_passwords(inner, secret, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_passwords(item, secret, found)),
        Value::String(text) if secret => {
            found.insert(found.len().to_string(), Value::from(text.as_str()));
        }
        Value::Number(number) if secret => {
            found.insert(found.len().to_string(), Value::from(number.to_string()));
            // A schema's message writes a whole number without its fraction.
            if let Some(whole) = number.as_f64().filter(|float| float.fract() == 0.0) {
                found.insert(found.len().to_string(), Value::from(format!("{whole:.0}")));
            }
        }
        _ => {}
    }
}

/// The time of this machine.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> (i64, u32) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        (i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_nanos())
    }
}

/// The randomness of this machine.
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        rand::RngCore::fill_bytes(&mut rand::rng(), buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_values_call_a_secret_is_masked_and_names_of_secrets_are_not() {
        let table = json!({"secrets": {"redisPassword": 31_415_926_535.0, "pin": "1234-planted", "existingSecret": "redis-auth"},
            "image": {"tag": "7-alpine"}});
        let values = Values::from_table(table.as_object().cloned().unwrap_or_default());
        let redactor = Redactor::new(b"key", [&passwords_of(&values)]).expect("a few values");
        let shown = redactor.text("31415926535 is no string, 1234-planted neither; see redis-auth and 7-alpine");
        assert!(!shown.contains("31415926535") && !shown.contains("planted"), "{shown}");
        assert!(shown.contains("redis-auth") && shown.contains("7-alpine"), "{shown}");
    }
}

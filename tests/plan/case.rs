//! Reading a case and making the inputs of its plan.

use std::{collections::BTreeMap, fs, path::Path};

use redis_gitops::{
    desired::DesiredState,
    diff::{self, Redactor},
    difference::{Difference, DriftClass},
    environment::DriftPolicy,
    ignore::IgnoreRule,
    inventory::{Entry, Inventory},
    live::{LiveObject, LiveState, Rejection, RejectionClass},
    plan::{self, ClusterFacts, Fact, Inputs, Plan, Policy, RedisFacts, StorageClass},
    resource::{Manifest, ObjectKey},
    revision::Revision,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::server::{Server, set};

pub const SALT: &[u8] = b"salt";

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Case {
    /// Only for the reader.
    #[serde(rename = "about")]
    _about: String,
    #[serde(default)]
    policy: PolicyText,
    #[serde(default)]
    ignore: Vec<Ignored>,
    #[serde(default)]
    applied: Vec<Value>,
    git: Option<Vec<Value>>,
    confirm: Option<String>,
    #[serde(default)]
    events: Vec<Event>,
    #[serde(default)]
    answers: Vec<Answer>,
    #[serde(default)]
    unstable: Vec<Unstable>,
    #[serde(default)]
    facts: Facts,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ignored {
    kind: Option<String>,
    name: Option<String>,
    #[serde(default)]
    fields: Vec<String>,
    manager: Option<String>,
}

impl Ignored {
    fn rule(&self) -> IgnoreRule {
        IgnoreRule {
            kind: self.kind.clone(),
            name: self.name.clone(),
            fields: self.fields.iter().map(|field| field.parse().expect("a pointer")).collect(),
            manager: self.manager.clone(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
struct PolicyText {
    drift: String,
    prune: bool,
    throw_away: bool,
}

impl Default for PolicyText {
    fn default() -> Self {
        Self { drift: "correct".to_owned(), prune: true, throw_away: false }
    }
}

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Event {
    Create {
        create: String,
        by: String,
        #[serde(default)]
        set: Map<String, Value>,
    },
    Write {
        by: String,
        object: String,
        #[serde(default)]
        subresource: String,
        set: Map<String, Value>,
    },
    Silent {
        silently: String,
        set: Map<String, Value>,
    },
    Delete {
        delete: String,
    },
    Terminating {
        terminating: String,
    },
    Uid {
        uid: String,
    },
    Forget {
        forget: String,
    },
    Begun {
        begun: String,
    },
}

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Answer {
    Unreadable { unreadable: String, reason: String },
    Unobserved { unobserved: String },
    Rejects { rejects: String, class: String, message: String },
    Admission { admission: String, set: Map<String, Value> },
    Stranger { stranger: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unstable {
    object: String,
    path: String,
    live: Value,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
struct Facts {
    storage_classes: Option<BTreeMap<String, Class>>,
    keys: BTreeMap<String, u64>,
    helm_releases: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Class {
    expandable: bool,
}

/// Everything a plan is made from.
pub struct World {
    pub policy: Policy,
    pub desired: DesiredState,
    pub inventory: Inventory,
    pub server: Server,
    pub live: LiveState,
    pub cluster: ClusterFacts,
    pub redis: RedisFacts,
    pub unstable: BTreeMap<ObjectKey, Vec<Difference>>,
    /// Secrets of the pass that the environment does not apply.
    pub others_secrets: Vec<Value>,
}

impl World {
    pub fn plan(&self) -> Plan {
        let objects = self.server.objects.values().chain(self.desired.manifests.iter().map(|manifest| &manifest.body));
        let secrets = objects.filter(|object| object["kind"] == "Secret").chain(&self.others_secrets);
        let redactor = Redactor::new(b"key", secrets).expect("a redactor");
        plan::plan(&Inputs {
            policy: &self.policy,
            desired: &self.desired,
            live: &self.live,
            inventory: &self.inventory,
            unstable: &self.unstable,
            salt: SALT,
            cluster: &self.cluster,
            redis: &self.redis,
            redactor: &redactor,
        })
    }

    /// Asks the server about every object that Git or the inventory names.
    pub fn observe(&mut self) {
        let wanted = self.desired.manifests.iter().map(|manifest| manifest.key.clone());
        let keys: Vec<_> = wanted.chain(self.inventory.entries.keys().cloned()).collect();
        // Others in the namespace are seen by the watches as well.
        let seen = self.server.objects.keys().cloned();
        self.live.objects = keys.into_iter().chain(seen).map(|key| (key.clone(), self.observed(&key))).collect();
    }

    fn observed(&self, key: &ObjectKey) -> LiveObject {
        let Some(live) = self.server.objects.get(key).cloned() else { return LiveObject::Absent };
        if live.pointer("/metadata/deletionTimestamp").is_some() {
            return LiveObject::Terminating { live };
        }
        let asked = |manifest: &Manifest| {
            let spared = diff::spare(manifest, &live, &self.policy.ignore);
            self.server.dry_run(spared.as_ref().map_or(manifest, |spared| &spared.manifest))
        };
        LiveObject::Present { merged: self.desired.get(key).map(asked), live }
    }
}

pub fn revision(digit: char) -> Revision {
    Revision::try_from(digit.to_string().repeat(40)).expect("a full id")
}

/// The object of `objects/<name>.yaml`.
pub fn object(name: &str) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/plan/objects/{name}.yaml"));
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_yaml::from_str(&text).expect("a YAML object")
}

pub fn key(name: &str) -> ObjectKey {
    manifest(&object(name)).key
}

pub fn manifest(body: &Value) -> Manifest {
    let kind = body["kind"].as_str().unwrap_or_default().to_lowercase();
    diff::normalise(&Manifest::from_body(&format!("redis/templates/{kind}.yaml"), body.clone()).expect("an object"))
}

pub fn entry(server: &Server, manifest: &Manifest) -> Entry {
    let uid = server.objects[&manifest.key].pointer("/metadata/uid").and_then(Value::as_str);
    Entry {
        api_version: manifest.api_version.clone(),
        uid: uid.map(str::to_owned),
        digest: Some(diff::digest(&manifest.body, SALT)),
        revision: Some(revision('a')),
    }
}

fn manifests(items: &[Value]) -> Vec<Manifest> {
    let body = |item: &Value| match item {
        Value::String(name) => object(name),
        Value::Object(fields) if fields.contains_key("apiVersion") => item.clone(),
        Value::Object(fields) => {
            let (name, changes) = fields.iter().next().expect("an object with changes");
            changed(name, changes.as_object().expect("JSON pointers"))
        }
        other => panic!("not an object: {other}"),
    };
    items.iter().map(|item| manifest(&body(item))).collect()
}

fn changed(name: &str, changes: &Map<String, Value>) -> Value {
    let mut body = object(name);
    for (pointer, value) in changes {
        set(&mut body, pointer, value);
    }
    body
}

impl Case {
    pub fn read(file: &Path) -> Self {
        let text = fs::read_to_string(file).expect("a case");
        serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    }

    pub fn plan_text(&self) -> String {
        plan::render_text(&self.world().plan())
    }

    fn unstable(&self) -> BTreeMap<ObjectKey, Vec<Difference>> {
        let difference = |known: &Unstable| Difference {
            path: known.path.clone(),
            class: DriftClass::Changed,
            live: Some(known.live.clone()),
            desired: None,
            writer: None,
        };
        self.unstable.iter().map(|known| (key(&known.object), vec![difference(known)])).collect()
    }

    pub fn world(&self) -> World {
        let applied = manifests(&self.applied);
        let desired = self.git.as_ref().map_or_else(|| applied.clone(), |items| manifests(items));
        let mut server = Server::default();
        let mut inventory = Inventory::default();
        for manifest in &applied {
            server.apply(manifest);
            inventory.entries.insert(manifest.key.clone(), entry(&server, manifest));
            inventory.applied = Some(revision('a'));
        }
        for event in &self.events {
            happen(event, &mut server, &mut inventory);
        }
        let confirm = self.confirm.as_ref().map(|word| if word == "applied" { revision('a') } else { revision('c') });
        let desired =
            DesiredState { revision: revision('b'), manifests: desired, hooks: Vec::new(), prune_confirm: confirm };
        let policy = Policy {
            environment: "staging".to_owned(),
            drift: if self.policy.drift == "alert" { DriftPolicy::Alert } else { DriftPolicy::Correct },
            prune: self.policy.prune,
            throw_away: self.policy.throw_away,
            ignore: self.ignore.iter().map(Ignored::rule).collect(),
        };
        let (cluster, redis) = self.facts.read();
        let mut world = World {
            policy,
            desired,
            inventory,
            server,
            live: LiveState::default(),
            cluster,
            redis,
            unstable: self.unstable(),
            others_secrets: Vec::new(),
        };
        world.observe();
        self.answers.iter().for_each(|answer| answer_with(answer, &mut world.live));
        world
    }
}

impl Facts {
    fn read(&self) -> (ClusterFacts, RedisFacts) {
        let classes = self.storage_classes.as_ref().map_or(Fact::Unknown, |classes| {
            let class = |class: &Class| StorageClass { expandable: class.expandable, default: false };
            Fact::Known(classes.iter().map(|(name, found)| (name.clone(), class(found))).collect())
        });
        let releases = self.helm_releases.as_ref().map_or(Fact::Unknown, |releases| {
            let split = |name: &String| {
                let (namespace, release) = name.split_once('/').expect("namespace/name");
                (namespace.to_owned(), release.to_owned())
            };
            Fact::Known(releases.iter().map(split).collect())
        });
        let keys = self.keys.iter().map(|(name, keys)| (key(name), Fact::Known(*keys))).collect();
        (ClusterFacts { storage_classes: classes, helm_releases: releases }, RedisFacts { keys })
    }
}

fn happen(event: &Event, server: &mut Server, inventory: &mut Inventory) {
    match event {
        Event::Create { create, by, set } => server.create(by, &changed(create, set)),
        Event::Write { by, object, subresource, set } => server.update(&key(object), by, subresource, set),
        Event::Silent { silently, set: changes } => {
            let object = server.objects.get_mut(&key(silently)).expect("it exists");
            changes.iter().for_each(|(pointer, value)| set(object, pointer, value));
        }
        Event::Delete { delete } => drop(server.objects.remove(&key(delete))),
        Event::Terminating { terminating } => {
            server.objects.get_mut(&key(terminating)).expect("it exists")["metadata"]["deletionTimestamp"] =
                json!("2026-01-01T10:00:00Z");
        }
        Event::Uid { uid } => {
            server.objects.get_mut(&key(uid)).expect("it exists")["metadata"]["uid"] = json!("uid-of-another");
        }
        Event::Forget { forget } => drop(inventory.entries.remove(&key(forget))),
        Event::Begun { begun } => {
            let entry = Entry { api_version: "v1".to_owned(), uid: None, digest: None, revision: None };
            inventory.entries.insert(key(begun), entry);
        }
    }
}

fn answer_with(answer: &Answer, live: &mut LiveState) {
    match answer {
        Answer::Unreadable { unreadable, reason } => {
            live.objects.insert(key(unreadable), LiveObject::Unreadable { reason: reason.clone() });
        }
        Answer::Unobserved { unobserved } => drop(live.objects.remove(&key(unobserved))),
        Answer::Rejects { rejects, class, message } => {
            let object = live.objects.get_mut(&key(rejects)).expect("observed");
            let class = match class.as_str() {
                "invalid" => RejectionClass::Invalid,
                "immutable" => RejectionClass::Immutable,
                "forbidden" => RejectionClass::Forbidden,
                "namespace-missing" => RejectionClass::NamespaceMissing,
                "kind-unknown" => RejectionClass::KindUnknown,
                other => panic!("no class {other}"),
            };
            let error = Rejection { class, message: message.clone() };
            *object = LiveObject::Rejected { live: object.live().cloned(), error };
        }
        Answer::Admission { admission, set: changes } => {
            let Some(LiveObject::Present { merged: Some(merged), .. }) = live.objects.get_mut(&key(admission)) else {
                panic!("{admission} has no dry-run answer");
            };
            changes.iter().for_each(|(pointer, value)| set(merged, pointer, value));
        }
        Answer::Stranger { stranger } => live.strangers.push(key(stranger)),
    }
}

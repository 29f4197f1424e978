//! How the items of a list are told apart.
//!
//! `managedFields` shows it for every owned list: items by keys, members of a
//! set, or one leaf for an atomic list. Where nobody owns the list, the merge
//! keys of the Kubernetes API reference decide.

use serde_json::Value;

use super::{
    fields::{FieldSet, Step},
    managers,
};

/// What identifies an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListKind {
    /// The values of these fields.
    Keyed(Vec<String>),
    /// The value itself.
    Set,
    /// Its place: the list is replaced as a whole.
    Atomic,
}

impl ListKind {
    /// The step to `item`, which stands at `index`.
    pub fn step(&self, index: usize, item: &Value) -> Step {
        match self {
            Self::Keyed(keys) => Step::key_of(item, keys).unwrap_or(Step::Index(index)),
            Self::Set => Step::Member(item.to_string()),
            Self::Atomic => Step::Index(index),
        }
    }
}

/// The lists of an object, as its managers own them.
pub struct Lists(FieldSet);

impl Lists {
    /// Learns from the `managedFields` of `objects`.
    pub fn of<'a>(objects: impl IntoIterator<Item = &'a Value>) -> Self {
        let owned = objects.into_iter().flat_map(managers::entries);
        Self(owned.fold(FieldSet::default(), |all, entry| all.union(&entry.fields)))
    }

    /// The kind of the list at `path`, whose content is one of `lists`.
    pub fn kind(&self, path: &[Step], lists: &[&Value]) -> ListKind {
        if let Some(node) = self.0.at(path) {
            for (step, _) in node.children() {
                match step {
                    Step::Key(keys) => return ListKind::Keyed(keys.keys().cloned().collect()),
                    Step::Member(_) => return ListKind::Set,
                    _ => {}
                }
            }
            if node.is_member() {
                return ListKind::Atomic;
            }
        }
        let name = path.iter().rev().find_map(|step| match step {
            Step::Field(name) => Some(name.as_str()),
            _ => None,
        });
        known(name.unwrap_or_default(), lists)
    }
}

/// The merge keys of the lists that workloads and Services have.
fn known(name: &str, lists: &[&Value]) -> ListKind {
    let keys: &[&str] = match name {
        "finalizers" => return ListKind::Set,
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "env"
        | "volumes"
        | "imagePullSecrets"
        | "secrets"
        | "resourceClaims" => &["name"],
        "volumeMounts" => &["mountPath"],
        "volumeDevices" => &["devicePath"],
        "hostAliases" => &["ip"],
        "ownerReferences" => &["uid"],
        "conditions" => &["type"],
        "topologySpreadConstraints" => &["topologyKey", "whenUnsatisfiable"],
        "ports" => {
            let container = |list: &&Value| list.pointer("/0/containerPort").is_some();
            if lists.iter().any(container) { &["containerPort", "protocol"] } else { &["port", "protocol"] }
        }
        _ => return ListKind::Atomic,
    };
    let identified = |item: &Value| keys.iter().any(|key| item.get(*key).is_some());
    let all = |list: &&Value| list.as_array().is_some_and(|items| items.iter().all(identified));
    if lists.iter().all(all) {
        ListKind::Keyed(keys.iter().map(|key| (*key).to_owned()).collect())
    } else {
        ListKind::Atomic
    }
}

//! The inventory of one environment as a ConfigMap in its namespace.
//!
//! Writes compare-and-swap on resourceVersion, so two daemons cannot overwrite
//! each other unseen. State of a newer format is refused without a write.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{client::Cluster, discovery::Kind, error::ClusterError};
use crate::{
    inventory::{Entry, FORMAT, Inventory},
    resource::ObjectKey,
    revision::Revision,
};

/// The inventory cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum InventoryError {
    /// A request failed.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A newer daemon wrote it.
    #[error(
        "ConfigMap/{name} in {namespace} has inventory format {found}; this build writes {FORMAT}. Run the newer daemon, or delete nothing and ask who upgraded"
    )]
    Newer {
        /// The ConfigMap.
        name: String,
        /// Its namespace.
        namespace: String,
        /// The format found.
        found: u64,
    },
    /// Its content is not an inventory.
    #[error(
        "ConfigMap/{name} in {namespace} is not an inventory: {cause}. Nothing is applied or pruned until it is restored, or removed to adopt the objects anew"
    )]
    Malformed {
        /// The ConfigMap.
        name: String,
        /// Its namespace.
        namespace: String,
        /// What is wrong.
        cause: String,
    },
    /// It belongs to another environment.
    #[error(
        "ConfigMap/{name} in {namespace} is the inventory of release {found}, not of {wanted}. A changed release name or namespace makes another environment: give it another name, or move the objects by hand"
    )]
    Foreign {
        /// The ConfigMap.
        name: String,
        /// Its namespace.
        namespace: String,
        /// The release it says.
        found: String,
        /// The release expected.
        wanted: String,
    },
}

/// Which inventory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InventoryName {
    /// The environment.
    pub environment: String,
    /// Its namespace.
    pub namespace: String,
    /// Its release.
    pub release: String,
}

/// An inventory with what is needed to write it back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoredInventory {
    /// The content.
    pub inventory: Inventory,
    /// The key of the digests in it; random, made once.
    pub salt: String,
    /// The resourceVersion read or written last; `None` when it does not exist yet.
    version: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    format: u64,
    release: String,
    salt: String,
    applied: Option<Revision>,
    applying: Option<Revision>,
    objects: Vec<Line>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    #[serde(flatten)]
    key: ObjectKey,
    api_version: String,
    uid: Option<String>,
    digest: Option<String>,
    revision: Option<Revision>,
}

impl InventoryName {
    /// The ConfigMap's key.
    pub fn key(&self) -> ObjectKey {
        ObjectKey {
            kind: "ConfigMap".to_owned(),
            group: String::new(),
            namespace: self.namespace.clone(),
            name: format!("redis-gitops-inventory-{}", self.environment),
        }
    }
}

impl Cluster {
    /// Reads the inventory; an empty one (with `fresh_salt`) when there is none.
    pub async fn load_inventory(
        &self,
        name: &InventoryName,
        fresh_salt: String,
    ) -> Result<StoredInventory, InventoryError> {
        let key = name.key();
        let Some(object) = self.get(&config_map(), &key).await? else {
            return Ok(StoredInventory { inventory: Inventory::default(), salt: fresh_salt, version: None });
        };
        let version = object.pointer("/metadata/resourceVersion").and_then(Value::as_str).map(str::to_owned);
        let text = object.pointer("/data/inventory").and_then(Value::as_str).unwrap_or_default();
        let (inventory, salt) = parse(name, text)?;
        Ok(StoredInventory { inventory, salt, version })
    }

    /// Writes the inventory if nobody else has since it was read. One that was
    /// deleted meanwhile is made again: what it named is still ours.
    pub async fn save_inventory(&self, name: &InventoryName, stored: &mut StoredInventory) -> Result<(), ClusterError> {
        let key = name.key();
        let body = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": key.name,
                "namespace": key.namespace,
                "labels": {"app.kubernetes.io/managed-by": "redis-gitops"},
                "annotations": {"redis-gitops/note": "What redis-gitops has applied here. Deleting it deletes nothing else; the daemon adopts the objects again."},
            },
            "data": {"inventory": render(name, stored)},
        });
        let replaced = match &stored.version {
            None => None,
            Some(version) => {
                let mut newer = body.clone();
                newer["metadata"]["resourceVersion"] = Value::from(version.clone());
                match self.replace(&config_map(), &key, &newer).await {
                    Ok(written) => Some(written),
                    Err(ClusterError::NotFound { .. }) => None,
                    Err(error) => return Err(error),
                }
            }
        };
        let written = match replaced {
            Some(written) => written,
            None => self.create(&config_map(), &key, &body).await?,
        };
        stored.version = written.pointer("/metadata/resourceVersion").and_then(Value::as_str).map(str::to_owned);
        Ok(())
    }
}

fn config_map() -> Kind {
    Kind {
        group: String::new(),
        version: "v1".to_owned(),
        kind: "ConfigMap".to_owned(),
        plural: "configmaps".to_owned(),
        namespaced: true,
    }
}

fn render(name: &InventoryName, stored: &StoredInventory) -> String {
    let inventory = &stored.inventory;
    let document = Document {
        format: u64::from(FORMAT),
        release: name.release.clone(),
        salt: stored.salt.clone(),
        applied: inventory.applied.clone(),
        applying: inventory.applying.clone(),
        objects: inventory
            .entries
            .iter()
            .map(|(key, entry)| Line {
                key: key.clone(),
                api_version: entry.api_version.clone(),
                uid: entry.uid.clone(),
                digest: entry.digest.clone(),
                revision: entry.revision.clone(),
            })
            .collect(),
    };
    serde_json::to_string_pretty(&document).expect("plain data with text keys is always JSON")
}

fn parse(name: &InventoryName, text: &str) -> Result<(Inventory, String), InventoryError> {
    let key = name.key();
    let malformed =
        |cause: String| InventoryError::Malformed { name: key.name.clone(), namespace: key.namespace.clone(), cause };
    let raw: Value = serde_json::from_str(text).map_err(|e| malformed(e.to_string()))?;
    match raw.get("format").and_then(Value::as_u64) {
        Some(found) if found > u64::from(FORMAT) => {
            return Err(InventoryError::Newer { name: key.name.clone(), namespace: key.namespace.clone(), found });
        }
        Some(_) => {}
        None => return Err(malformed("it has no format".to_owned())),
    }
    let document: Document = serde_json::from_value(raw).map_err(|e| malformed(e.to_string()))?;
    if document.release != name.release {
        return Err(InventoryError::Foreign {
            name: key.name.clone(),
            namespace: key.namespace.clone(),
            found: document.release,
            wanted: name.release.clone(),
        });
    }
    let entries = document.objects.into_iter().map(|line| {
        let Line { key, api_version, uid, digest, revision } = line;
        (key, Entry { api_version, uid, digest, revision })
    });
    let inventory = Inventory {
        format: FORMAT,
        applied: document.applied,
        applying: document.applying,
        entries: entries.collect(),
    };
    Ok((inventory, document.salt))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> InventoryName {
        InventoryName { environment: "dev".into(), namespace: "project-dev".into(), release: "redis".into() }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let revision = Revision::try_from("a".repeat(40)).expect("an id");
        let entry = Entry {
            api_version: "v1".into(),
            uid: Some("u1".into()),
            digest: Some("d".into()),
            revision: Some(revision.clone()),
        };
        let key =
            ObjectKey { kind: "Service".into(), group: String::new(), namespace: "x".into(), name: "redis".into() };
        let inventory = Inventory { applied: Some(revision), entries: [(key, entry)].into(), ..Inventory::default() };
        let stored = StoredInventory { inventory, salt: "s".into(), version: None };
        let (read, salt) = parse(&name(), &render(&name(), &stored)).expect("our own writing");
        assert_eq!((read, salt), (stored.inventory, stored.salt));
    }

    #[test]
    fn a_newer_format_is_refused_whatever_else_it_says() {
        let error = parse(&name(), r#"{"format": 2, "shape": "unknown"}"#).expect_err("newer");
        assert!(matches!(error, InventoryError::Newer { found: 2, .. }), "{error}");
    }

    #[test]
    fn nonsense_is_an_error_not_an_empty_inventory() {
        for text in ["", "{}", "[]", r#"{"format": 1}"#] {
            assert!(matches!(parse(&name(), text), Err(InventoryError::Malformed { .. })), "{text}");
        }
    }

    #[test]
    fn another_release_is_another_environment() {
        let stored = StoredInventory { inventory: Inventory::default(), salt: String::new(), version: None };
        let other = InventoryName { release: "cache".into(), ..name() };
        let error = parse(&other, &render(&name(), &stored)).expect_err("foreign");
        assert!(error.to_string().contains("release redis, not of cache"), "{error}");
    }
}

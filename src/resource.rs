//! The Kubernetes object as every layer names it: its key and its manifest.
//!
//! The key leaves the API version out, since one object can be read at several;
//! the manifest keeps it.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The identity of an object within one cluster. Ordered by kind, namespace, name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectKey {
    /// The kind, such as `Deployment`.
    pub kind: String,
    /// The API group; empty for the core group.
    pub group: String,
    /// The namespace; empty for objects of the cluster.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{}/{}", self.kind, self.name)
        } else {
            write!(f, "{}/{} in {}", self.kind, self.name, self.namespace)
        }
    }
}

/// One object as Git states it: JSON with `apiVersion`, `kind` and
/// `metadata.name`, and `metadata.namespace` where the kind has one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Identity.
    pub key: ObjectKey,
    /// `apiVersion`, such as `apps/v1`.
    pub api_version: String,
    /// The template it came from, such as `redis/templates/deployment.yaml`.
    pub source: String,
    /// The whole object.
    pub body: Value,
}

/// A document that is not a Kubernetes object.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// A required field is missing or is not a non-empty string.
    #[error("{origin}: the object has no {field}; every document needs apiVersion, kind and metadata.name")]
    Incomplete {
        /// The template.
        origin: String,
        /// Which field.
        field: &'static str,
    },
    /// `metadata.generateName` cannot be applied: each apply would make another object.
    #[error("{origin}: {kind} uses metadata.generateName, which has no fixed identity; give it a name")]
    GeneratedName {
        /// The template.
        origin: String,
        /// The kind.
        kind: String,
    },
}

impl Manifest {
    /// Reads the identity out of a rendered document. The namespace stays as
    /// written (empty when absent); the cluster's discovery completes it.
    pub fn from_body(source: &str, body: Value) -> Result<Self, ManifestError> {
        let text = |pointer: &str, field: &'static str| {
            body.pointer(pointer)
                .and_then(Value::as_str)
                .filter(|s| !s.is_empty())
                .map(str::to_owned)
                .ok_or_else(|| ManifestError::Incomplete { origin: source.to_owned(), field })
        };
        let api_version = text("/apiVersion", "apiVersion")?;
        let kind = text("/kind", "kind")?;
        if body.pointer("/metadata/name").is_none() && body.pointer("/metadata/generateName").is_some() {
            return Err(ManifestError::GeneratedName { origin: source.to_owned(), kind });
        }
        let name = text("/metadata/name", "metadata.name")?;
        let namespace = body.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default().to_owned();
        let group = api_version.split_once('/').map_or("", |(group, _)| group).to_owned();
        Ok(Self { key: ObjectKey { kind, group, namespace, name }, api_version, source: source.to_owned(), body })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn identity_comes_from_the_document() {
        let body =
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "redis", "namespace": "dev"}});
        let manifest = Manifest::from_body("redis/templates/deployment.yaml", body).expect("a whole object");
        assert_eq!(manifest.key.to_string(), "Deployment/redis in dev");
        assert_eq!(manifest.key.group, "apps");
    }

    #[test]
    fn a_document_without_identity_is_refused_by_field() {
        let error = Manifest::from_body("t.yaml", json!({"apiVersion": "v1", "kind": "Pod"})).expect_err("no name");
        assert!(error.to_string().contains("metadata.name"), "{error}");
        let generated = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "x-"}});
        assert!(matches!(Manifest::from_body("t.yaml", generated), Err(ManifestError::GeneratedName { .. })));
    }
}

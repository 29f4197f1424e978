//! Reading and writing single objects: get, list, server-side apply (dry or not),
//! the ownership patch, delete. Each is exactly one request.

use http::Method;
use serde_json::{Value, json};

use super::{
    client::{Cluster, FIELD_MANAGER, request},
    discovery::Kind,
    error::ClusterError,
};
use crate::{
    live::RejectionClass,
    resource::{Manifest, ObjectKey},
    telemetry::Verb,
};

/// What the API server says of a JSON patch that does not fit the object.
const FAILED_TEST: &str = "the server rejected our request due to an error in our request";

/// Whether a write is carried out or only tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The API server does everything but store the result.
    DryRun,
    /// The result is stored.
    Write,
}

/// One page of objects.
pub(super) struct Page {
    pub items: Vec<Value>,
    pub resource_version: String,
    pub next: Option<String>,
}

impl Cluster {
    /// Reads one object; `None` when there is none (or no such namespace).
    pub async fn get(&self, kind: &Kind, key: &ObjectKey) -> Result<Option<Value>, ClusterError> {
        let operation = format!("get {key}");
        match self.send(Verb::Get, &operation, request(Method::GET, &kind.object_path(key), None, Vec::new())).await {
            Ok(object) => Ok(Some(object)),
            Err(ClusterError::NotFound { .. }) => Ok(None),
            // So is a Namespace answered that is not there.
            Err(ClusterError::Rejected { rejection, .. }) if rejection.class == RejectionClass::NamespaceMissing => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Server-side apply of `manifest`, with force, under [`FIELD_MANAGER`]; answers
    /// the object as stored (or as it would be). With `uid`, an object that was
    /// replaced or deleted meanwhile is a conflict and is never recreated.
    pub async fn apply(
        &self,
        kind: &Kind,
        manifest: &Manifest,
        uid: Option<&str>,
        mode: Mode,
    ) -> Result<Value, ClusterError> {
        let mut body = manifest.body.clone();
        if let (Some(uid), Some(metadata)) = (uid, body.get_mut("metadata").and_then(Value::as_object_mut)) {
            metadata.insert("uid".to_owned(), Value::from(uid));
        }
        let (verb, word, dry) = match mode {
            Mode::DryRun => (Verb::DryRun, "dry-run apply", "&dryRun=All"),
            Mode::Write => (Verb::Apply, "apply", ""),
        };
        let uri = format!(
            "{}?fieldManager={FIELD_MANAGER}&force=true&fieldValidation=Strict{dry}",
            kind.object_path(&manifest.key)
        );
        let request = request(Method::PATCH, &uri, Some("application/apply-patch+yaml"), to_bytes(&body));
        self.send(verb, &format!("{word} {}", manifest.key), request).await
    }

    /// Replaces `metadata.managedFields`, if uid and resourceVersion are still those seen.
    pub async fn take_over(
        &self,
        kind: &Kind,
        key: &ObjectKey,
        live: &Value,
        managed_fields: &Value,
    ) -> Result<Value, ClusterError> {
        let at = |pointer: &str| live.pointer(pointer).cloned().unwrap_or(Value::Null);
        let patch = json!([
            {"op": "test", "path": "/metadata/uid", "value": at("/metadata/uid")},
            {"op": "test", "path": "/metadata/resourceVersion", "value": at("/metadata/resourceVersion")},
            {"op": "replace", "path": "/metadata/managedFields", "value": managed_fields},
        ]);
        let uri = format!("{}?fieldManager={FIELD_MANAGER}", kind.object_path(key));
        let request = request(Method::PATCH, &uri, Some("application/json-patch+json"), to_bytes(&patch));
        match self.send(Verb::Patch, &format!("take over fields of {key}"), request).await {
            // A failed "test" is answered as 422 with this text alone: the object
            // changed, it is not invalid. Invalid objects are answered by field.
            Err(ClusterError::Rejected { operation, rejection }) if rejection.message == FAILED_TEST => {
                Err(ClusterError::Conflict { operation, message: "it is not as it was seen any more".to_owned() })
            }
            other => other,
        }
    }

    /// Deletes the object if uid and resourceVersion are still those given; its
    /// dependents go in the background. An object that is already gone is fine.
    pub async fn delete(
        &self,
        kind: &Kind,
        key: &ObjectKey,
        uid: &str,
        resource_version: &str,
    ) -> Result<(), ClusterError> {
        let options = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": uid, "resourceVersion": resource_version},
        });
        let request = request(Method::DELETE, &kind.object_path(key), Some("application/json"), to_bytes(&options));
        match self.send(Verb::Delete, &format!("delete {key}"), request).await {
            Ok(_) | Err(ClusterError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Creates the object; a conflict when it exists.
    pub(super) async fn create(&self, kind: &Kind, key: &ObjectKey, body: &Value) -> Result<Value, ClusterError> {
        let uri = format!("{}?fieldManager={FIELD_MANAGER}", kind.path(Some(&key.namespace), None));
        let request = request(Method::POST, &uri, Some("application/json"), to_bytes(body));
        self.send(Verb::Create, &format!("create {key}"), request).await
    }

    /// Replaces the object; a conflict when `metadata.resourceVersion` is not the stored one.
    pub(super) async fn replace(&self, kind: &Kind, key: &ObjectKey, body: &Value) -> Result<Value, ClusterError> {
        let uri = format!("{}?fieldManager={FIELD_MANAGER}", kind.object_path(key));
        let request = request(Method::PUT, &uri, Some("application/json"), to_bytes(body));
        self.send(Verb::Update, &format!("update {key}"), request).await
    }

    /// All objects that `selector` selects; everything for an empty one.
    pub async fn list(&self, kind: &Kind, namespace: Option<&str>, selector: &str) -> Result<Vec<Value>, ClusterError> {
        let mut all = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let page = self.list_page(kind, namespace, selector, next.as_deref()).await?;
            all.extend(page.items);
            next = page.next;
            if next.is_none() {
                return Ok(all);
            }
        }
    }

    /// One page of a list, from `next` of the page before.
    pub(super) async fn list_page(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        selector: &str,
        next: Option<&str>,
    ) -> Result<Page, ClusterError> {
        let mut uri = format!("{}?limit=500&labelSelector={}", kind.path(namespace, None), escape(selector));
        if let Some(next) = next {
            uri.push_str("&continue=");
            uri.push_str(&escape(next));
        }
        let operation = format!("list {}", kind.plural);
        let mut answer = self.send(Verb::List, &operation, request(Method::GET, &uri, None, Vec::new())).await?;
        let meta = |pointer: &str| answer.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let resource_version = meta("/metadata/resourceVersion").ok_or_else(|| ClusterError::Protocol {
            operation: operation.clone(),
            message: "the list has no resourceVersion".to_owned(),
        })?;
        let next = meta("/metadata/continue").filter(|token| !token.is_empty());
        let items = match answer.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        };
        Ok(Page { items, resource_version, next })
    }
}

fn to_bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// Percent-encodes a query value.
pub(super) fn escape(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(b).to_string(),
            _ => format!("%{b:02X}"),
        })
        .collect()
}

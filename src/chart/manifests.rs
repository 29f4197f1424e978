//! From rendered text to manifests: splitting, hooks, install order.

use serde_json::Value;

use crate::values::yaml::{self, Numbers, YamlError};

/// One document of the output.
#[derive(Clone, Debug, PartialEq)]
pub struct RenderedManifest {
    /// The template it comes from, such as `redis/templates/service.yaml`.
    pub source: String,
    /// The document, byte for byte as helm prints it.
    pub text: String,
    /// The same, parsed; whole numbers are whole. `null` when the document holds
    /// nothing but comments: helm prints such documents, but there is no object.
    pub body: Value,
}

impl RenderedManifest {
    fn kind(&self) -> &str {
        self.body.get("kind").and_then(Value::as_str).unwrap_or_default()
    }

    fn hook(&self) -> Option<&str> {
        self.body.pointer("/metadata/annotations")?.get("helm.sh/hook").and_then(Value::as_str)
    }

    /// Appends the document as helm prints it.
    pub fn print(&self, out: &mut String) {
        out.push_str("---\n# Source: ");
        out.push_str(&self.source);
        out.push('\n');
        out.push_str(&self.text);
        out.push('\n');
    }
}

/// A document that helm refuses.
#[derive(Debug)]
pub(super) struct BadDocument {
    pub source: String,
    pub text: String,
    pub cause: YamlError,
}

/// Whether the manifest is a hook that `helm test` runs.
pub fn is_test_hook(manifest: &RenderedManifest) -> bool {
    let names = manifest.hook().unwrap_or_default();
    names.split(',').any(|name| matches!(name.trim().to_lowercase().as_str(), "test" | "test-success"))
}

const HOOKS: &[&str] = &[
    "pre-install",
    "post-install",
    "pre-delete",
    "post-delete",
    "pre-upgrade",
    "post-upgrade",
    "pre-rollback",
    "post-rollback",
    "test",
    "test-success",
];

const INSTALL_ORDER: &[&str] = &[
    "PriorityClass",
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

/// Where a kind stands: known ones by their rank, then the others by name.
fn rank(manifest: &RenderedManifest) -> (usize, String) {
    let kind = manifest.kind();
    match INSTALL_ORDER.iter().position(|known| *known == kind) {
        Some(rank) => (rank, String::new()),
        None => (INSTALL_ORDER.len(), kind.to_owned()),
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0c' | '\r')
}

/// Splits a file at lines that start with `---`. What follows the dashes on
/// their line opens the next document.
pub fn split_documents(text: &str) -> Vec<String> {
    let text = text.trim();
    let mut documents = Vec::new();
    let mut rest = text;
    let mut at_start = true;
    loop {
        let cut = if at_start && rest.starts_with("---") {
            Some((0, 3))
        } else {
            rest.find("\n---").map(|at| (rest[..at].trim_end_matches(is_space).len(), at + 4))
        };
        at_start = false;
        let (document, next) = match cut {
            Some((end, next)) => (&rest[..end], Some(rest[next..].trim_start_matches(is_space))),
            None => (rest, None),
        };
        if !document.is_empty() {
            documents.push(document.trim().to_owned());
        }
        match next {
            Some(next) => rest = next,
            None => return documents,
        }
    }
}

/// Manifests and hooks of rendered files (name and text, sorted by name), each
/// in install order.
pub(super) fn sort(
    files: impl IntoIterator<Item = (String, String)>,
) -> Result<(Vec<RenderedManifest>, Vec<RenderedManifest>), BadDocument> {
    let (mut manifests, mut hooks) = (Vec::new(), Vec::new());
    for (source, content) in files {
        for text in split_documents(&content) {
            let body = match parse(&text) {
                Ok(body) => body,
                Err(cause) => return Err(BadDocument { source, text, cause }),
            };
            let manifest = RenderedManifest { source: source.clone(), text, body };
            match manifest.hook() {
                None => manifests.push(manifest),
                Some(names) => {
                    let known = |name: &str| HOOKS.contains(&name.trim().to_lowercase().as_str());
                    if names.split(',').all(known) {
                        hooks.push(manifest);
                    }
                }
            }
        }
    }
    manifests.sort_by_cached_key(rank);
    hooks.sort_by_cached_key(rank);
    Ok((manifests, hooks))
}

/// Reads a document and checks what Helm reads of it.
fn parse(text: &str) -> Result<Value, YamlError> {
    let body = yaml::read(text, Numbers::Exact)?;
    let wrong = |message: String| Err(YamlError { line: 1, column: 1, message });
    match &body {
        Value::Null => return Ok(body),
        Value::Object(_) => {}
        _ => return wrong("a manifest must be a mapping".to_owned()),
    }
    for (pointer, what) in [("/apiVersion", "apiVersion"), ("/kind", "kind"), ("/metadata/name", "metadata.name")] {
        if let Some(Value::Array(_) | Value::Object(_)) = body.pointer(pointer) {
            return wrong(format!("{what} must be text"));
        }
    }
    match body.get("metadata") {
        None | Some(Value::Null | Value::Object(_)) => {}
        Some(_) => return wrong("metadata must be a mapping".to_owned()),
    }
    match body.pointer("/metadata/annotations") {
        None | Some(Value::Null) => {}
        Some(Value::Object(entries)) => {
            if let Some((key, _)) = entries.iter().find(|(_, v)| v.is_array() || v.is_object()) {
                return wrong(format!("annotation {key:?} must be text"));
            }
        }
        Some(_) => return wrong("metadata.annotations must be a mapping".to_owned()),
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_split_at_dashes() {
        assert_eq!(split_documents("a: 1\n---\nb: 2\n"), ["a: 1", "b: 2"]);
        assert_eq!(split_documents("--- # note\na: 1"), ["# note\na: 1"]);
        assert_eq!(split_documents("\n---\n---\na: 1\n"), ["---\na: 1"]);
        assert_eq!(split_documents("a: |\n  x\n  \n---"), ["a: |\n  x"]);
        assert!(split_documents(" \n").is_empty());
    }
}

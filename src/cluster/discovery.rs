//! Which kinds the API server serves, from the aggregated discovery documents.

use std::collections::BTreeMap;

use http::Method;
use serde_json::Value;

use super::{
    client::{Cluster, request},
    error::ClusterError,
};
use crate::{
    live::{Rejection, RejectionClass},
    telemetry::Verb,
};

const ACCEPT: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

/// A kind at one version, as the API server serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// The API group; empty for the core group.
    pub group: String,
    /// The version, such as `v1`.
    pub version: String,
    /// The kind, such as `Deployment`.
    pub kind: String,
    /// The resource in paths, such as `deployments`.
    pub plural: String,
    /// Whether objects live in a namespace.
    pub namespaced: bool,
}

/// Everything the API server serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovery {
    /// By `apiVersion` and kind.
    kinds: BTreeMap<(String, String), Kind>,
    /// `major.minor.patch` with the `v`, such as `v1.36.0`.
    pub git_version: String,
    /// Groups whose server did not answer; their kinds are unknown, not absent.
    pub stale_groups: Vec<String>,
}

impl Discovery {
    pub(super) async fn read(cluster: &Cluster) -> Result<Self, ClusterError> {
        let mut found = Self::default();
        let version = cluster.send(Verb::Get, "read the API server's version", get("/version")).await?;
        found.git_version = text(&version, "/gitVersion").to_owned();
        for root in ["/api", "/apis"] {
            let answer = cluster.send(Verb::Get, &format!("discover {root}"), get(root)).await?;
            let Some(groups) = answer.get("items").and_then(Value::as_array) else {
                return Err(ClusterError::Protocol {
                    operation: format!("discover {root}"),
                    message: "the API server has no aggregated discovery; Kubernetes 1.30 or newer is needed".into(),
                });
            };
            for group in groups {
                found.read_group(group);
            }
        }
        Ok(found)
    }

    fn read_group(&mut self, group: &Value) {
        let name = text(group, "/metadata/name");
        for version in items(group, "/versions") {
            let version_name = text(version, "/version");
            if text(version, "/freshness") == "Stale" && !self.stale_groups.iter().any(|g| g == name) {
                self.stale_groups.push(name.to_owned());
            }
            for resource in items(version, "/resources") {
                let kind = Kind {
                    group: name.to_owned(),
                    version: version_name.to_owned(),
                    kind: text(resource, "/responseKind/kind").to_owned(),
                    plural: text(resource, "/resource").to_owned(),
                    namespaced: text(resource, "/scope") == "Namespaced",
                };
                self.kinds.insert((kind.api_version(), kind.kind.clone()), kind);
            }
        }
    }

    /// The kind at that `apiVersion`, when it is served.
    pub fn kind(&self, api_version: &str, kind: &str) -> Option<&Kind> {
        self.kinds.get(&(api_version.to_owned(), kind.to_owned()))
    }

    /// All `apiVersion`s, and all as `apiVersion/Kind`, as charts ask for them.
    pub fn api_versions(&self) -> Vec<String> {
        let mut all: Vec<String> = self.kinds.keys().map(|(api_version, _)| api_version.clone()).collect();
        all.dedup();
        all.extend(self.kinds.keys().map(|(api_version, kind)| format!("{api_version}/{kind}")));
        all
    }

    /// Why there is no such kind: it is not served, or its server does not answer now.
    pub(super) fn unknown(&self, api_version: &str, kind: &str) -> ClusterError {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        if self.stale_groups.iter().any(|stale| stale == group) {
            return ClusterError::Transient {
                operation: format!("find {kind} of {api_version}"),
                message: "the server of this API group does not answer the API server".to_owned(),
            };
        }
        ClusterError::Rejected {
            operation: format!("find {kind} of {api_version}"),
            rejection: Rejection {
                class: RejectionClass::KindUnknown,
                message: format!(
                    "the cluster serves no {kind} of {api_version}; install its CustomResourceDefinition, or correct apiVersion and kind"
                ),
            },
        }
    }
}

impl Kind {
    /// `apiVersion` as manifests write it.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }
}

fn get(path: &str) -> http::Request<Vec<u8>> {
    let mut request = request(Method::GET, path, None, Vec::new());
    request.headers_mut().insert(http::header::ACCEPT, http::HeaderValue::from_static(ACCEPT));
    request
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn items<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_group_whose_server_is_away_is_unknown_and_not_absent() {
        let mut found = Discovery::default();
        let error = found.unknown("metrics.example.com/v1", "Gauge");
        assert!(matches!(error, ClusterError::Rejected { .. }), "{error}");
        let versions = json!([{"version": "v1", "freshness": "Stale"}]);
        found.read_group(&json!({"metadata": {"name": "metrics.example.com"}, "versions": versions}));
        let error = found.unknown("metrics.example.com/v1", "Gauge");
        assert!(error.is_transient(), "{error}");
    }
}

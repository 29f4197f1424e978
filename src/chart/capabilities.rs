//! What templates may know of the cluster.

use crate::template::semver::Version;

/// The version of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubeVersion {
    /// As the cluster says it, such as `v1.33.4-gke.1245000`.
    pub version: String,
    /// Without suffixes, such as `v1.33.4`: what constraints are checked with.
    pub normalized: String,
    /// `1`
    pub major: String,
    /// `33`
    pub minor: String,
}

impl KubeVersion {
    /// Reads a version such as `1.33` or `v1.33.4-gke.1245000`.
    pub fn parse(text: &str) -> Option<Self> {
        let body = text.trim().strip_prefix('v').unwrap_or(text.trim());
        let numbers_end = body.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(body.len());
        let numbers = body[..numbers_end].trim_end_matches('.');
        let parts: Vec<u64> = numbers.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
        if parts.len() < 2 {
            return None;
        }
        let normalized: Vec<String> = parts.iter().map(u64::to_string).collect();
        let version = if text.starts_with('v') { text.to_owned() } else { format!("v{text}") };
        Some(Self {
            version,
            normalized: format!("v{}", normalized.join(".")),
            major: parts[0].to_string(),
            minor: parts[1].to_string(),
        })
    }

    pub(super) fn satisfies(&self, constraint: &str) -> bool {
        Version::parse(&self.normalized).is_ok() && super::dependencies::compatible(constraint, &self.normalized)
    }
}

/// What `.Capabilities` shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// `.Capabilities.KubeVersion`
    pub kube_version: KubeVersion,
    /// `.Capabilities.APIVersions`: groups with versions, and with kinds when
    /// a cluster was asked.
    pub api_versions: Vec<String>,
}

impl Default for Capabilities {
    /// What helm 4.1.4 assumes without a cluster.
    fn default() -> Self {
        let kube_version = KubeVersion {
            version: "v1.35.0".to_owned(),
            normalized: "v1.35.0".to_owned(),
            major: "1".to_owned(),
            minor: "35".to_owned(),
        };
        Self { kube_version, api_versions: KNOWN.iter().map(|v| (*v).to_owned()).collect() }
    }
}

const KNOWN: &[&str] = &[
    "v1",
    "admissionregistration.k8s.io/v1",
    "admissionregistration.k8s.io/v1alpha1",
    "admissionregistration.k8s.io/v1beta1",
    "internal.apiserver.k8s.io/v1alpha1",
    "apps/v1",
    "apps/v1beta1",
    "apps/v1beta2",
    "authentication.k8s.io/v1",
    "authentication.k8s.io/v1alpha1",
    "authentication.k8s.io/v1beta1",
    "authorization.k8s.io/v1",
    "authorization.k8s.io/v1beta1",
    "autoscaling/v1",
    "autoscaling/v2",
    "autoscaling/v2beta1",
    "autoscaling/v2beta2",
    "batch/v1",
    "batch/v1beta1",
    "certificates.k8s.io/v1",
    "certificates.k8s.io/v1beta1",
    "certificates.k8s.io/v1alpha1",
    "coordination.k8s.io/v1alpha2",
    "coordination.k8s.io/v1beta1",
    "coordination.k8s.io/v1",
    "discovery.k8s.io/v1",
    "discovery.k8s.io/v1beta1",
    "events.k8s.io/v1",
    "events.k8s.io/v1beta1",
    "extensions/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1",
    "flowcontrol.apiserver.k8s.io/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1beta2",
    "flowcontrol.apiserver.k8s.io/v1beta3",
    "networking.k8s.io/v1",
    "networking.k8s.io/v1beta1",
    "node.k8s.io/v1",
    "node.k8s.io/v1alpha1",
    "node.k8s.io/v1beta1",
    "policy/v1",
    "policy/v1beta1",
    "rbac.authorization.k8s.io/v1",
    "rbac.authorization.k8s.io/v1beta1",
    "rbac.authorization.k8s.io/v1alpha1",
    "resource.k8s.io/v1",
    "resource.k8s.io/v1beta2",
    "resource.k8s.io/v1beta1",
    "resource.k8s.io/v1alpha3",
    "scheduling.k8s.io/v1alpha1",
    "scheduling.k8s.io/v1beta1",
    "scheduling.k8s.io/v1",
    "storage.k8s.io/v1beta1",
    "storage.k8s.io/v1",
    "storage.k8s.io/v1alpha1",
    "storagemigration.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1",
];

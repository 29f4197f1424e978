//! Everything a plan is made from.
//!
//! Facts that could not be learnt are `Unknown`, which no guard reads as fine.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    desired::DesiredState, diff::Redactor, difference::Difference, environment::DriftPolicy, ignore::IgnoreRule,
    inventory::Inventory, live::LiveState, resource::ObjectKey,
};

/// The label on every applied object that names its environment. It selects
/// what the watches see; ownership is the inventory's.
pub const ENVIRONMENT_LABEL: &str = "redis-gitops/environment";

/// The annotation that decides what a prune does: `detach` leaves the object.
pub const PRUNE_ANNOTATION: &str = "redis-gitops/prune";

/// What the configuration says of the environment.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The environment's name, as in [`ENVIRONMENT_LABEL`].
    pub environment: String,
    /// What is done about drift.
    pub drift: DriftPolicy,
    /// Whether objects that left Git are deleted.
    pub prune: bool,
    /// Data and password are of no worth.
    pub throw_away: bool,
    /// Fields that others may set; the dry-run answers are of manifests that
    /// [spare](crate::diff::spare) them.
    pub ignore: Vec<IgnoreRule>,
}

/// Something that was learnt, or could not be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fact<T> {
    /// It is so.
    Known(T),
    /// It could not be learnt: no right, no answer, or not asked yet.
    #[default]
    Unknown,
}

/// What the cluster told beside the objects themselves.
#[derive(Clone, Debug, Default)]
pub struct ClusterFacts {
    /// The storage classes, by name.
    pub storage_classes: Fact<BTreeMap<String, StorageClass>>,
    /// Helm releases (namespace, name) that still have a release Secret.
    pub helm_releases: Fact<BTreeSet<(String, String)>>,
}

/// One storage class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StorageClass {
    /// `allowVolumeExpansion`.
    pub expandable: bool,
    /// Annotated as the default class.
    pub default: bool,
}

/// What the probes told.
#[derive(Clone, Debug, Default)]
pub struct RedisFacts {
    /// By workload: the most keys that any of its servers holds. A workload
    /// that is missing counts as holding data.
    pub keys: BTreeMap<ObjectKey, Fact<u64>>,
}

/// The inputs of one plan.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// From the configuration.
    pub policy: &'a Policy,
    /// What Git wants, with [normalised](crate::diff::normalise) manifests.
    pub desired: &'a DesiredState,
    /// What the cluster holds: every object that Git or the inventory names.
    /// Claims that pods of the workloads mount may be there as well; they are
    /// watched for deletion and never written.
    pub live: &'a LiveState,
    /// What was applied.
    pub inventory: &'a Inventory,
    /// Differences that were there right after our own last write of the object:
    /// admission makes them, and another write would not help.
    pub unstable: &'a BTreeMap<ObjectKey, Vec<Difference>>,
    /// Keys the digests of desired manifests; the inventory's own.
    pub salt: &'a [u8],
    /// About the cluster.
    pub cluster: &'a ClusterFacts,
    /// About the servers.
    pub redis: &'a RedisFacts,
    /// The secrets of this pass.
    pub redactor: &'a Redactor,
}

impl RedisFacts {
    /// Whether the servers of `workload` are known to hold no key.
    pub fn is_empty(&self, workload: &ObjectKey) -> bool {
        self.keys.get(workload) == Some(&Fact::Known(0))
    }
}

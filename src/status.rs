//! The daemon's state as every reader sees it: metrics, page, API.
//!
//! One value is published through a watch channel by the reconcilers; readers
//! never ask anything else. Secrets are masked before anything enters it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::{consequence::Consequence, difference::Difference, plan::Refusal, resource::ObjectKey, revision::Revision};

/// Everything, as of one moment.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Status {
    /// By environment name.
    pub environments: BTreeMap<String, EnvironmentStatus>,
    /// By repository URL (without credentials).
    pub repositories: BTreeMap<String, RepositoryStatus>,
    /// The configuration file.
    pub configuration: ConfigurationStatus,
}

/// The configuration file's state.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ConfigurationStatus {
    /// When the one in force was read.
    pub loaded: Option<Timestamp>,
    /// Why the newest file content is not in force, when it is not.
    pub error: Option<String>,
}

/// One Git repository.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RepositoryStatus {
    /// When it last answered.
    pub last_success: Option<Timestamp>,
    /// Why the last attempt failed; `None` after a success.
    pub error: Option<String>,
    /// Attempts that failed in a row.
    pub consecutive_failures: u32,
}

/// A commit, as the page names it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Commit {
    /// Full id.
    pub revision: Revision,
    /// First line of the message.
    pub subject: String,
    /// Author's name.
    pub author: String,
    /// Author's time.
    pub time: Option<Timestamp>,
}

/// One environment.
#[derive(Clone, Debug, Default, Serialize)]
pub struct EnvironmentStatus {
    /// Name.
    pub name: String,
    /// The branch it follows.
    pub branch: String,
    /// The namespace it is applied to.
    pub namespace: String,
    /// The release name.
    pub release: String,
    /// `correct` or `alert`.
    pub drift_policy: String,
    /// Data and password are of no worth.
    pub throw_away: bool,
    /// The branch tip as last fetched.
    pub tip: Option<Commit>,
    /// The commit that was last applied whole.
    pub applied: Option<Commit>,
    /// Where the environment stands with respect to its tip.
    pub sync: SyncState,
    /// Every object, as Git, inventory and cluster have it.
    pub objects: Vec<ObjectStatus>,
    /// Whether all applied objects are ready.
    pub ready: bool,
    /// When the last sync (apply of a commit) ended.
    pub last_sync: Option<Timestamp>,
    /// How long it took.
    pub last_sync_seconds: Option<f64>,
    /// Until when the compared state is known to hold.
    pub last_comparison: Option<Timestamp>,
    /// When the drift that lasts now was first seen.
    pub drift_first_seen: Option<Timestamp>,
    /// The newest drift findings, newest first, bounded.
    pub recent_drift: Vec<DriftRecord>,
    /// Redis as probed.
    pub redis: RedisStatus,
    /// What a person should know, most urgent first.
    pub warnings: Vec<String>,
}

/// Where an environment stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum SyncState {
    /// Nothing is known yet.
    #[default]
    Unknown,
    /// The branch tip is what is applied.
    Synced,
    /// The tip is being applied.
    Syncing,
    /// The tip cannot be used; what was applied before stays.
    Failed {
        /// Which stage failed: `git`, `render`, `observe`, `apply`, `prune`.
        stage: String,
        /// For a person: what, where, why, what to do.
        message: String,
    },
    /// Guards or the API server refuse the tip; nothing of it is applied.
    Refused {
        /// Every refusal with its object.
        refusals: Vec<ObjectRefusal>,
    },
    /// The apply of the tip has begun and is not finished.
    Partial {
        /// What stopped it.
        message: String,
    },
    /// The environment is not managed at present (missing branch, chart, values,
    /// or no objects); what runs is left alone.
    Detached {
        /// Why, and how to adopt or delete what runs.
        message: String,
    },
}

impl SyncState {
    /// The word used on the page and in JSON.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Synced => "synced",
            Self::Syncing => "syncing",
            Self::Failed { .. } => "failed",
            Self::Refused { .. } => "refused",
            Self::Partial { .. } => "partial",
            Self::Detached { .. } => "detached",
        }
    }
}

/// A refusal with its object.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ObjectRefusal {
    /// The object.
    pub key: ObjectKey,
    /// The refusal.
    pub refusal: Refusal,
}

/// One object.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ObjectStatus {
    /// Identity.
    pub key: ObjectKey,
    /// What the last plan did with it (the verb's word).
    pub action: String,
    /// Ready, and why not.
    pub health: Health,
    /// Fields that drift now.
    pub drift: Vec<Difference>,
    /// Fields that admission sets otherwise than Git says; they are not fought.
    pub overridden: Vec<Difference>,
    /// Fields that differ and that an ignore rule hides.
    pub ignored: Vec<String>,
    /// What the action meant, or of a refusal would have meant, to Redis.
    pub consequence: Consequence,
}

/// Readiness of one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Health {
    /// It is what its spec says.
    Current,
    /// It is getting there.
    InProgress {
        /// What is missing.
        message: String,
    },
    /// It will not get there by itself.
    Failed {
        /// Why.
        message: String,
    },
    /// It is not there.
    Missing,
}

/// One drift finding, for the history.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DriftRecord {
    /// When it was found.
    pub found: Timestamp,
    /// The object.
    pub key: ObjectKey,
    /// Its fields.
    pub differences: Vec<Difference>,
    /// How it ended: `corrected`, `reported`, `gone`; `None` while it lasts.
    pub ended: Option<String>,
}

/// Redis of one environment.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RedisStatus {
    /// Pods the workload asks for.
    pub desired: u32,
    /// By pod name.
    pub pods: BTreeMap<String, RedisPod>,
}

/// One Redis server as probed.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RedisPod {
    /// It answered with the right password.
    pub up: bool,
    /// Why not.
    pub error: Option<String>,
    /// When it was last asked.
    pub probed: Option<Timestamp>,
    /// What it said.
    pub info: Option<RedisInfo>,
}

/// The parts of `INFO` and `ROLE` that health and metrics use; see
/// <https://redis.io/docs/latest/commands/info/>.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RedisInfo {
    /// `redis_version`, with `valkey_version` where the server says so.
    pub version: String,
    /// `master` or `slave`.
    pub role: String,
    /// `maxmemory_policy`.
    pub maxmemory_policy: String,
    /// `run_id`.
    pub run_id: String,
    /// Keys in all databases.
    pub keys: u64,
    /// Every numeric field of `INFO` by its own name (bytes, seconds, counts);
    /// `ok`/`up`/`yes` are 1, `err`/`down`/`no` are 0.
    pub fields: BTreeMap<String, f64>,
    /// For a replica, the primary's address.
    pub master_host: Option<String>,
    /// For a replica, the primary's port.
    pub master_port: Option<u16>,
}

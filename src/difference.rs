//! A difference between Git and the cluster, in the field's words.
//!
//! Values are masked where they belong to a Secret, so a difference can be
//! logged, shown and stored as it is.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What kind of difference a field shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftClass {
    /// Git states a value; the cluster holds another.
    Changed,
    /// Git states the object or field; the cluster has none.
    Missing,
    /// Ours once, no longer in Git, still in the cluster.
    Extra,
    /// Set by another manager; Git does not state it.
    Undeclared,
    /// Another manager co-owns a field we state or once stated.
    Foreign,
    /// Admission changes what Git says; it is shown, not fought.
    Overridden,
}

impl DriftClass {
    /// Every class, in the order of the metrics documentation.
    pub const ALL: [Self; 6] =
        [Self::Changed, Self::Missing, Self::Extra, Self::Undeclared, Self::Foreign, Self::Overridden];

    /// The word used in metrics and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Undeclared => "undeclared",
            Self::Foreign => "foreign",
            Self::Overridden => "overridden",
        }
    }
}

impl fmt::Display for DriftClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One differing field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Path as a person writes it: `spec.template.spec.containers[redis].image`.
    /// Empty for the whole object.
    pub path: String,
    /// Its class.
    pub class: DriftClass,
    /// The value in the cluster; `None` when absent. Masked for secrets.
    pub live: Option<Value>,
    /// The value Git wants; `None` when Git states none. Masked for secrets.
    pub desired: Option<Value>,
    /// Who wrote the live value, when `managedFields` tells.
    pub writer: Option<Writer>,
}

/// Who wrote a field, from `managedFields`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writer {
    /// The field manager, such as `kubectl-edit`.
    pub manager: String,
    /// `Apply` or `Update`.
    pub operation: String,
    /// The subresource, such as `scale`; empty for the object itself.
    pub subresource: String,
    /// When that manager last wrote (RFC 3339), when the server says.
    pub time: Option<String>,
}

impl fmt::Display for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.manager)?;
        if !self.subresource.is_empty() {
            write!(f, " ({})", self.subresource)?;
        }
        if let Some(time) = &self.time {
            write!(f, " at {time}")?;
        }
        Ok(())
    }
}

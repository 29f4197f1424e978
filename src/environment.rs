//! One environment: a branch of a repository that is kept running as one
//! release of a chart in one namespace.
//!
//! Everything here is resolved and valid: defaults are merged in, names were
//! checked when they were parsed. Where an environment came from is the
//! configuration's business.

use std::{fmt, time::Duration};

use serde::{Serialize, Serializer};

use crate::ignore::IgnoreRule;

/// A text that breaks the rule of what it should name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {rule}")]
pub struct InvalidName {
    /// The text as it was given.
    pub text: String,
    /// What it should have been, beginning with an article.
    pub rule: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $valid:path, $rule:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(String);

        impl $type {
            /// What such a name looks like, beginning with an article.
            pub const RULE: &'static str = $rule;

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $type {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                if $valid(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(InvalidName { text: text.to_owned(), rule: Self::RULE })
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    };
}

name!(
    /// The name of an environment: unique in the configuration, a label value of every metric.
    EnvironmentName,
    is_dns_label,
    "a DNS label (lower-case letters, digits and '-', at most 63, beginning and ending with a letter or digit)"
);

name!(
    /// A Kubernetes namespace.
    Namespace,
    is_dns_label,
    "a namespace (a DNS label: lower-case letters, digits and '-', at most 63, beginning and ending with a letter or digit)"
);

name!(
    /// The name of a release, as Helm limits it.
    ReleaseName,
    is_release_name,
    "a release name (a DNS label of at most 53 characters)"
);

name!(
    /// A branch without `refs/heads/`, by the rules of `git check-ref-format --branch`.
    BranchName,
    is_branch_name,
    "a branch name (as in 'env/dev', without 'refs/heads/'; no spaces, '..', '~', '^', ':', '?', '*', '[' or '\\')"
);

name!(
    /// A path inside a repository: relative, parts separated by `/`, none of them `.` or `..`.
    TreePath,
    is_tree_path,
    "a path inside the repository (relative, separated by '/', without '.' or '..' parts and without a '/' at the end)"
);

fn is_dns_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

fn is_release_name(text: &str) -> bool {
    text.len() <= 53 && is_dns_label(text)
}

fn is_branch_name(text: &str) -> bool {
    let forbidden = |c: char| c.is_ascii_control() || " ~^:?*[\\".contains(c);
    let part = |p: &str| !p.is_empty() && !p.starts_with('.') && !p.ends_with(".lock");
    !text.contains(forbidden)
        && !text.contains("..")
        && !text.contains("@{")
        && !text.starts_with('-')
        && !text.starts_with("refs/")
        && !text.ends_with('.')
        && !matches!(text, "@" | "HEAD")
        && text.len() <= 255
        && text.split('/').all(part)
}

fn is_tree_path(text: &str) -> bool {
    !text.contains(['\\', '\0']) && text.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// What happens when the live state differs from what Git last had applied.
/// Both policies apply new commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DriftPolicy {
    /// Drift is undone.
    Correct,
    /// Drift is reported; no object whose desired state is unchanged is touched.
    Alert,
}

impl fmt::Display for DriftPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Correct => "correct",
            Self::Alert => "alert",
        })
    }
}

/// How long the stages of one pass may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Rendering the chart.
    pub render: Duration,
    /// All requests of one apply together.
    pub apply: Duration,
    /// From the apply until every object is ready; after it the environment
    /// counts as not ready, and nothing is undone.
    pub ready: Duration,
}

/// One environment, fully resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Its name.
    pub name: EnvironmentName,
    /// The branch that says what runs.
    pub branch: BranchName,
    /// The chart's folder in the repository.
    pub chart: TreePath,
    /// The values files in the repository, later ones over earlier ones.
    pub values: Vec<TreePath>,
    /// Where the release lives.
    pub namespace: Namespace,
    /// `.Release.Name`.
    pub release: ReleaseName,
    /// What to do about drift.
    pub drift: DriftPolicy,
    /// Whether objects that left Git are deleted.
    pub prune: bool,
    /// Deadlines.
    pub timeouts: Timeouts,
    /// The period of the full comparison behind the watches.
    pub resync: Duration,
    /// Data and password are of no worth: a password in Git is accepted.
    pub throw_away: bool,
    /// Fields that others may set.
    pub ignore: Vec<IgnoreRule>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branch_names_follow_git() {
        for good in ["main", "env/dev", "a.b", "feature/x-1", "é"] {
            assert!(good.parse::<BranchName>().is_ok(), "{good}");
        }
        let bad = ["", "/a", "a/", "a//b", "a..b", ".a", "a/.b", "a.lock", "a b", "a~1", "a^", "a:b", "a?", "a*", "a["];
        for bad in bad.into_iter().chain(["a\\b", "a@{b", "@", "HEAD", "-a", "a.", "refs/heads/main", "a\tb"]) {
            assert!(bad.parse::<BranchName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn paths_stay_inside_the_tree() {
        for good in ["charts/redis", "values.yaml", "..a/b"] {
            assert!(good.parse::<TreePath>().is_ok(), "{good}");
        }
        for bad in ["", "/etc/passwd", "../x", "a/../b", "./a", "a/", "a//b", "a\\b", "a/."] {
            assert!(bad.parse::<TreePath>().is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_dns_labels() {
        assert!("project-template-dev".parse::<Namespace>().is_ok());
        for bad in ["", "Dev", "-a", "a-", "a_b", "a.b", &"a".repeat(64)] {
            assert!(bad.parse::<EnvironmentName>().is_err(), "{bad}");
        }
        assert!("a".repeat(54).parse::<ReleaseName>().is_err(), "Helm stops at 53");
    }
}

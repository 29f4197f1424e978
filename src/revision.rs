//! A Git commit, by its full object id.
//!
//! Parsed once at the edge; everything past it carries a `Revision`, never a
//! string that might be a branch name or an abbreviation.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The full hexadecimal object id of a commit (40 digits, or 64 with SHA-256).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Revision(String);

/// The text is not a full commit id.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a full commit id (40 or 64 lower-case hexadecimal digits)")]
pub struct InvalidRevision(String);

impl Revision {
    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve digits, as a person reads them.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl TryFrom<String> for Revision {
    type Error = InvalidRevision;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let digits = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if matches!(text.len(), 40 | 64) && text.bytes().all(digits) {
            Ok(Self(text))
        } else {
            Err(InvalidRevision(text))
        }
    }
}

impl From<Revision> for String {
    fn from(revision: Revision) -> Self {
        revision.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_full_ids_are_revisions() {
        let id = "0123456789abcdef0123456789abcdef01234567";
        let revision = Revision::try_from(id.to_owned()).expect("a full id");
        assert_eq!(revision.short(), "0123456789ab");
        for wrong in ["main", "0123456", &id.to_uppercase(), ""] {
            assert!(Revision::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}

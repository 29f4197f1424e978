//! Semantic versions and constraints, as the Go library Masterminds/semver
//! reads and compares them.

use std::{cmp::Ordering, fmt, sync::LazyLock};

use regex::Regex;

/// A version such as `1.2.3-rc.1+build`; missing parts are 0.
#[derive(Clone, Debug)]
pub struct Version {
    /// Major, minor and patch.
    pub numbers: [u64; 3],
    /// What follows the minus.
    pub pre: String,
    /// What follows the plus; no part of comparisons.
    pub metadata: String,
    /// As it was written.
    pub original: String,
}

/// The text is no version, or no constraint on versions.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SemverError {
    /// Not a version.
    #[error("{0:?} is not a semantic version")]
    Version(String),
    /// Not a constraint.
    #[error("{0:?} is not a version constraint")]
    Constraint(String),
}

const LOOSE: &str =
    r"v?([0-9]+)(\.[0-9]+)?(\.[0-9]+)?(-([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?(\+([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?";
const OPERATORS: &str = r"=||!=|>|<|>=|=>|<=|=<|~|~>|\^";
const PATTERN: &str = r"v?([0-9|x|X|\*]+)(\.[0-9|x|X|\*]+)?(\.[0-9|x|X|\*]+)?(-([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?(\+([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?";

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the patterns are constants that a test compiles")
}

static VERSION: LazyLock<Regex> = LazyLock::new(|| regex(&format!("^{LOOSE}$")));
static ONE: LazyLock<Regex> = LazyLock::new(|| regex(&format!(r"^\s*({OPERATORS})\s*({PATTERN})\s*$")));
static RANGE: LazyLock<Regex> = LazyLock::new(|| regex(&format!(r"\s*({PATTERN})\s+-\s+({PATTERN})\s*")));
static FIND: LazyLock<Regex> = LazyLock::new(|| regex(&format!(r"({OPERATORS})\s*({PATTERN})")));
static VALID: LazyLock<Regex> = LazyLock::new(|| {
    regex(&format!(r"^(\s*({OPERATORS})\s*({PATTERN})\s*)((?:\s+|,\s*)({OPERATORS})\s*({PATTERN})\s*)*$"))
});

impl Version {
    /// Reads a version; a leading `v` and missing parts are allowed.
    pub fn parse(text: &str) -> Result<Self, SemverError> {
        let bad = || SemverError::Version(text.to_owned());
        let found = VERSION.captures(text).ok_or_else(bad)?;
        let part = |index: usize| found.get(index).map_or("", |m| m.as_str());
        let number = |index: usize| match part(index).trim_start_matches('.') {
            "" => Ok(0),
            digits => digits.parse::<u64>().map_err(|_| bad()),
        };
        let pre = part(5).to_owned();
        let leading_zero = |id: &str| id.len() > 1 && id.starts_with('0') && id.bytes().all(|b| b.is_ascii_digit());
        if pre.split('.').any(leading_zero) {
            return Err(bad());
        }
        Ok(Self {
            numbers: [number(1)?, number(2)?, number(3)?],
            pre,
            metadata: part(8).to_owned(),
            original: text.to_owned(),
        })
    }

    /// Precedence by the rules of semver 2; metadata does not count.
    pub fn compare(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers).then_with(|| compare_pre(&self.pre, &other.pre))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(f, "{major}.{minor}.{patch}")?;
        if !self.pre.is_empty() {
            write!(f, "-{}", self.pre)?;
        }
        if !self.metadata.is_empty() {
            write!(f, "+{}", self.metadata)?;
        }
        Ok(())
    }
}

fn compare_pre(a: &str, b: &str) -> Ordering {
    match (a.is_empty(), b.is_empty()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        _ => {}
    }
    let (mut left, mut right) = (a.split('.'), b.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => match (a.parse::<u64>(), b.parse::<u64>()) {
                (Ok(a), Ok(b)) => a.cmp(&b),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => a.cmp(b),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// Conditions on a version: alternatives of conditions that all must hold.
#[derive(Clone, Debug)]
pub struct Constraint {
    alternatives: Vec<Vec<Condition>>,
}

#[derive(Clone, Debug)]
struct Condition {
    operator: String,
    version: Version,
    minor_open: bool,
    patch_open: bool,
    open: bool,
}

impl Constraint {
    /// Reads a constraint such as `>=1.2, <2 || ^3.1.x`.
    pub fn parse(text: &str) -> Result<Self, SemverError> {
        let mut rewritten = text.to_owned();
        for found in RANGE.captures_iter(text) {
            let part = |index: usize| found.get(index).map_or("", |m| m.as_str());
            let range = format!(">= {}, <= {} ", part(1), part(11));
            rewritten = rewritten.replacen(part(0), &range, 1);
        }
        let mut alternatives = Vec::new();
        for alternative in rewritten.split("||") {
            if !VALID.is_match(alternative) {
                return Err(SemverError::Constraint(text.to_owned()));
            }
            let conditions: Result<Vec<_>, _> =
                FIND.find_iter(alternative).map(|m| Condition::parse(m.as_str(), text)).collect();
            alternatives.push(conditions?);
        }
        Ok(Self { alternatives })
    }

    /// Whether the version satisfies it. Pre-releases count only where the
    /// constraint names one.
    pub fn allows(&self, version: &Version) -> bool {
        self.alternatives.iter().any(|conditions| {
            let with_pre = conditions.iter().any(|c| !c.version.pre.is_empty());
            (version.pre.is_empty() || with_pre) && conditions.iter().all(|c| c.allows(version))
        })
    }
}

impl Condition {
    fn parse(text: &str, whole: &str) -> Result<Self, SemverError> {
        let bad = || SemverError::Constraint(whole.to_owned());
        let found = ONE.captures(text).ok_or_else(bad)?;
        let part = |index: usize| found.get(index).map_or("", |m| m.as_str());
        let any = |part: &str| matches!(part.trim_start_matches('.'), "" | "x" | "X" | "*");
        let (major, minor, patch, pre) = (part(3), part(4), part(5), part(6));
        let mut condition = Self {
            operator: part(1).to_owned(),
            version: Version::parse("0").map_err(|_| bad())?,
            minor_open: false,
            patch_open: false,
            open: true,
        };
        let version = if any(major) {
            format!("0.0.0{pre}")
        } else if any(minor) {
            condition.minor_open = true;
            format!("{major}.0.0{pre}")
        } else if any(patch) {
            condition.patch_open = true;
            format!("{major}{minor}.0{pre}")
        } else {
            condition.open = false;
            part(2).to_owned()
        };
        condition.version = Version::parse(&version).map_err(|_| bad())?;
        Ok(condition)
    }

    fn allows(&self, v: &Version) -> bool {
        let order = v.compare(&self.version);
        match self.operator.as_str() {
            "!=" => self.not_equal(v),
            ">" => self.greater(v),
            "<" => order == Ordering::Less,
            ">=" | "=>" => order != Ordering::Less,
            "<=" | "=<" => self.less_or_equal(v),
            "~" | "~>" => self.tilde(v),
            "^" => self.caret(v),
            _ if self.open => self.tilde(v),
            _ => order == Ordering::Equal,
        }
    }

    fn not_equal(&self, v: &Version) -> bool {
        let [major, minor, patch] = self.version.numbers;
        if self.open {
            if major != v.numbers[0] {
                return true;
            }
            if minor != v.numbers[1] && !self.minor_open {
                return true;
            }
            if self.minor_open {
                return false;
            }
            if patch != v.numbers[2] && !self.patch_open {
                return true;
            }
            if self.patch_open {
                return compare_pre(&v.pre, &self.version.pre) != Ordering::Equal;
            }
        }
        v.compare(&self.version) != Ordering::Equal
    }

    fn greater(&self, v: &Version) -> bool {
        let [major, minor, _] = self.version.numbers;
        if self.open && v.numbers[0] != major {
            return v.numbers[0] > major;
        }
        if self.open && self.minor_open {
            return false;
        }
        if self.open && self.patch_open {
            return v.numbers[1] > minor;
        }
        v.compare(&self.version) == Ordering::Greater
    }

    fn less_or_equal(&self, v: &Version) -> bool {
        let [major, minor, _] = self.version.numbers;
        if !self.open {
            return v.compare(&self.version) != Ordering::Greater;
        }
        v.numbers[0] <= major && !(v.numbers[0] == major && v.numbers[1] > minor && !self.minor_open)
    }

    fn tilde(&self, v: &Version) -> bool {
        if v.compare(&self.version) == Ordering::Less {
            return false;
        }
        if self.version.numbers == [0; 3] && !self.minor_open && !self.patch_open {
            return true;
        }
        v.numbers[0] == self.version.numbers[0] && (v.numbers[1] == self.version.numbers[1] || self.minor_open)
    }

    fn caret(&self, v: &Version) -> bool {
        let [major, minor, patch] = self.version.numbers;
        if v.compare(&self.version) == Ordering::Less {
            return false;
        }
        if major > 0 || self.minor_open {
            return v.numbers[0] == major;
        }
        if v.numbers[0] > 0 {
            return false;
        }
        if minor > 0 || self.patch_open {
            return v.numbers[1] == minor;
        }
        v.numbers[1] == 0 && v.numbers[2] == patch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints_select_versions() {
        for (constraint, version, expected) in [
            (">=1.2.3", "1.2.3", true),
            ("^1.2", "1.9.0", true),
            ("^1.2", "2.0.0", false),
            ("~1.2.3", "1.2.9", true),
            ("1.x", "1.5.0", true),
            (">=1.20-0", "v1.36.0-alpha.1", true),
            (">=1.20", "v1.36.0-alpha.1", false),
            ("1.2 - 1.4", "1.4.0", true),
            (">1 || <0.5", "0.4.0", true),
        ] {
            let constraint = Constraint::parse(constraint).expect("a constraint");
            assert_eq!(constraint.allows(&Version::parse(version).expect("a version")), expected, "{version}");
        }
        assert!(Constraint::parse("nope").is_err());
    }
}

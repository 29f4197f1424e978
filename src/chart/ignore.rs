//! `.helmignore`, with Helm's own reading of it: rules are tried in order, and
//! a negative rule ignores whatever it does not match.

/// Rules for the files of one chart.
pub(super) struct Rules(Vec<Rule>);

struct Rule {
    pattern: String,
    negate: bool,
    only_folders: bool,
    rooted: bool,
}

impl Rules {
    /// Reads the rules; the error names the one that is not supported.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut rules = Vec::new();
        for line in text.trim_start_matches('\u{feff}').lines() {
            let rule = line.trim();
            if rule.is_empty() || rule.starts_with('#') {
                continue;
            }
            if rule.contains("**") {
                return Err(format!("{rule:?}: double-star (**) is not supported in .helmignore"));
            }
            rules.push(Rule::new(rule));
        }
        rules.push(Rule::new("templates/.?*"));
        Ok(Self(rules))
    }

    /// Whether the file, or a folder above it, is ignored.
    pub(super) fn ignores(&self, path: &str) -> bool {
        let folders = path.match_indices('/').map(|(at, _)| &path[..at]);
        folders.into_iter().any(|folder| self.matches(folder, true)) || self.matches(path, false)
    }

    fn matches(&self, path: &str, is_folder: bool) -> bool {
        for rule in &self.0 {
            if rule.negate {
                if (rule.only_folders && !is_folder) || !rule.matches(path) {
                    return true;
                }
            } else if (is_folder || !rule.only_folders) && rule.matches(path) {
                return true;
            }
        }
        false
    }
}

impl Rule {
    fn new(text: &str) -> Self {
        let (negate, text) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
        let (only_folders, text) = text.strip_suffix('/').map_or((false, text), |rest| (true, rest));
        let (rooted, text) = text.strip_prefix('/').map_or((text.contains('/'), text), |rest| (true, rest));
        Self { pattern: text.to_owned(), negate, only_folders, rooted }
    }

    fn matches(&self, path: &str) -> bool {
        let subject = if self.rooted { path } else { path.rsplit('/').next().unwrap_or(path) };
        path_match(&self.pattern, subject)
    }
}

/// Go's `filepath.Match`: `*` and `?` stop at slashes. Malformed patterns match
/// nothing.
pub(crate) fn path_match(pattern: &str, subject: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let subject: Vec<char> = subject.chars().collect();
    // The last star is retried with one more character; earlier ones need not be.
    let (mut p, mut s) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if p < pattern.len() && pattern[p] == '*' {
            retry = Some((p + 1, s));
            p += 1;
            continue;
        }
        if p == pattern.len() && s == subject.len() {
            return true;
        }
        match single(&pattern, p, subject.get(s).copied()) {
            Some(next) => {
                p = next;
                s += 1;
            }
            None => match retry {
                Some((after, from)) if from < subject.len() && subject[from] != '/' => {
                    retry = Some((after, from + 1));
                    p = after;
                    s = from + 1;
                }
                _ => return false,
            },
        }
    }
}

/// Matches one character; the position in the pattern after it.
fn single(pattern: &[char], p: usize, c: Option<char>) -> Option<usize> {
    let c = c?;
    match pattern.get(p)? {
        '?' => (c != '/').then_some(p + 1),
        '\\' => (*pattern.get(p + 1)? == c).then_some(p + 2),
        '[' => {
            let mut at = p + 1;
            let negate = pattern.get(at) == Some(&'^');
            at += usize::from(negate);
            let mut found = false;
            let mut first = true;
            while first || pattern.get(at)? != &']' {
                first = false;
                at += usize::from(pattern[at] == '\\');
                let low = *pattern.get(at)?;
                at += 1;
                let mut high = low;
                if pattern.get(at) == Some(&'-') {
                    at += 1 + usize::from(pattern.get(at + 1) == Some(&'\\'));
                    high = *pattern.get(at)?;
                    at += 1;
                }
                found |= (low..=high).contains(&c);
            }
            (found != negate && c != '/').then_some(at + 1)
        }
        literal => (*literal == c).then_some(p + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_match_as_helm_does() {
        let rules = Rules::parse("*.tmp\n/top.txt\nskip/\n").expect("valid");
        assert!(rules.ignores("a/b.tmp") && rules.ignores("top.txt") && rules.ignores("skip/x"));
        assert!(rules.ignores("templates/.hidden"));
        assert!(!rules.ignores("a/top.txt") && !rules.ignores("skip") && !rules.ignores("values.yaml"));
        assert!(Rules::parse("a/**").is_err());
        let negative = Rules::parse("!keep").expect("valid");
        assert!(negative.ignores("Chart.yaml"));
    }

    #[test]
    fn globs_stop_at_slashes() {
        assert!(path_match("templates/*.yaml", "templates/a.yaml"));
        assert!(!path_match("templates/*", "templates/a/b"));
        assert!(path_match("[a-c]?[^x]", "byz") && !path_match("[a-c]", "d"));
    }
}

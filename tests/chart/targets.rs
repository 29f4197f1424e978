//! What the documents point at exists: `value`, `test`, `case`, `file`, `make` and
//! verbs of the program in backticks, and links with their headings.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use regex::Regex;
use serde_json::Value;

use super::{
    rendering::{PROGRAM, root},
    yaml,
};

const DOCUMENTS: [&str; 6] = ["seed", "corrections", "connect", "operations", "production-checklist", "failover"];

/// The text of every file below `folder` whose name ends so.
fn sources(folder: &Path, extension: &str, text: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, extension, text);
        } else if path.extension().is_some_and(|found| found == extension) {
            *text += &fs::read_to_string(&path).expect("text");
        }
    }
}

/// A heading as the anchor that a link names.
fn anchors(document: &str) -> BTreeSet<String> {
    let headings = document.lines().filter_map(|line| line.strip_prefix('#'));
    let anchor = |heading: &str| -> String {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        words
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect()
    };
    headings.map(anchor).collect()
}

/// What the documents may point at.
struct Targets {
    values: Value,
    tests: String,
    cases: String,
    makefile: String,
    verbs: String,
}

impl Targets {
    fn read() -> Self {
        let (mut tests, mut cases) = (String::new(), String::new());
        sources(&root().join("tests"), "rs", &mut tests);
        sources(&root().join("tests/chart"), "sh", &mut cases);
        let help = Command::new(PROGRAM).arg("--help").output().expect("runs");
        Self {
            values: yaml("charts/redis/values.yaml"),
            tests,
            cases,
            makefile: fs::read_to_string(root().join("Makefile")).expect("the Makefile"),
            verbs: String::from_utf8(help.stdout).expect("text"),
        }
    }

    /// Whether the target is there; `None` where the words are no target.
    fn has(&self, kind: &str, name: &str) -> Option<bool> {
        Some(match kind {
            "value" => self.values.pointer(&format!("/{}", name.replace('.', "/"))).is_some(),
            "test" => self.tests.contains(&format!("fn {name}()")),
            "case" => self.cases.lines().any(|line| line == format!("begin {name}")),
            "file" => root().join(name).exists(),
            "make" => self
                .makefile
                .lines()
                .any(|line| line.split(':').next().is_some_and(|names| names.split(' ').any(|found| found == name))),
            "redis-gitops" => self.verbs.lines().any(|line| line.trim_start().starts_with(&format!("{name} "))),
            _ => return None,
        })
    }
}

#[test]
fn what_the_documents_point_at_exists() {
    let targets = Targets::read();
    let token = Regex::new("`(value|test|case|file|make|redis-gitops) ([^ `]+)`").expect("a pattern");
    let link = Regex::new(r"\]\(([^)#: ]*)(?:#([^) ]*))?\)").expect("a pattern");
    let mut missing = Vec::new();
    for name in DOCUMENTS {
        let path = root().join("docs").join(name).with_extension("md");
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for found in token.captures_iter(&text) {
            if targets.has(&found[1], &found[2]) != Some(true) {
                missing.push(format!("{name}: {}", &found[0]));
            }
        }
        for found in link.captures_iter(&text) {
            let to: PathBuf = if found[1].is_empty() { path.clone() } else { root().join("docs").join(&found[1]) };
            let there = fs::read_to_string(&to).ok();
            let heading = found
                .get(2)
                .is_none_or(|anchor| there.as_deref().is_some_and(|text| anchors(text).contains(anchor.as_str())));
            if there.is_none() || !heading {
                missing.push(format!("{name}: {}", &found[0]));
            }
        }
    }
    assert!(missing.is_empty(), "these lead nowhere:\n{}", missing.join("\n"));
}

#[test]
fn every_statement_of_the_write_up_has_a_target() {
    let text = fs::read_to_string(root().join("docs/seed.md")).expect("the document");
    let rows: Vec<_> =
        text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| statement |")).collect();
    assert!(rows.len() >= 55, "only {} statements", rows.len());
    for row in rows {
        let kept = row.split(" | ").nth(1).expect("a second column");
        let targets = ["`value ", "`test ", "`case ", "`file ", "]("];
        assert!(targets.iter().any(|target| kept.contains(target)), "nothing keeps: {row}");
    }
}

//! `gitops.yaml` beside an environment's last values file: what a person tells
//! the daemon in Git, for one change. It is read from the commit it concerns, so
//! it passes with that commit.

use std::path::Path;

use super::{
    ConfigError,
    decode::{Decoder, Rejection, Section},
    node,
};
use crate::revision::Revision;

/// The instructions of one commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instructions {
    /// `prune.confirm`: the commit that is applied now and from which workloads,
    /// or many objects, may be deleted.
    pub prune_confirm: Option<Revision>,
}

impl Instructions {
    /// Reads `text` as the content of `file`.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigError> {
        let mut decoder = Decoder::new(file);
        let mut instructions = Self::default();
        match node::parse(text) {
            Ok(root) => {
                let mut top = Section::new(&mut decoder, &root, String::new());
                let mut prune = top.section(&mut decoder, "prune");
                let confirm = prune.optional(&mut decoder, "confirm", revision);
                instructions.prune_confirm = confirm.map(|confirm| confirm.value);
                prune.finish(&mut decoder);
                top.finish(&mut decoder);
            }
            Err(error) => {
                decoder.report(error.at, "", Rejection::new(error.message, "correct the YAML at this place"));
            }
        }
        let problems = decoder.into_problems();
        if problems.is_empty() { Ok(instructions) } else { Err(ConfigError::Invalid { problems }) }
    }
}

fn revision(text: &str, _: bool) -> Result<Revision, Rejection> {
    let remedy = "write the whole id of the commit that is applied now, as `redis-gitops status` and the page show it";
    Revision::try_from(text.to_owned()).map_err(|error| Rejection::new(error.to_string(), remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_a_whole_commit_id() {
        let id = "a".repeat(40);
        let file = Path::new("environments/dev/gitops.yaml");
        let read = Instructions::parse(&format!("prune:\n  confirm: {id}\n"), file).expect("valid");
        assert_eq!(read.prune_confirm.map(|r| r.to_string()), Some(id));
        assert_eq!(Instructions::parse("", file).expect("nothing is said"), Instructions::default());
        for (wrong, place) in
            [("prune:\n  confirm: yes\n", "gitops.yaml:2:12"), ("prun:\n  confirm: x\n", "gitops.yaml:1:1")]
        {
            let error = Instructions::parse(wrong, file).expect_err(wrong).to_string();
            assert!(error.contains(place), "{error}");
        }
    }
}

//! Where a verb takes an environment's files from: its branch, or a folder.

use std::{path::PathBuf, sync::Arc};

use super::{CliError, folder::Folder};
use crate::{
    config::Config,
    environment::Environment,
    git::{BranchTip, Mirror},
    revision::Revision,
    snapshot::Snapshot,
};

/// The files to read.
#[derive(Debug, clap::Args)]
pub(super) struct Source {
    /// Read this folder (such as a checkout with changes) instead of the
    /// environment's branch.
    #[arg(long = "source", value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// A snapshot, with the mirror behind it for as long as it is read.
pub(super) struct Files {
    pub snapshot: Snapshot,
    _mirror: Option<(Mirror, tempfile::TempDir)>,
}

impl Source {
    /// The files of the environment. The branch is fetched into a mirror of its
    /// own, so a daemon on the same machine is not disturbed.
    pub(super) async fn files(&self, config: &Config, environment: &Environment) -> Result<Files, CliError> {
        if let Some(folder) = &self.folder {
            let revision = Revision::try_from("0".repeat(40)).expect("forty digits are a revision");
            let snapshot = Snapshot { revision, files: Arc::new(Folder::new(folder.clone())) };
            return Ok(Files { snapshot, _mirror: None });
        }
        let scratch = tempfile::tempdir().map_err(|cause| CliError::Io { what: "make a temporary folder", cause })?;
        let mirror = Mirror::open(config.repository.clone(), scratch.path()).await?;
        let tips = mirror.poll(std::slice::from_ref(&environment.branch)).await?;
        match tips.branches.get(&environment.branch) {
            Some(BranchTip::At { revision, .. }) => {
                let snapshot = mirror.snapshot(revision)?;
                Ok(Files { snapshot, _mirror: Some((mirror, scratch)) })
            }
            _ => Err(CliError::NoBranch {
                url: config.repository.url.to_string(),
                branch: environment.branch.to_string(),
            }),
        }
    }
}

//! `render`: the manifests of an environment as Git states them.

use std::io::Write;

use serde_json::Value;

use super::{CliError, ConfigFile, Output, environment, mask_key, print, source::Source, yaml};
use crate::{
    diff::Redactor,
    reconcile::{Context, Unusable, desired_state},
};

/// Print the manifests of an environment as Git states them.
///
/// Exactly what the daemon would apply at the branch's tip (or from --source),
/// except that no cluster is asked: `lookup` finds nothing. Secrets are masked.
#[derive(Debug, clap::Args)]
pub struct Render {
    /// The environment.
    environment: String,
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    source: Source,
    /// Print the values of Secrets.
    #[arg(long)]
    show_secrets: bool,
    /// How to print.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

impl Render {
    pub(super) async fn run(self, out: &mut dyn Write) -> Result<u8, CliError> {
        let config = self.config.load()?;
        let environment = environment(&config, &self.environment)?;
        let files = self.source.files(&config, environment).await?;
        let desired = desired_state(environment, &files.snapshot, &Context::offline()).map_err(unusable)?;
        let secrets = desired.manifests.iter().filter(|m| m.key.kind == "Secret").map(|m| &m.body);
        let redactor = Redactor::new(&mask_key(), secrets)?;
        let bodies: Vec<Value> = desired
            .manifests
            .iter()
            .map(|manifest| if self.show_secrets { manifest.body.clone() } else { redactor.manifest(manifest) })
            .collect();
        if self.output == Output::Json {
            return print(out, &format!("{:#}\n", Value::Array(bodies))).map(|()| 0);
        }
        for (manifest, body) in desired.manifests.iter().zip(bodies) {
            print(out, &format!("---\n# Source: {}\n{}", manifest.source, yaml(&body)?))?;
        }
        Ok(0)
    }
}

pub(super) fn unusable(reason: Unusable) -> CliError {
    match reason {
        Unusable::Broken(text) | Unusable::Detached(text) | Unusable::Transient(text) => CliError::Unusable(text),
    }
}

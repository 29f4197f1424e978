//! `values`: the effective values of an environment.

use std::io::Write;

use super::{CliError, ConfigFile, Output, environment, mask_key, print, render::unusable, source::Source, yaml};
use crate::{
    diff::Redactor,
    reconcile::{effective_values, passwords_of},
    values::Values as Given,
};

/// Print the effective values of an environment: the chart's defaults under the
/// environment's files. What is named like a password is masked.
#[derive(Debug, clap::Args)]
pub struct Values {
    /// The environment.
    environment: String,
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    source: Source,
    /// Print passwords.
    #[arg(long)]
    show_secrets: bool,
    /// How to print.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

impl Values {
    pub(super) async fn run(self, out: &mut dyn Write) -> Result<u8, CliError> {
        let config = self.config.load()?;
        let environment = environment(&config, &self.environment)?;
        let files = self.source.files(&config, environment).await?;
        let mut values = effective_values(environment, &files.snapshot).map_err(unusable)?;
        if !self.show_secrets {
            let passwords = passwords_of(&Given::from_table(values.as_object().cloned().unwrap_or_default()));
            values = Redactor::new(&mask_key(), [&passwords])?.value(&values);
        }
        let text = match self.output {
            Output::Json => format!("{values:#}\n"),
            Output::Text => yaml(&values)?,
        };
        print(out, &text).map(|()| 0)
    }
}

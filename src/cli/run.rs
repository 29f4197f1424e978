//! `run`: the daemon.

use std::sync::Arc;

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::Notify,
};
use tokio_util::sync::CancellationToken;

use super::{CliError, ConfigFile, Output};
use crate::{
    app,
    telemetry::{self, LogFormat},
};

/// Run the daemon until SIGTERM or SIGINT; the write in hand is finished first.
///
/// SIGHUP makes it look at Git and the cluster at once. The configuration file is
/// watched: a good change takes effect without a restart, a bad one is reported
/// and the configuration before it stays.
#[derive(Debug, clap::Args)]
pub struct Run {
    #[command(flatten)]
    config: ConfigFile,
    /// How log lines look.
    #[arg(long, value_enum, default_value = "text")]
    log_format: Output,
    /// Which log lines: a level, or directives such as `info,redis_gitops::git=debug`.
    #[arg(long, value_name = "FILTER", env = "REDIS_GITOPS_LOG", default_value = "info")]
    log: String,
}

impl Run {
    pub(super) async fn run(self) -> Result<u8, CliError> {
        let format = match self.log_format {
            Output::Text => LogFormat::Text,
            Output::Json => LogFormat::Json,
        };
        telemetry::init(format, &self.log)?;
        let shutdown = CancellationToken::new();
        let nudge = Arc::new(Notify::new());
        let listening = |kind| signal(kind).map_err(|cause| CliError::Io { what: "listen for signals", cause });
        let (mut term, mut int, mut hup) = (
            listening(SignalKind::terminate())?,
            listening(SignalKind::interrupt())?,
            listening(SignalKind::hangup())?,
        );
        let (ending, nudging) = (shutdown.clone(), Arc::clone(&nudge));
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = term.recv() => break,
                    _ = int.recv() => break,
                    _ = hup.recv() => nudging.notify_one(),
                }
            }
            tracing::info!("stopping: the write in hand is finished first");
            ending.cancel();
        });
        app::run(&self.config.path, shutdown, nudge).await?;
        Ok(0)
    }
}

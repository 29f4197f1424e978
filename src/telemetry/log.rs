//! The form of log events: text for a person, JSON for a collector, on
//! standard error. What is logged is decided where it happens.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, util::TryInitError};

/// The form of log events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One line a person reads; coloured on a terminal.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Logging cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is not understood.
    #[error(
        "the log filter {filter:?} is not understood: {source}; write a level (error, warn, info, debug, trace) \
         or a list such as \"info,redis_gitops::git=debug\""
    )]
    Filter {
        /// As given.
        filter: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Something else in this process has already set it up.
    #[error("logging is already set up in this process: {0}")]
    AlreadySet(#[source] TryInitError),
}

/// Sends this process's log events to standard error. Called once, by the entry.
///
/// `filter` is a level, or a comma-separated list of `target=level`; see
/// [`EnvFilter`].
pub fn init(format: LogFormat, filter: &str) -> Result<(), LogError> {
    use tracing_subscriber::util::SubscriberInitExt;

    let filter = parse(filter)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).finish().try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).finish().try_init(),
    }
    .map_err(LogError::AlreadySet)
}

fn parse(filter: &str) -> Result<EnvFilter, LogError> {
    EnvFilter::builder().parse(filter).map_err(|source| LogError::Filter { filter: filter.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_is_not_understood_is_an_error_with_examples() {
        assert!(parse("info,redis_gitops::git=debug").is_ok());
        let error = parse("redis_gitops=loud").expect_err("no such level").to_string();
        assert!(error.contains("redis_gitops=loud") && error.contains("redis_gitops::git=debug"), "{error}");
    }
}

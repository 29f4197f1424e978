//! The verbs of the command line: one file each, thin. They build inputs, call
//! the library and print.
//!
//! Exit codes: 0 done (for `diff`: no difference), 1 `diff` found a difference,
//! `validate` or `lint` a mistake, 2 an error, which is told on standard error.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand, ValueEnum};

use crate::{
    config::{Config, ConfigError},
    environment::Environment,
};

mod diff;
pub mod folder;
pub mod lint;
mod render;
mod run;
mod source;
mod status;
pub mod template;
pub mod validate;
mod values;

/// What Git says is what runs: a GitOps reconciler for Redis on Kubernetes.
///
/// Each environment is a branch and its values files. The daemon (`run`) renders
/// the Redis chart for it, compares the result with the cluster by server-side
/// dry-run, applies the difference, and undoes or reports drift. The other verbs
/// show the same things without changing anything.
#[derive(Debug, Parser)]
#[command(name = "redis-gitops", version, propagate_version = true, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the daemon.
    Run(run::Run),
    /// Print the manifests of an environment as Git states them.
    Render(render::Render),
    /// Print what would change in the cluster. Exit code 0: nothing, 1: something.
    Diff(diff::Diff),
    /// Print the effective values of an environment, secrets masked.
    Values(values::Values),
    /// Print the state of a running daemon's environments.
    Status(status::Status),
    /// Check a configuration file.
    Validate(validate::Validate),
    /// Render a chart as `helm template` does.
    Template(Box<template::TemplateArgs>),
    /// Check a chart as `helm lint` does.
    Lint(Box<lint::LintArgs>),
}

/// How a verb prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Text,
    /// For scripts.
    Json,
}

/// The configuration file, for the verbs that need it.
#[derive(Debug, clap::Args)]
pub(crate) struct ConfigFile {
    /// The configuration file.
    #[arg(long = "config", value_name = "FILE", env = "REDIS_GITOPS_CONFIG", default_value = "redis-gitops.yaml")]
    path: PathBuf,
}

impl ConfigFile {
    pub(crate) fn load(&self) -> Result<Config, ConfigError> {
        Config::load(&self.path)
    }
}

/// Why a verb did not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The configuration file.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The daemon.
    #[error(transparent)]
    App(#[from] crate::app::AppError),
    /// The logs cannot be set up.
    #[error(transparent)]
    Log(#[from] crate::telemetry::LogError),
    /// No such environment.
    #[error("the configuration has no environment {name:?}; it has {known}")]
    NoEnvironment {
        /// The name given.
        name: String,
        /// The names there are.
        known: String,
    },
    /// Git.
    #[error(transparent)]
    Git(#[from] crate::git::GitError),
    /// The branch is not there.
    #[error("the repository {url} has no branch {branch}; push it, or correct `branch` of the environment")]
    NoBranch {
        /// The repository.
        url: String,
        /// The branch.
        branch: String,
    },
    /// The environment cannot be rendered.
    #[error("{0}")]
    Unusable(String),
    /// Secrets cannot be masked, so nothing is shown.
    #[error(transparent)]
    Redactor(#[from] crate::diff::RedactorError),
    /// The cluster.
    #[error(transparent)]
    Cluster(#[from] crate::cluster::ClusterError),
    /// The inventory.
    #[error(transparent)]
    Inventory(#[from] crate::cluster::InventoryError),
    /// The daemon does not answer.
    #[error("{url}: {cause}; see whether the daemon runs and listens there (`listen` in its configuration, or --url)")]
    Daemon {
        /// What was asked.
        url: String,
        /// What came of it.
        cause: String,
    },
    /// A chart.
    #[error(transparent)]
    Template(Box<template::TemplateCommandError>),
    /// The runtime or a stream.
    #[error("{what}: {cause}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// What the operating system said.
        cause: io::Error,
    },
}

/// Runs the verb; the answer is the process's exit code.
pub fn main(arguments: Arguments) -> ExitCode {
    let mut out = io::stdout().lock();
    let outcome = dispatch(arguments.verb, &mut out)
        .and_then(|code| out.flush().map(|()| code).map_err(|cause| CliError::Io { what: "print", cause }));
    match outcome {
        Ok(code) => ExitCode::from(code),
        // A reader that has seen enough (`| head`) is no error.
        Err(CliError::Io { cause, .. }) if cause.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let _unheard = writeln!(io::stderr().lock(), "error: {error}");
            ExitCode::from(2)
        }
    }
}

fn dispatch(verb: Verb, out: &mut dyn Write) -> Result<u8, CliError> {
    match verb {
        Verb::Run(verb) => block_on(verb.run()),
        Verb::Render(verb) => block_on(verb.run(out)),
        Verb::Diff(verb) => block_on(verb.run(out)),
        Verb::Values(verb) => block_on(verb.run(out)),
        Verb::Status(verb) => verb.run(out),
        Verb::Validate(verb) => match validate::run(&verb, out) {
            Ok(valid) => Ok(u8::from(!valid)),
            Err(cause) => Err(CliError::Io { what: "print", cause }),
        },
        Verb::Lint(verb) => {
            lint::run(&verb, out).map(|passed| u8::from(!passed)).map_err(|error| CliError::Template(Box::new(error)))
        }
        Verb::Template(verb) => {
            template::run(&verb, out).map(|()| 0).map_err(|error| CliError::Template(Box::new(error)))
        }
    }
}

fn block_on(work: impl Future<Output = Result<u8, CliError>>) -> Result<u8, CliError> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|cause| CliError::Io { what: "start the runtime", cause })?
        .block_on(work)
}

/// The key of one run's masks: random, so that a mask confirms no guess.
pub(crate) fn mask_key() -> [u8; 16] {
    rand::random()
}

pub(crate) fn print(out: &mut dyn Write, text: &str) -> Result<(), CliError> {
    out.write_all(text.as_bytes()).map_err(|cause| CliError::Io { what: "print", cause })
}

/// A value as YAML for people.
pub(crate) fn yaml(value: &serde_json::Value) -> Result<String, CliError> {
    serde_yaml::to_string(value).map_err(|cause| CliError::Io { what: "print as YAML", cause: io::Error::other(cause) })
}

pub(crate) fn environment<'a>(config: &'a Config, name: &str) -> Result<&'a Environment, CliError> {
    config.environments.iter().find(|environment| environment.name.as_str() == name).ok_or_else(|| {
        let known: Vec<&str> = config.environments.iter().map(|environment| environment.name.as_str()).collect();
        CliError::NoEnvironment { name: name.to_owned(), known: known.join(", ") }
    })
}

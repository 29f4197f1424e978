//! `redis-gitops validate`: reads a configuration as the daemon would, and says
//! all that is wrong with it, or what it means with every default filled in.
//!
//! Neither the repository, nor the cluster, nor a credentials file is touched.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use serde_json::{Value, json};

use super::Output;
use crate::{
    config::{Config, ConfigError, Connect, Scope, duration},
    environment::Environment,
    ignore::IgnoreRule,
    repository::Credentials,
};

/// Check a configuration file, and show what it means with every default filled in
///
/// Exits with 0 when the file is valid and with 1 when it is not. Nothing is
/// contacted: neither the repository nor the cluster.
#[derive(clap::Args, Debug)]
pub struct Validate {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "REDIS_GITOPS_CONFIG", default_value = "redis-gitops.yaml")]
    pub config: PathBuf,
    /// How to print.
    #[arg(long, value_enum, default_value = "text")]
    pub output: Output,
}

/// Checks the file and writes the result to `out`; gives whether the file is valid.
pub fn run(args: &Validate, out: &mut dyn Write) -> io::Result<bool> {
    let loaded = Config::load(&args.config);
    match (&loaded, args.output) {
        (Ok(config), Output::Text) => {
            writeln!(out, "{} is valid.\n", args.config.display())?;
            table(config, out)?;
        }
        (Err(error), Output::Text) => writeln!(out, "{error}")?,
        (Ok(config), Output::Json) => writeln!(out, "{:#}", effective(config))?,
        (Err(error), Output::Json) => writeln!(out, "{:#}", problems(error))?,
    }
    Ok(loaded.is_ok())
}

fn table(config: &Config, out: &mut dyn Write) -> io::Result<()> {
    let repository = &config.repository;
    let (interval, timeout) = (duration::format(repository.interval), duration::format(repository.timeout));
    writeln!(out, "Repository  {}, polled every {interval} within {timeout}", repository.url)?;
    writeln!(out, "Listening   {}", config.listen)?;
    writeln!(out, "Data        {}\n", config.data_dir.display())?;
    let mut rows = vec![
        ["ENVIRONMENT", "BRANCH", "NAMESPACE", "RELEASE", "DRIFT", "PRUNE", "CHART AND VALUES"].map(str::to_owned),
    ];
    rows.extend(config.environments.iter().map(row));
    let widths: [usize; 7] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

fn row(environment: &Environment) -> [String; 7] {
    let throw_away = if environment.throw_away { " (throw-away)" } else { "" };
    let files = std::iter::once(&environment.chart).chain(&environment.values);
    [
        format!("{}{throw_away}", environment.name),
        environment.branch.to_string(),
        environment.namespace.to_string(),
        environment.release.to_string(),
        environment.drift.to_string(),
        if environment.prune { "yes" } else { "no" }.to_owned(),
        files.map(ToString::to_string).collect::<Vec<_>>().join(" + "),
    ]
}

/// The configuration under the keys of the file, every default filled in.
fn effective(config: &Config) -> Value {
    let repository = &config.repository;
    json!({
        "valid": true,
        "repository": {
            "url": repository.url,
            "interval": duration::format(repository.interval),
            "timeout": duration::format(repository.timeout),
            "caFile": repository.ca_file,
            "proxy": repository.proxy,
            "credentials": credentials(&repository.credentials),
        },
        "listen": config.listen,
        "dataDir": config.data_dir,
        "kubernetes": {
            "kubeconfig": config.kubernetes.kubeconfig,
            "context": config.kubernetes.context,
            "scope": match config.kubernetes.scope {
                Scope::Cluster => "cluster",
                Scope::Namespaced => "namespaced",
            },
        },
        "probe": {
            "connect": match config.probe.connect {
                Connect::Direct => "direct",
                Connect::PortForward => "portForward",
            },
            "interval": duration::format(config.probe.interval),
        },
        "environments": config.environments.iter().map(environment).collect::<Vec<_>>(),
    })
}

fn credentials(credentials: &Credentials) -> Value {
    match credentials {
        Credentials::Anonymous => Value::Null,
        Credentials::Basic { username_file, password_file } => {
            json!({ "usernameFile": username_file, "passwordFile": password_file })
        }
        Credentials::Bearer { token_file } => json!({ "bearerTokenFile": token_file }),
    }
}

fn environment(environment: &Environment) -> Value {
    json!({
        "name": environment.name,
        "branch": environment.branch,
        "chart": environment.chart,
        "values": environment.values,
        "namespace": environment.namespace,
        "release": environment.release,
        "drift": environment.drift,
        "prune": environment.prune,
        "resync": duration::format(environment.resync),
        "timeouts": {
            "render": duration::format(environment.timeouts.render),
            "apply": duration::format(environment.timeouts.apply),
            "ready": duration::format(environment.timeouts.ready),
        },
        "throwAway": environment.throw_away,
        "ignore": environment.ignore.iter().map(ignore_rule).collect::<Vec<_>>(),
    })
}

fn problems(error: &ConfigError) -> Value {
    let problems = match error {
        ConfigError::Read { file, .. } => vec![json!({ "file": file, "message": error.to_string() })],
        ConfigError::Invalid { problems } => problems
            .iter()
            .map(|problem| {
                json!({
                    "file": problem.file,
                    "line": problem.line,
                    "column": problem.column,
                    "key": problem.key,
                    "message": problem.message,
                    "remedy": problem.remedy,
                })
            })
            .collect(),
    };
    json!({ "valid": false, "problems": problems })
}

/// What is not given is null, which reads back as not given.
fn ignore_rule(rule: &IgnoreRule) -> Value {
    let fields: Vec<String> = rule.fields.iter().map(ToString::to_string).collect();
    let fields = (!fields.is_empty()).then_some(fields);
    json!({"kind": rule.kind, "name": rule.name, "fields": fields, "manager": rule.manager})
}

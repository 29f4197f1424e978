//! `status`: what a running daemon says of its environments.

use std::{io::Write, time::Duration};

use serde_json::Value;

use super::{CliError, ConfigFile, Output, print};

/// Print the state of a running daemon's environments.
///
/// Asks the daemon over HTTP at the configuration's `listen` address, or at --url.
#[derive(Debug, clap::Args)]
pub struct Status {
    #[command(flatten)]
    config: ConfigFile,
    /// The daemon's address, such as http://127.0.0.1:8080.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// How to print.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

impl Status {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<u8, CliError> {
        let base = match self.url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("http://{}", self.config.load()?.listen),
        };
        let url = format!("{base}/api/v1/status");
        let failed = |cause: String| CliError::Daemon { url: url.clone(), cause };
        let agent: ureq::Agent =
            ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(10))).build().into();
        let mut response = agent.get(&url).call().map_err(|error| failed(error.to_string()))?;
        let text = response.body_mut().read_to_string().map_err(|error| failed(error.to_string()))?;
        if self.output == Output::Json {
            print(out, &text)?;
            print(out, "\n")?;
            return Ok(0);
        }
        let status: Value = serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
        for line in table(&status) {
            print(out, &line)?;
        }
        Ok(0)
    }
}

fn table(status: &Value) -> Vec<String> {
    let text = |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or("-").to_owned();
    let mut lines = vec![format!(
        "{:<12} {:<16} {:<14} {:<10} {:<6} {:<6} {}\n",
        "ENVIRONMENT", "BRANCH", "APPLIED", "SYNC", "READY", "REDIS", "DRIFT"
    )];
    for environment in status.get("environments").and_then(Value::as_object).into_iter().flat_map(|map| map.values()) {
        let pods = environment.pointer("/redis/pods").and_then(Value::as_object);
        let up = pods.map_or(0, |pods| pods.values().filter(|pod| pod["up"] == Value::Bool(true)).count());
        let drifting = environment["objects"].as_array().map_or(0, |objects| {
            objects.iter().filter(|o| o["drift"].as_array().is_some_and(|d| !d.is_empty())).count()
        });
        let applied: String = text(environment, "/applied/revision").chars().take(12).collect();
        lines.push(format!(
            "{:<12} {:<16} {:<14} {:<10} {:<6} {:<6} {}\n",
            text(environment, "/name"),
            text(environment, "/branch"),
            applied,
            text(environment, "/sync/state"),
            if environment["ready"] == Value::Bool(true) { "yes" } else { "no" },
            format!("{up}/{}", environment["redis"]["desired"]),
            if drifting == 0 { "none".to_owned() } else { format!("{drifting} object(s)") },
        ));
        for problem in problems(environment) {
            lines.push(format!("  ! {problem}\n"));
        }
    }
    lines
}

fn problems(environment: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(message) = environment.pointer("/sync/message").and_then(Value::as_str) {
        found.push(message.to_owned());
    }
    for refused in environment.pointer("/sync/refusals").and_then(Value::as_array).into_iter().flatten() {
        let part = |pointer: &str| refused.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        found.push(format!(
            "{}/{}: {}. {}",
            part("/key/kind"),
            part("/key/name"),
            part("/refusal/message"),
            part("/refusal/remedy")
        ));
    }
    let warnings = environment["warnings"].as_array().into_iter().flatten();
    found.extend(warnings.filter_map(Value::as_str).map(str::to_owned));
    found
}

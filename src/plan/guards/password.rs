//! Passwords in Git: accepted only where data and password are of no worth.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::refusal;
use crate::{
    plan::{Policy, Refusal, workload},
    redis::PASSWORD_KEYS,
    resource::Manifest,
};

/// Passwords that charts and write-ups ship; everybody knows them.
const DEFAULTS: [&str; 8] = [
    "changeme-in-production",
    "changeme",
    "dev-redis-password",
    "redis-password",
    "password",
    "redis",
    "secret",
    "foobared",
];

/// A shorter one is within reach of guessing: a Redis server answers very many AUTHs per second.
const SHORT: usize = 16;

/// Environment variables in which images and tools look for the password.
const VARIABLES: [&str; 3] = ["REDIS_PASSWORD", "REDISCLI_AUTH", "REDIS_MASTER_PASSWORD"];

/// Refuses a password that `manifest` states in plain text. The value is never repeated.
pub(in crate::plan) fn password(policy: &Policy, manifest: &Manifest) -> Option<Refusal> {
    if policy.throw_away {
        return None;
    }
    let found = match manifest.key.kind.as_str() {
        "Secret" => in_secret(&manifest.body),
        _ => in_pods(&manifest.body),
    }?;
    Some(refusal(
        "password",
        format!("{found}, and the environment {} is not marked as throw-away", policy.environment),
        "Keep the password in a Secret of the cluster and name it in secrets.existingSecret, \
         or set throwAway: true for an environment whose data and password are of no worth.",
    ))
}

fn in_secret(secret: &Value) -> Option<String> {
    let text = |key: &str| -> Option<String> {
        let plain = secret.get("stringData").and_then(|data| data.get(key)).and_then(Value::as_str);
        plain.map(str::to_owned).or_else(|| {
            let encoded = secret.get("data")?.get(key)?.as_str()?;
            Some(
                STANDARD
                    .decode(encoded)
                    .map_or_else(|_| encoded.to_owned(), |bytes| String::from_utf8_lossy(&bytes).into_owned()),
            )
        })
    };
    PASSWORD_KEYS.iter().find_map(|key| {
        let value = text(key)?;
        let password = value.trim_end_matches('\n');
        let what = if password.is_empty() {
            "is empty".to_owned()
        } else if DEFAULTS.contains(&password) {
            "is a default that everybody knows".to_owned()
        } else if password.chars().count() < SHORT {
            format!("has fewer than {SHORT} characters and is in Git in plain text")
        } else {
            "is in Git in plain text".to_owned()
        };
        Some(format!("the Redis password under the key {key} {what}"))
    })
}

fn in_pods(object: &Value) -> Option<String> {
    let spec = workload::pod_spec(object)?;
    let lists = ["initContainers", "containers"].into_iter().filter_map(|list| spec.get(list)?.as_array());
    lists.flatten().find_map(|container| {
        let name = container.get("name").and_then(Value::as_str).unwrap_or_default();
        let variable = container.get("env").and_then(Value::as_array).into_iter().flatten().find_map(|variable| {
            let set = variable.get("value").and_then(Value::as_str).is_some_and(|value| !value.is_empty());
            variable.get("name")?.as_str().filter(|name| set && VARIABLES.contains(name))
        });
        if let Some(variable) = variable {
            return Some(format!("the container {name} has a password in plain text in the variable {variable}"));
        }
        let words = ["command", "args"].into_iter().filter_map(|list| container.get(list)?.as_array()).flatten();
        let text: Vec<_> = words.filter_map(Value::as_str).flat_map(str::split_whitespace).collect();
        let given =
            text.windows(2).any(|pair| matches!(pair[0], "--requirepass" | "--masterauth") && is_literal(pair[1]));
        given.then(|| format!("the container {name} has a password in plain text in its command"))
    })
}

/// Whether a word of a command is itself a value, not a variable, a
/// substitution, a placeholder, the next option or a line's continuation.
fn is_literal(word: &str) -> bool {
    let value = word.trim_matches(['"', '\'']);
    !value.is_empty() && !value.starts_with(['$', '-', '\\', '%', '`', '<'])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_password_from_a_file_or_a_variable_is_not_in_the_command() {
        let found = |script: &str| {
            let containers = json!([{"name": "redis", "command": ["sh", "-c", script]}]);
            in_pods(&json!({"kind": "Deployment", "spec": {"template": {"spec": {"containers": containers}}}}))
                .is_some()
        };
        for fine in [
            "exec redis-server --requirepass \"$(cat /run/secrets/redis-password)\"",
            "exec redis-server --requirepass $PASSWORD --masterauth '${PASSWORD}'",
            "redis-server --requirepass \"\" --appendonly yes",
            "redis-server --requirepass",
        ] {
            assert!(!found(fine), "{fine}");
        }
        for plain in ["redis-server --requirepass hunter2hunter2", "redis-server --masterauth \"!x\""] {
            assert!(found(plain), "{plain}");
        }
    }
}

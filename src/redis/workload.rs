//! What a workload's manifest says of the Redis in it.

use serde_json::Value;

/// The keys under which a Secret holds the Redis password, in the order of trying.
pub const PASSWORD_KEYS: [&str; 2] = ["redis-password", "redis-password-previous"];

/// Where a workload's pods get the Redis password from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordSource {
    /// The Secret's name, in the workload's namespace.
    pub secret: String,
    /// Keys of the Secret, in the order of trying.
    pub keys: Vec<String>,
}

/// How many pods `workload` asks for; 0 for what runs none that can be counted.
pub fn desired_pods(workload: &Value) -> u32 {
    let replicas = || workload.pointer("/spec/replicas").map_or(Some(1), Value::as_u64);
    match workload.get("kind").and_then(Value::as_str) {
        Some("Deployment" | "StatefulSet" | "ReplicaSet") => {
            replicas().and_then(|count| u32::try_from(count).ok()).unwrap_or(0)
        }
        Some("Pod") => 1,
        _ => 0,
    }
}

/// The Secret that holds the Redis password of `workload`: one that its pods
/// mount as a volume or read into the environment under a key of
/// [`PASSWORD_KEYS`], or else one mounted whole whose volume is named for it.
pub fn password_source(workload: &Value) -> Option<PasswordSource> {
    let spec = workload.pointer("/spec/template/spec").or_else(|| workload.get("spec"))?;
    let volumes = || spec.get("volumes").and_then(Value::as_array).into_iter().flatten();
    let selected = volumes().flat_map(secrets_of).find_map(|(secret, keys)| {
        let keys = known(keys?.iter().map(String::as_str));
        (!keys.is_empty()).then_some(PasswordSource { secret, keys })
    });
    selected.or_else(|| from_environment(spec)).or_else(|| {
        let whole = volumes().filter_map(|volume| Some((volume, whole_secret(volume)?)));
        // A volume that mounts a Secret whole does not name its keys; one that
        // speaks of auth or password is the password's.
        let (_, secret) = whole.into_iter().find(|(volume, secret)| {
            let name = volume.get("name").and_then(Value::as_str).unwrap_or_default();
            ["auth", "password", "secret"].iter().any(|word| name.contains(word) || secret.contains(word))
        })?;
        Some(PasswordSource { secret, keys: PASSWORD_KEYS.map(str::to_owned).to_vec() })
    })
}

/// The Secrets of a volume, each with the keys it selects (`None`: all).
fn secrets_of(volume: &Value) -> Vec<(String, Option<Vec<String>>)> {
    let read = |source: &Value, name: &str| {
        let items = source.get("items").and_then(Value::as_array);
        let keys = items.map(|items| {
            items.iter().filter_map(|item| Some(item.get("key")?.as_str()?.to_owned())).collect::<Vec<_>>()
        });
        Some((source.get(name)?.as_str()?.to_owned(), keys))
    };
    let direct = volume.get("secret").and_then(|source| read(source, "secretName"));
    let projected = volume.pointer("/projected/sources").and_then(Value::as_array).into_iter().flatten();
    direct.into_iter().chain(projected.filter_map(|source| read(source.get("secret")?, "name"))).collect()
}

fn whole_secret(volume: &Value) -> Option<String> {
    secrets_of(volume).into_iter().find(|(_, keys)| keys.is_none()).map(|(secret, _)| secret)
}

fn from_environment(spec: &Value) -> Option<PasswordSource> {
    let containers = spec.get("containers").and_then(Value::as_array)?;
    let references: Vec<&Value> = containers
        .iter()
        .filter_map(|container| container.get("env")?.as_array())
        .flatten()
        .filter_map(|variable| variable.pointer("/valueFrom/secretKeyRef"))
        .collect();
    let named = |reference: &&&Value| {
        reference.get("key").and_then(Value::as_str).is_some_and(|key| PASSWORD_KEYS.contains(&key))
    };
    let secret = references.iter().find(named)?.get("name")?.as_str()?;
    let keys = references
        .iter()
        .filter(|reference| reference.get("name").and_then(Value::as_str) == Some(secret))
        .filter_map(|reference| reference.get("key")?.as_str());
    Some(PasswordSource { secret: secret.to_owned(), keys: known(keys) })
}

/// The known keys among `keys`, in the order of trying.
fn known<'a>(keys: impl Iterator<Item = &'a str>) -> Vec<String> {
    let keys: Vec<_> = keys.collect();
    PASSWORD_KEYS.iter().filter(|key| keys.contains(*key)).map(|key| (*key).to_owned()).collect()
}

/// The port on which the pod's Redis listens: the container port named `redis`,
/// else the first one stated, else 6379.
pub fn port(pod: &Value) -> u16 {
    let containers = pod.pointer("/spec/containers").and_then(Value::as_array).into_iter().flatten();
    let ports: Vec<&Value> = containers.filter_map(|container| container.get("ports")?.as_array()).flatten().collect();
    let named = ports.iter().find(|port| port.get("name").and_then(Value::as_str) == Some("redis"));
    let number = named.or(ports.first()).and_then(|port| port.get("containerPort")?.as_u64());
    number.and_then(|number| u16::try_from(number).ok()).unwrap_or(6379)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn workload(spec: Value) -> Value {
        json!({"kind": "Deployment", "spec": {"template": {"spec": spec}}})
    }

    #[test]
    fn pods_are_counted_by_replicas() {
        for (object, pods) in [
            (json!({"kind": "Deployment", "spec": {}}), 1),
            (json!({"kind": "StatefulSet", "spec": {"replicas": 3}}), 3),
            (json!({"kind": "Deployment", "spec": {"replicas": 0}}), 0),
            (json!({"kind": "Service", "spec": {}}), 0),
            (json!({}), 0),
        ] {
            assert_eq!(desired_pods(&object), pods, "{object}");
        }
    }

    #[test]
    fn the_password_is_where_the_key_is_mounted() {
        let both = vec!["redis-password".to_owned(), "redis-password-previous".to_owned()];
        let source =
            |secret: &str, keys: &[String]| Some(PasswordSource { secret: secret.to_owned(), keys: keys.to_vec() });
        for (spec, expected) in [
            (
                json!({"volumes": [{"name": "tls", "secret": {"secretName": "tls", "items": [{"key": "tls.crt"}]}},
                    {"name": "auth", "secret": {"secretName": "redis-secret", "items": [{"key": "redis-password"}]}}]}),
                source("redis-secret", &both[..1]),
            ),
            (
                json!({"volumes": [{"name": "auth", "projected": {"sources": [{"secret": {"name": "p", "items":
                    [{"key": "redis-password-previous"}, {"key": "redis-password"}]}}]}}]}),
                source("p", &both),
            ),
            (
                json!({"containers": [{"env": [{"name": "REDIS_PASSWORD", "valueFrom":
                    {"secretKeyRef": {"name": "redis-secret", "key": "redis-password"}}}]}]}),
                source("redis-secret", &both[..1]),
            ),
            (
                json!({"volumes": [{"name": "tls", "secret": {"secretName": "tls"}},
                    {"name": "password", "secret": {"secretName": "mine"}}]}),
                source("mine", &both),
            ),
            (json!({"volumes": [{"name": "data", "emptyDir": {}}], "containers": [{}]}), None),
        ] {
            assert_eq!(password_source(&workload(spec.clone())), expected, "{spec}");
        }
    }
}

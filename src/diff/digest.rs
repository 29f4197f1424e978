//! Digests of objects: of what Git wants, keyed so that it tells nothing about
//! a Secret's content, and of what the cluster holds, for the comparison cache.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// The keyed digest of `value` in canonical JSON (sorted keys), as hexadecimal.
/// Without the salt it cannot be used to try out guesses of a secret.
pub fn digest(value: &Value, salt: &[u8]) -> String {
    keyed(salt, canonical(value).to_string().as_bytes())
}

/// The digest of everything a comparison of `live` reads: the object without
/// `status`, `resourceVersion`, `generation` and the times of its writers, with
/// the fields that each manager owns.
pub fn live_digest(live: &Value) -> String {
    let mut object = live.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("resourceVersion");
        metadata.remove("generation");
        for entry in metadata.get_mut("managedFields").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(entry) = entry.as_object_mut() {
                entry.remove("time");
            }
        }
        // A status writer moves with every probe of the kubelet and is never compared.
        if let Some(entries) = metadata.get_mut("managedFields").and_then(Value::as_array_mut) {
            entries.retain(|entry| entry.get("subresource").and_then(Value::as_str) != Some("status"));
        }
    }
    digest(&object, b"")
}

/// HMAC-SHA-256 (RFC 2104) as hexadecimal.
pub(super) fn keyed(key: &[u8], message: &[u8]) -> String {
    const BLOCK: usize = 64;
    let mut block = [0_u8; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::new().chain_update(block.map(|b| b ^ 0x36)).chain_update(message).finalize();
    let outer = Sha256::new().chain_update(block.map(|b| b ^ 0x5c)).chain_update(inner).finalize();
    outer.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut names: Vec<_> = fields.keys().collect();
            names.sort_unstable();
            Value::Object(names.into_iter().map(|n| (n.clone(), canonical(&fields[n]))).collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(canonical).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_key_is_hmac() {
        // RFC 4231, test case 2.
        assert_eq!(
            keyed(b"Jefe", b"what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn order_of_keys_does_not_matter_and_the_salt_does() {
        let (a, b) = (json!({"a": 1, "b": {"c": 2, "d": 3}}), json!({"b": {"d": 3, "c": 2}, "a": 1}));
        assert_eq!(digest(&a, b"salt"), digest(&b, b"salt"));
        assert_ne!(digest(&a, b"salt"), digest(&a, b"other"));
        assert_ne!(digest(&a, b"salt"), digest(&json!({"a": 1}), b"salt"));
    }

    #[test]
    fn status_and_clocks_do_not_move_the_live_digest_and_owners_do() {
        let object = |rv: &str, ready: u32, time: &str, field: &str| {
            json!({"metadata": {"name": "redis", "resourceVersion": rv, "generation": ready, "managedFields": [
                {"manager": "kubectl", "time": time, "fieldsV1": {field: {}}},
                {"manager": "kube-controller-manager", "subresource": "status", "time": time, "fieldsV1": {rv: {}}}]},
                "status": {"readyReplicas": ready}})
        };
        let base = live_digest(&object("1", 0, "a", "f:spec"));
        assert_eq!(base, live_digest(&object("2", 1, "b", "f:spec")));
        assert_ne!(base, live_digest(&object("1", 0, "a", "f:data")));
    }
}

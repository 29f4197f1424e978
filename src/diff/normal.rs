//! One value in several forms: what Git may write differently from the server
//! without meaning another thing.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::{fields::Step, redact};
use crate::resource::Manifest;

/// Fields whose values are quantities, where a bare number may stand for one.
const QUANTITIES: [&str; 9] =
    ["limits", "requests", "capacity", "hard", "storage", "sizeLimit", "divisor", "default", "defaultRequest"];

/// The manifest as it is compared and applied: a Secret's `stringData` becomes
/// `data`, which is what the server keeps; nulls, which state nothing, `status`,
/// which is not Git's, and the rules of an aggregated ClusterRole, which are its
/// controller's, are dropped.
pub fn normalise(manifest: &Manifest) -> Manifest {
    let mut manifest = manifest.clone();
    without_nulls(&mut manifest.body);
    let secret = redact::is_secret(&manifest.body);
    if let Some(body) = manifest.body.as_object_mut() {
        body.remove("status");
        if body.get("kind").is_some_and(|kind| kind == "ClusterRole") && body.contains_key("aggregationRule") {
            body.remove("rules");
        }
        if secret && let Some(Value::Object(plain)) = body.remove("stringData") {
            let data = body.entry("data").or_insert_with(|| Value::Object(Map::new()));
            if let Some(data) = data.as_object_mut() {
                data.extend(plain.into_iter().map(|(name, value)| {
                    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    (name, Value::String(STANDARD.encode(text)))
                }));
            }
        }
    }
    manifest
}

fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, below| !below.is_null());
            fields.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

/// Whether `a` and `b`, scalars at `path`, mean the same.
pub(super) fn same(path: &[Step], a: &Value, b: &Value) -> bool {
    if a == b || (is_zero(a) && is_zero(b) && !(a.is_string() && b.is_number())) {
        return true;
    }
    let quantity_field =
        path.iter().any(|step| matches!(step, Step::Field(name) if QUANTITIES.contains(&name.as_str())));
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::String(a), Value::String(b)) => quantity_field && same_quantity(a, b),
        (Value::Number(number), Value::String(text)) | (Value::String(text), Value::Number(number)) => {
            quantity_field && same_quantity(&number.to_string(), text)
        }
        _ => false,
    }
}

fn same_quantity(a: &str, b: &str) -> bool {
    quantity(a).is_some_and(|a| quantity(b) == Some(a))
}

/// A Kubernetes quantity in units of 10⁻⁹; `None` when it is not one, or too large.
pub fn quantity(text: &str) -> Option<i128> {
    const NANO: u32 = 9;
    let split = text.find(|c: char| !c.is_ascii_digit() && !"+-.".contains(c)).unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let negative = number.starts_with('-');
    let digits = number.trim_start_matches(['+', '-']);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if (whole.is_empty() && fraction.is_empty()) || !(whole.chars().chain(fraction.chars())).all(|c| c.is_ascii_digit())
    {
        return None;
    }
    let mantissa: i128 = format!("{whole}{fraction}").parse().ok()?;
    let (binary, decimal): (u32, i32) = match suffix {
        "n" => (0, -9),
        "u" => (0, -6),
        "m" => (0, -3),
        "" => (0, 0),
        "k" => (0, 3),
        "M" => (0, 6),
        "G" => (0, 9),
        "T" => (0, 12),
        "P" => (0, 15),
        "E" => (0, 18),
        "Ki" => (10, 0),
        "Mi" => (20, 0),
        "Gi" => (30, 0),
        "Ti" => (40, 0),
        "Pi" => (50, 0),
        "Ei" => (60, 0),
        exponent => (0, exponent.strip_prefix(['e', 'E'])?.parse().ok()?),
    };
    let power = i32::try_from(NANO).ok()? + decimal - i32::try_from(fraction.len()).ok()?;
    let scaled = mantissa.checked_mul(1_i128 << binary)?;
    let value = if power >= 0 {
        scaled.checked_mul(10_i128.checked_pow(power.unsigned_abs())?)?
    } else {
        // The server rounds up to its smallest unit.
        let unit = 10_i128.checked_pow(power.unsigned_abs())?;
        scaled.checked_add(unit - 1)? / unit
    };
    Some(if negative { -value } else { value })
}

/// Whether a stated value is one the server leaves out when it writes the object.
pub(super) fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_zero),
        Value::Bool(true) => false,
    }
}

/// Whether `value` at `path` is what the API server sets when nobody states it,
/// so that taking it away would bring the same back. Client-side appliers own
/// such fields without anybody having written them.
pub(super) fn is_default(object: &Value, path: &[Step], value: &Value) -> bool {
    let Some((Step::Field(name), parents)) = path.split_last() else { return false };
    let beside = |name: &str| parents.iter().try_fold(object, |value, step| step.of(value))?.get(name);
    let parent = path.iter().rev().nth(1).and_then(|step| match step {
        Step::Field(name) => Some(name.as_str()),
        _ => None,
    });
    match (name.as_str(), value) {
        // Allocated or completed by the server, never by a person alone.
        ("clusterIP" | "clusterIPs" | "ipFamilies" | "healthCheckNodePort" | "serviceAccount" | "volumeName", _) => {
            true
        }
        (name, Value::Object(fields)) if fields.is_empty() => !name.ends_with("elector"),
        (_, Value::Array(items)) => items.is_empty(),
        ("imagePullPolicy", Value::String(policy)) => {
            let image = beside("image").and_then(Value::as_str).unwrap_or_default();
            policy == if is_moving(image) { "Always" } else { "IfNotPresent" }
        }
        ("targetPort", port) => beside("port") == Some(port),
        ("suspend", Value::Bool(suspended)) => !suspended,
        ("type", Value::String(text)) => match parent {
            Some("strategy" | "updateStrategy") => text == "RollingUpdate",
            Some("spec") => text == "ClusterIP",
            Some("hostPath") => text.is_empty(),
            _ => parent.is_none() && text == "Opaque",
        },
        (name, Value::String(text)) => DEFAULT_TEXTS.contains(&(name, text.as_str())),
        (name, Value::Number(number)) => number.as_i64().is_some_and(|n| DEFAULT_NUMBERS.contains(&(name, n))),
        _ => false,
    }
}

/// Whether an image is named without a fixed version: no tag, or `latest`.
fn is_moving(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or_default();
    !name.contains('@') && name.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

const DEFAULT_TEXTS: [(&str, &str); 19] = [
    ("terminationMessagePath", "/dev/termination-log"),
    ("terminationMessagePolicy", "File"),
    ("dnsPolicy", "ClusterFirst"),
    ("restartPolicy", "Always"),
    ("schedulerName", "default-scheduler"),
    ("maxSurge", "25%"),
    ("maxUnavailable", "25%"),
    ("podManagementPolicy", "OrderedReady"),
    ("scheme", "HTTP"),
    ("protocol", "TCP"),
    ("sessionAffinity", "None"),
    ("internalTrafficPolicy", "Cluster"),
    ("externalTrafficPolicy", "Cluster"),
    ("ipFamilyPolicy", "SingleStack"),
    ("volumeMode", "Filesystem"),
    ("whenDeleted", "Retain"),
    ("whenScaled", "Retain"),
    ("apiVersion", "v1"),
    ("concurrencyPolicy", "Allow"),
];

const DEFAULT_NUMBERS: [(&str, i64); 13] = [
    ("minReplicas", 1),
    ("failedJobsHistoryLimit", 1),
    ("successfulJobsHistoryLimit", 3),
    ("terminationGracePeriodSeconds", 30),
    ("progressDeadlineSeconds", 600),
    ("revisionHistoryLimit", 10),
    ("replicas", 1),
    ("partition", 0),
    ("failureThreshold", 3),
    ("periodSeconds", 10),
    ("successThreshold", 1),
    ("timeoutSeconds", 1),
    ("defaultMode", 420),
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quantities_are_compared_by_value() {
        for (a, b) in [
            ("1000m", "1"),
            ("0.5", "500m"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("1e3", "1k"),
            ("100M", "100000k"),
            ("+2", "2"),
            (".5", "500m"),
        ] {
            assert!(same_quantity(a, b), "{a} = {b}");
        }
        for (a, b) in [("1G", "1Gi"), ("1", "2"), ("1x", "1x"), ("", ""), ("m", "m"), ("99999999999999999999Ei", "1")] {
            assert!(!same_quantity(a, b), "{a} ≠ {b}");
        }
    }

    #[test]
    fn numbers_stand_for_quantities_and_never_for_ports() {
        let path = |names: &[&str]| names.iter().map(|name| Step::field(name)).collect::<Vec<_>>();
        assert!(same(&path(&["resources", "limits", "cpu"]), &json!(1), &json!("1")));
        assert!(!same(&path(&["ports", "targetPort"]), &json!(6379), &json!("6379")));
        assert!(!same(&path(&["metadata", "labels", "v"]), &json!("1.0"), &json!("1")));
        assert!(same(&path(&["spec", "replicas"]), &json!(1.0), &json!(1)));
    }

    #[test]
    fn string_data_becomes_data_and_nulls_state_nothing() {
        let body = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "annotations": null},
            "data": {"a": "MQ=="}, "stringData": {"a": "2", "b": "x"}, "status": {}});
        let manifest = normalise(&Manifest::from_body("t.yaml", body).expect("an object"));
        assert_eq!(
            manifest.body,
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "Mg==", "b": "eA=="}})
        );
    }
}

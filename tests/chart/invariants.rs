//! What holds for whatever values are accepted.

use base64::Engine;
use serde_json::Value;

use super::rendering::{Rendered, accepted, name_of};

const KEEP: &str = "helm.sh/resource-policy";

fn for_each(check: impl Fn(&str, &Rendered)) {
    let all = accepted();
    assert!(all.len() > 60, "only {} sets of values", all.len());
    all.iter().for_each(|(name, rendered)| check(name, rendered));
}

#[test]
fn every_claim_outlives_its_release() {
    for_each(|name, rendered| {
        for object in &rendered.objects {
            let claims = match object["kind"].as_str() {
                Some("PersistentVolumeClaim") => vec![object],
                Some("StatefulSet") => {
                    let retention = &object["spec"]["persistentVolumeClaimRetentionPolicy"];
                    assert_eq!(retention["whenDeleted"], "Retain", "{name}");
                    assert_eq!(retention["whenScaled"], "Retain", "{name}");
                    object["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten().collect()
                }
                _ => continue,
            };
            for claim in claims {
                assert_eq!(claim["metadata"]["annotations"][KEEP], "keep", "{name}: {}", name_of(object));
            }
        }
    });
}

#[test]
fn no_password_stands_outside_the_secret() {
    for_each(|name, rendered| {
        let mut passwords = Vec::new();
        for secret in rendered.objects.iter().filter(|object| object["kind"] == "Secret") {
            for (_, value) in
                secret["data"].as_object().into_iter().flatten().filter(|(key, _)| key.contains("password"))
            {
                let bytes = base64::engine::general_purpose::STANDARD.decode(value.as_str().expect("base64"));
                passwords.push(String::from_utf8(bytes.expect("base64")).expect("text").trim_end().to_owned());
            }
        }
        for object in rendered.objects.iter().filter(|object| object["kind"] != "Secret") {
            let text = object.to_string();
            for password in &passwords {
                let escaped = Value::from(password.as_str()).to_string();
                let inner = escaped.trim_matches('"');
                assert!(!text.contains(inner), "{name}: {} holds a password", name_of(object));
            }
            assert!(!text.contains("secretKeyRef"), "{name}: {} puts a password into an environment", name_of(object));
        }
        for (workload, template) in rendered.pod_templates() {
            let containers = ["containers", "initContainers"].iter().flat_map(|list| template["spec"][list].as_array());
            for container in containers.flatten() {
                for word in ["command", "args"].iter().flat_map(|list| container[list].as_array()).flatten() {
                    let word = word.as_str().unwrap_or_default();
                    assert!(!word.contains("requirepass") && !word.contains("$("), "{name}: {workload}: {word}");
                }
            }
        }
    });
}

#[test]
fn labels_that_change_are_on_nothing_immutable() {
    for_each(|name, rendered| {
        for (workload, template) in rendered.pod_templates() {
            let labels = template["metadata"]["labels"].as_object().expect("labels");
            for label in
                ["helm.sh/chart", "app.kubernetes.io/version", "app.kubernetes.io/managed-by", "redis-gitops/role"]
            {
                assert!(!labels.contains_key(label), "{name}: pods of {workload} carry {label}");
            }
            let own = if ["Deployment/", "StatefulSet/"].iter().any(|kind| workload.starts_with(kind)) {
                let object = rendered.object(&workload);
                let selector = object["spec"]["selector"]["matchLabels"].as_object().expect("a selector");
                assert!(selector.iter().all(|(key, value)| labels.get(key) == Some(value)), "{name}: {workload}");
                for claim in object["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten() {
                    assert!(claim["metadata"].get("labels").is_none(), "{name}: {workload}");
                }
                selector.get("app.kubernetes.io/name")
            } else {
                labels.get("app.kubernetes.io/name")
            };
            let has_data = template["spec"]["containers"][0]["name"] == "redis";
            assert_eq!(own == Some(&Value::from("redis")), has_data, "{name}: {workload} is named {own:?}");
        }
    });
}

#[test]
fn pods_are_locked_down() {
    for_each(|name, rendered| {
        for (workload, template) in rendered.pod_templates() {
            let spec = &template["spec"];
            let what = format!("{name}: {workload}");
            assert_eq!(spec["automountServiceAccountToken"], false, "{what}");
            assert_eq!(spec["securityContext"]["runAsNonRoot"], true, "{what}");
            assert_eq!(spec["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{what}");
            let containers = ["containers", "initContainers"].iter().filter_map(|list| spec[list].as_array()).flatten();
            for container in
                containers.filter(|container| !container["name"].as_str().unwrap_or("").starts_with("extra"))
            {
                let context = &container["securityContext"];
                assert_eq!(context["readOnlyRootFilesystem"], true, "{what}");
                assert_eq!(context["allowPrivilegeEscalation"], false, "{what}");
                assert_eq!(context["capabilities"]["drop"], serde_json::json!(["ALL"]), "{what}");
            }
        }
    });
}

//! The network policies, judged as the network would: every connection that the
//! scripts and the servers make is allowed at both its ends, and others are not.
//! Which of them a cluster enforces is the network's affair; the local one does not.

use serde_json::{Value, json};

use super::rendering::{Rendered, accepted};

/// Whether a label selector takes the labels. No selector takes nothing here.
fn selects(selector: Option<&Value>, labels: &Value) -> bool {
    let Some(selector) = selector else { return false };
    let wanted = selector.get("matchLabels").and_then(Value::as_object);
    wanted.into_iter().flatten().all(|(key, value)| labels.get(key) == Some(value))
}

/// Whether the policies let `pod` and `peer` speak on the port, seen from the pod.
fn allowed(rendered: &Rendered, direction: &str, pod: &Value, peer: &Value, port: u64) -> bool {
    let policies = rendered.objects.iter().filter(|object| object["kind"] == "NetworkPolicy");
    let mut rules = policies
        .filter(|policy| selects(policy["spec"].get("podSelector"), pod))
        .flat_map(|policy| policy["spec"][direction].as_array().into_iter().flatten());
    let peers = if direction == "ingress" { "from" } else { "to" };
    rules.any(|rule| {
        let port_fits =
            rule["ports"].as_array().is_none_or(|ports| ports.iter().any(|found| found["port"].as_u64() == Some(port)));
        let peer_fits = rule[peers].as_array().is_none_or(|list| {
            // Peers of one named namespace are none of those that are asked for here.
            let everywhere = |found: &Value| found["namespaceSelector"]["matchLabels"].as_object().is_none();
            list.iter().any(|found| match found.get("podSelector") {
                Some(selector) => everywhere(found) && selects(Some(selector), peer),
                None => found.get("namespaceSelector").is_some() && everywhere(found),
            })
        });
        port_fits && peer_fits
    })
}

#[test]
fn every_connection_has_a_rule_and_no_other() {
    let mut judged = 0;
    for (name, rendered) in accepted() {
        if !rendered.names().iter().any(|object| object.starts_with("NetworkPolicy/")) {
            continue;
        }
        judged += 1;
        let labels = |part: &str| {
            let found = rendered
                .pod_templates()
                .into_iter()
                .find(|(_, template)| template["metadata"]["labels"]["app.kubernetes.io/name"] == part);
            found.map(|(_, template)| template["metadata"]["labels"].clone())
        };
        let (data, sentinel, backup) = (labels("redis"), labels("redis-sentinel"), labels("redis-backup"));
        let data = data.unwrap_or_else(|| panic!("{name}: no pods of Redis"));
        let workload = rendered.pod_templates().into_iter().find(|(_, pod)| pod["metadata"]["labels"] == data);
        let (workload, template) = workload.expect("the pods of Redis");
        let port = template["spec"]["containers"][0]["ports"][0]["containerPort"].as_u64().expect("a port");
        let full_name = workload.split_once('/').expect("Kind/name").1;
        let client = json!({format!("{full_name}-client"): "true"});
        let daemon = json!({"app.kubernetes.io/name": "redis-gitops"});
        let stranger = json!({"app.kubernetes.io/name": "shop"});

        let mut inside = vec![(data.clone(), data.clone(), port)];
        let mut from_outside = vec![(client.clone(), data.clone(), port), (daemon.clone(), data.clone(), port)];
        let mut refused = vec![(stranger.clone(), data.clone(), port), (client.clone(), data.clone(), 22)];
        if let Some(sentinel) = &sentinel {
            inside.extend([
                (sentinel.clone(), data.clone(), port),
                (data.clone(), sentinel.clone(), 26379),
                (sentinel.clone(), sentinel.clone(), 26379),
            ]);
            from_outside.extend([(client, sentinel.clone(), 26379), (daemon, sentinel.clone(), 26379)]);
            refused.push((stranger, sentinel.clone(), 26379));
        }
        if let Some(backup) = &backup {
            inside.extend([(backup.clone(), data.clone(), port), (data.clone(), backup.clone(), port)]);
        }
        for (from, to, port) in &inside {
            assert!(allowed(rendered, "egress", from, to, *port), "{name}: {from} may not call {to} on {port}");
        }
        for (from, to, port) in inside.iter().chain(&from_outside) {
            assert!(allowed(rendered, "ingress", to, from, *port), "{name}: {to} does not let in {from} on {port}");
        }
        for (from, to, port) in &refused {
            assert!(!allowed(rendered, "ingress", to, from, *port), "{name}: {to} lets in {from} on {port}");
        }
        let dns = json!({"k8s-app": "kube-dns"});
        for pod in [Some(&data), sentinel.as_ref(), backup.as_ref()].into_iter().flatten() {
            assert!(allowed(rendered, "egress", pod, &dns, 53), "{name}: {pod} may not ask for names");
        }
    }
    assert!(judged >= 4, "only {judged} sets of values have policies");
}

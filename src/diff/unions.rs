//! Members of a union that stay behind when Git chooses another one.
//!
//! A Deployment with strategy `Recreate` may not have `rollingUpdate`, a probe
//! has one handler, a volume one source. A member that the server defaulted or
//! that another manager set survives an apply and makes the object invalid;
//! these are the fields to take over so that the apply clears them.

use serde_json::Value;

use super::fields::{FieldSet, Step};

const HANDLERS: [&str; 5] = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"];

/// The fields of `live` that belong to a union in which `desired` states another member.
pub fn union_leftovers(desired: &Value, live: &Value) -> FieldSet {
    let mut left = Leftovers::default();
    for (strategy, alone) in [("strategy", "Recreate"), ("updateStrategy", "OnDelete")] {
        let path = [Step::field("spec"), Step::field(strategy)];
        let chosen = at(desired, &path).and_then(|union| union.get("type")).and_then(Value::as_str);
        if chosen == Some(alone) && at(live, &path).is_some_and(|union| union.get("rollingUpdate").is_some()) {
            left.add(&path, "rollingUpdate");
        }
    }
    let pod = [Step::field("spec"), Step::field("template"), Step::field("spec")];
    left.items(&pod, "volumes", desired, live, |left, path, desired, live| {
        left.members(path, desired, live, |name| name != "name");
    });
    for list in ["initContainers", "containers"] {
        left.items(&pod, list, desired, live, |left, path, desired, live| {
            for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
                left.below(path, &[probe], desired, live, |name| HANDLERS.contains(&name));
            }
            for hook in ["postStart", "preStop"] {
                left.below(path, &["lifecycle", hook], desired, live, |name| HANDLERS.contains(&name));
            }
            left.items(path, "env", desired, live, |left, path, desired, live| {
                left.members(path, desired, live, |name| name == "value" || name == "valueFrom");
                left.below(path, &["valueFrom"], desired, live, |_| true);
            });
        });
    }
    left.0
}

#[derive(Default)]
struct Leftovers(FieldSet);

impl Leftovers {
    fn add(&mut self, path: &[Step], name: &str) {
        self.0.insert(&[path, &[Step::field(name)]].concat());
    }

    /// Runs `each` on every item that both lists have under one name.
    fn items(
        &mut self,
        path: &[Step],
        list: &str,
        desired: &Value,
        live: &Value,
        each: impl Fn(&mut Self, &[Step], &Value, &Value),
    ) {
        let path = [path, &[Step::field(list)]].concat();
        let Some(stated) = at(desired, &path).and_then(Value::as_array) else { return };
        for item in stated {
            let Some(step) = Step::key_of(item, &["name".to_owned()]) else { continue };
            let item_path = [&path[..], &[step]].concat();
            each(self, &item_path, desired, live);
        }
    }

    fn below(&mut self, path: &[Step], names: &[&str], desired: &Value, live: &Value, member: impl Fn(&str) -> bool) {
        let steps: Vec<_> = names.iter().map(|name| Step::field(name)).collect();
        self.members(&[path, &steps].concat(), desired, live, member);
    }

    /// Of the union at `path`: the members only `live` has, when `desired` has another.
    fn members(&mut self, path: &[Step], desired: &Value, live: &Value, member: impl Fn(&str) -> bool) {
        let fields = |object| at(object, path).and_then(Value::as_object);
        let (Some(stated), Some(held)) = (fields(desired), fields(live)) else { return };
        if !stated.keys().any(|name| member(name)) {
            return;
        }
        for name in held.keys().filter(|name| member(name) && !stated.contains_key(*name)) {
            self.add(path, name);
        }
    }
}

fn at<'a>(object: &'a Value, path: &[Step]) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, step| step.of(value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::diff::fields::path_text;

    #[test]
    fn only_members_beside_the_chosen_one_are_left_over() {
        let object = |strategy: Value, container: Value, volume: Value| {
            json!({"spec": {"strategy": strategy, "template": {"spec":
                {"containers": [container], "volumes": [volume]}}}})
        };
        let live = object(
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}}),
            json!({"name": "redis", "readinessProbe": {"tcpSocket": {"port": 1}, "periodSeconds": 5},
                "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}),
            json!({"name": "data", "emptyDir": {}}),
        );
        let desired = object(
            json!({"type": "Recreate"}),
            json!({"name": "redis", "readinessProbe": {"exec": {"command": ["x"]}},
                "env": [{"name": "A", "valueFrom": {"fieldRef": {}}}, {"name": "B", "value": "3"}]}),
            json!({"name": "data", "persistentVolumeClaim": {"claimName": "redis-pvc"}}),
        );
        let paths: Vec<_> = union_leftovers(&desired, &live).paths().iter().map(|path| path_text(path)).collect();
        assert_eq!(
            paths,
            [
                "spec.strategy.rollingUpdate",
                "spec.template.spec.containers[redis].env[A].value",
                "spec.template.spec.containers[redis].readinessProbe.tcpSocket",
                "spec.template.spec.volumes[data].emptyDir",
            ]
        );
        assert!(union_leftovers(&live, &live).is_empty());
    }
}

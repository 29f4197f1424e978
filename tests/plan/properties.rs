//! What holds for every plan, whatever was applied, wanted and done by others.

use proptest::{prelude::*, sample::subsequence};
use redis_gitops::{
    live::LiveObject,
    plan::{Cause, Plan, Verb},
};
use serde_json::{Value, json};

use crate::case::{Case, World, entry, object, revision};

const OBJECTS: [&str; 8] =
    ["namespace", "serviceaccount", "rolebinding", "configmap", "secret", "claim", "service", "deployment"];

/// The password in `objects/secret.yaml` and the one that others set.
const PLANTED: [&str; 4] =
    ["rendered-password-1", "cmVuZGVyZWQtcGFzc3dvcmQtMQ==", "other-password-2", "b3RoZXItcGFzc3dvcmQtMg=="];

/// What Git may change of an object: JSON pointers.
fn commits(name: &str) -> Vec<Value> {
    match name {
        "deployment" => vec![
            json!({"/spec/template/spec/containers/0/image": "redis:7.2-alpine"}),
            json!({"/spec/template/spec/containers/0/env": null}),
            json!({"/spec/template/spec/terminationGracePeriodSeconds": 60}),
            json!({"/spec/replicas": 0, "/metadata/annotations": {"a": "b"}}),
        ],
        "configmap" => vec![json!({"/data": {"redis.conf": "requirepass rendered-password-1", "more": "x"}})],
        "secret" => vec![json!({"/data/more": "bW9yZS1zZWNyZXQ="})],
        "service" => vec![json!({"/spec/ports/-": {"name": "tls", "port": 6380}})],
        "claim" => vec![json!({"/spec/resources/requests/storage": "20Gi"})],
        _ => vec![json!({"/metadata/labels/team": "cache"})],
    }
}

/// What others may do to an object.
fn deeds(name: &str) -> Vec<Value> {
    let by = |manager: &str, set: Value| json!({"by": manager, "object": name, "set": set});
    let mut deeds = vec![
        json!({"delete": name}),
        json!({"uid": name}),
        json!({"forget": name}),
        by("kubectl-label", json!({"/metadata/labels/redis-gitops~1environment": null})),
        by("kubectl-annotate", json!({"/metadata/annotations/note": "rendered-password-1"})),
    ];
    match name {
        "deployment" => deeds.extend([
            by("kubectl", json!({"/spec/replicas": 3})),
            by("kubectl-edit", json!({"/spec/template/spec/hostNetwork": true})),
            by("kubectl-edit", json!({"/spec/template/spec/containers/-": {"name": "miner", "image": "m"}})),
            by("node-fetch", json!({"/spec/template/spec/containers/0/image": "redis:6"})),
            by("kube-controller-manager", json!({"/metadata/annotations/deployment.kubernetes.io~1revision": "2"})),
        ]),
        "configmap" => deeds.push(by("kubectl-edit", json!({"/data/mine": "other-password-2"}))),
        "secret" => deeds.push(by("kubectl-edit", json!({"/data/redis-password": "b3RoZXItcGFzc3dvcmQtMg=="}))),
        _ => {}
    }
    deeds
}

fn case(policy: Value, confirm: bool) -> impl Strategy<Value = Value> {
    let objects = || subsequence(OBJECTS.to_vec(), 0..=OBJECTS.len());
    (
        objects(),
        objects(),
        prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..6),
        any::<u8>(),
    )
        .prop_map(move |(applied, git, deeds_at, changes)| {
            let git: Vec<Value> = git
                .iter()
                .enumerate()
                .map(|(at, name)| {
                    let options = commits(name);
                    let changed = changes & (1 << at) != 0;
                    if changed { json!({*name: options[changes as usize % options.len()]}) } else { json!(name) }
                })
                .collect();
            let mut gone: Vec<&str> = Vec::new();
            let mut events = Vec::new();
            for (object, deed) in deeds_at {
                if applied.is_empty() {
                    continue;
                }
                let name = applied[object.index(applied.len())];
                let options = deeds(name);
                let deed = &options[deed.index(options.len())];
                if !gone.contains(&name) {
                    events.push(deed.clone());
                }
                if deed.get("delete").is_some() {
                    gone.push(name);
                }
            }
            let mut case = json!({"about": "", "policy": policy, "applied": applied, "git": git, "events": events,
                "facts": {"storageClasses": {"fast": {"expandable": true}}}});
            if confirm {
                case["confirm"] = json!("applied");
            }
            case
        })
}

fn world(case: &Value) -> World {
    serde_json::from_value::<Case>(case.clone()).expect("a case").world()
}

/// Carries a plan out as the daemon does, on the model of the server.
fn carry_out(world: &mut World, plan: &Plan) {
    for action in &plan.actions {
        let manifest = world.desired.get(&action.key).cloned();
        match (&action.verb, manifest) {
            (Verb::Create | Verb::Adopt | Verb::Update, Some(manifest)) => {
                if let Some(fields) = &action.take_over {
                    world.server.set_managed_fields(&action.key, fields.clone());
                }
                world.server.apply(&manifest);
                let applied = entry(&world.server, &manifest);
                world.inventory.entries.insert(action.key.clone(), applied);
            }
            (Verb::Unchanged, Some(manifest)) => {
                let applied = entry(&world.server, &manifest);
                world.inventory.entries.insert(action.key.clone(), applied);
            }
            (Verb::Delete, _) => {
                world.server.objects.remove(&action.key);
                world.inventory.entries.remove(&action.key);
            }
            (Verb::Detach, _) => drop(world.inventory.entries.remove(&action.key)),
            _ => {}
        }
    }
    world.inventory.applied = Some(revision('b'));
    world.observe();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn after_a_plan_there_is_nothing_to_do(case in case(json!({"throwAway": true}), true)) {
        let mut world = world(&case);
        let first = world.plan();
        prop_assume!(first.refusals().next().is_none());
        carry_out(&mut world, &first);
        let second = world.plan();
        for action in &second.actions {
            prop_assert_eq!(&action.verb, &Verb::Unchanged, "{}: {:?}", action.key, action.differences);
            prop_assert_eq!(action.cause, Cause::Steady);
        }
    }

    #[test]
    fn no_plan_deletes_what_is_irreplaceable_or_not_ours(case in case(json!({"throwAway": true}), true)) {
        let world = world(&case);
        for action in world.plan().actions.iter().filter(|action| action.verb == Verb::Delete) {
            prop_assert!(!matches!(action.key.kind.as_str(), "PersistentVolumeClaim" | "Namespace"), "{}", action.key);
            let known = world.inventory.entries[&action.key].uid.clone();
            prop_assert!(known.is_some() && action.precondition.uid == known, "{}", action.key);
            prop_assert!(action.precondition.resource_version.is_some());
        }
    }

    #[test]
    fn an_unconfirmed_prune_ends_no_workload(case in case(json!({"throwAway": true}), false)) {
        let world = world(&case);
        let plan = world.plan();
        let doomed = plan.actions.iter().filter(|action| action.verb == Verb::Delete).count();
        prop_assert!(doomed * 3 <= world.inventory.entries.len());
        prop_assert!(!plan.actions.iter().any(|action| action.verb == Verb::Delete && action.key.kind == "Deployment"));
    }

    #[test]
    fn an_incomplete_observation_deletes_nothing(
        case in case(json!({"throwAway": true}), true), at in any::<prop::sample::Index>()
    ) {
        let mut world = world(&case);
        let keys: Vec<_> = world.live.objects.keys().cloned().collect();
        prop_assume!(!keys.is_empty());
        let unread = LiveObject::Unreadable { reason: "no answer".to_owned() };
        world.live.objects.insert(keys[at.index(keys.len())].clone(), unread);
        let named = |key| world.desired.get(key).is_some() || world.inventory.entries.contains_key(key);
        prop_assume!(named(&keys[at.index(keys.len())]));
        prop_assert!(!world.plan().actions.iter().any(|action| action.verb == Verb::Delete));
    }

    #[test]
    fn alert_writes_only_what_a_commit_changed(case in case(json!({"drift": "alert", "throwAway": true}), true)) {
        let world = world(&case);
        for action in world.plan().actions.iter().filter(|action| action.verb.writes() && action.verb != Verb::Delete) {
            prop_assert!(matches!(action.cause, Cause::Commit | Cause::CommitOverDrift), "{}: {:?}", action.key, action);
        }
    }

    #[test]
    fn no_plan_shows_a_secret(case in case(json!({"throwAway": true}), true)) {
        let mut world = world(&case);
        let mut other = object("secret");
        other["data"]["redis-password"] = json!(PLANTED[3]);
        world.others_secrets = vec![object("secret"), other];
        let plan = world.plan();
        let shown = redis_gitops::plan::render_text(&plan) + &serde_json::to_string(&plan).expect("a plan is JSON");
        for secret in PLANTED {
            prop_assert!(!shown.contains(secret), "{shown}");
        }
    }
}

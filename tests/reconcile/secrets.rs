//! A planted password must not come out anywhere.

use crate::{
    Case,
    control_plane::ControlPlane,
    daemon::{Daemon, eventually},
    world::World,
};

pub const CASES: &[Case] = &[
    ("a_planted_password_comes_out_nowhere", a_planted_password_comes_out_nowhere),
    ("a_plain_text_password_outside_a_throw_away_environment_is_refused", a_plain_text_password_is_refused),
];

const PLANTED: &str = "31415926535897";
const AS_BASE64: &str = "MzE0MTU5MjY1MzU4OTc=";
const VALUES: &str = "environments/dev/values.yaml";

fn a_planted_password_comes_out_nowhere(plane: &ControlPlane) {
    let world = World::new(plane, "planted", &["a"]);
    let values = world.read(VALUES).replace("dev-redis-password", &format!("\"{PLANTED}\""));
    world.write(VALUES, &values);
    world.push("Plant a password");
    let daemon = world.synced_dev("");
    // Drift of the Secret itself, and an API error that quotes the value.
    let patch = format!("{{\"stringData\":{{\"redis-password\":\"{PLANTED}7\"}}}}");
    world.kubectl(&["patch", "secret/redis-secret", "--type=merge", "-p", &patch]);
    eventually("the Secret to be corrected", || {
        daemon.metric("redis_gitops_drift_corrected_total{environment=\"dev\"}") >= Some(1.0)
    });
    world.write(VALUES, &format!("{values}\npodAnnotations:\n  example.com/wrong key: \"{PLANTED}\"\n"));
    world.push("State the password where it is not valid");
    daemon.nudge();
    daemon.wait("dev", "the refusal", |status| matches!(status["sync"]["state"].as_str(), Some("refused" | "failed")));
    // A schema's message quotes the value as it was read: a number.
    world.write(VALUES, &values.replace(&format!("\"{PLANTED}\""), PLANTED));
    world.push("State the password as a number");
    daemon.nudge();
    daemon.wait("dev", "the mistake to be named", |status| status["sync"].to_string().contains("is not of type"));
    for (what, text) in [
        ("the status", daemon.get("/api/v1/status")),
        ("the page", daemon.get("/")),
        ("the environment's page", daemon.get("/environments/dev")),
        ("the metrics", daemon.get("/metrics")),
        ("the log", daemon.log()),
        ("the inventory", world.get("configmap/redis-gitops-inventory-dev").expect("it is there").to_string()),
    ] {
        for form in [PLANTED, AS_BASE64.trim_end_matches('=')] {
            assert!(!text.contains(form), "{what} shows the password as {form}");
        }
    }
}

fn a_plain_text_password_is_refused(plane: &ControlPlane) {
    let world = World::new(plane, "plain", &["a"]);
    let environment = world.dev("").replace("    throwAway: true\n", "");
    let daemon = Daemon::start(&world.configure(&environment));
    let status = daemon.wait("dev", "the refusal", |status| status["sync"]["state"] == "refused");
    let text = status["sync"].to_string();
    assert!(text.contains("password") && !text.contains("dev-redis-password"), "{text}");
    assert!(world.get("deployment/redis").is_none(), "nothing of it is applied");
}

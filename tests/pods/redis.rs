//! What a client of Redis sees.

use crate::{
    Case,
    daemon::eventually,
    world::{DEV, ENVIRONMENTS, PROD, STAGING, World},
};

/// The cases of this file.
pub const CASES: &[Case] = &[
    ("the_three_environments_become_healthy", the_three_environments_become_healthy),
    ("a_password_is_required", a_password_is_required),
    ("a_replica_follows_its_primary", a_replica_follows_its_primary),
    ("data_survives_its_pod", data_survives_its_pod),
];

fn the_three_environments_become_healthy(world: &World) {
    for environment in ENVIRONMENTS {
        let status = world.healthy(environment);
        let pods = status["redis"]["pods"].as_object().expect("pods");
        let mut roles: Vec<&str> = pods.values().filter_map(|pod| pod["info"]["role"].as_str()).collect();
        roles.sort_unstable();
        assert_eq!(roles, if environment.pods == 1 { vec!["master"] } else { vec!["master", "slave"] });
    }
    // The two of prod must never share a node; whoever schedules them decides how.
    let nodes = ["-n", PROD.namespace, "get", "pods", "-o", "jsonpath={.items[*].spec.nodeName}"];
    let nodes = world.plane.kubectl(&nodes);
    let mut nodes: Vec<&str> = nodes.split_whitespace().collect();
    nodes.sort_unstable();
    assert_eq!(nodes, ["node1", "node2"]);
}

fn a_password_is_required(world: &World) {
    for environment in ENVIRONMENTS {
        world.healthy(environment);
        for service in ["redis", "redis-read"] {
            let ping = |password| world.redis(environment, service, password, &["PING"]);
            let name = environment.name;
            let refused = ping("");
            assert!(refused.contains("NOAUTH"), "{name}: {service} without a password: {refused}");
            let refused = ping("changeme-in-production");
            assert!(refused.contains("WRONGPASS"), "{name}: {service} with the chart's password: {refused}");
            assert_eq!(ping(world.password(environment)), "PONG", "{name}: {service}");
        }
    }
}

fn a_replica_follows_its_primary(world: &World) {
    for environment in [&STAGING, &PROD] {
        world.healthy(environment);
        assert_eq!(world.ask(environment, "redis", &["SET", "followed", environment.name]), "OK");
        for replica in ["redis-1.redis-headless", "redis-read"] {
            eventually("the write on the replica", || {
                world.ask(environment, replica, &["GET", "followed"]) == environment.name
            });
        }
        let refused = world.ask(environment, "redis-1.redis-headless", &["SET", "followed", "not"]);
        assert!(refused.contains("READONLY"), "{refused}");
        assert!(world.ask(environment, "redis", &["ROLE"]).starts_with("master"));
        assert!(world.ask(environment, "redis-1.redis-headless", &["ROLE"]).starts_with("slave"));
    }
}

fn data_survives_its_pod(world: &World) {
    for (environment, pod) in [(&DEV, None), (&PROD, Some("redis-0"))] {
        world.healthy(environment);
        assert_eq!(world.ask(environment, "redis", &["SET", "kept", environment.name]), "OK");
        let pod = pod.map_or_else(|| world.pods(environment)[0].0.clone(), str::to_owned);
        world.replace_pod(environment, &pod);
        assert_eq!(world.ask(environment, "redis", &["GET", "kept"]), environment.name);
    }
    let replica = || world.ask(&PROD, "redis-1.redis-headless", &["GET", "kept"]);
    eventually("the replica still has it", || replica() == PROD.name);
}

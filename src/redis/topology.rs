//! What is wrong with the servers of one environment, taken together.

use std::collections::BTreeMap;

use crate::status::{RedisInfo, RedisPod};

/// What a person should know of the servers of one environment, by pod name,
/// most urgent first. `desired` is how many pods the workload asks for. Servers
/// that did not answer are counted, never taken for fine.
pub fn assess(desired: u32, servers: &BTreeMap<String, RedisPod>) -> Vec<String> {
    let mut warnings = Vec::new();
    let up: Vec<(&str, &RedisInfo)> = servers
        .iter()
        .filter(|(_, server)| server.up)
        .filter_map(|(pod, server)| Some((pod.as_str(), server.info.as_ref()?)))
        .collect();
    primaries(desired, &up, &mut warnings);
    for (pod, info) in &up {
        server(pod, info, &mut warnings);
    }
    let silent: Vec<_> = servers.iter().filter(|(_, server)| !server.up).collect();
    for (pod, server) in &silent {
        let why = server.error.as_deref().unwrap_or("it did not answer");
        warnings.push(format!("{pod} is not up: {why}"));
    }
    let missing = (desired as usize).saturating_sub(servers.len());
    if missing > 0 {
        warnings.push(format!("{missing} of {desired} Redis pods do not exist"));
    }
    warnings
}

fn primaries(desired: u32, up: &[(&str, &RedisInfo)], warnings: &mut Vec<String>) {
    let masters: Vec<&str> = up.iter().filter(|(_, info)| info.role == "master").map(|(pod, _)| *pod).collect();
    if masters.len() > 1 {
        warnings.push(format!(
            "{} servers call themselves primary ({}): writes to the wrong one are lost when it follows another",
            masters.len(),
            masters.join(", ")
        ));
    } else if masters.is_empty() && !up.is_empty() && up.len() >= desired as usize {
        warnings.push("no server is primary: nothing can be written".to_owned());
    }
}

fn server(pod: &str, info: &RedisInfo, warnings: &mut Vec<String>) {
    let field = |name: &str| info.fields.get(name).copied();
    let is = |name: &str, value: f64| field(name) == Some(value);
    if is("aof_last_write_status", 0.0) {
        warnings.push(format!("{pod} cannot write its append-only file: it refuses writes until the disk takes them"));
    }
    if is("rdb_last_bgsave_status", 0.0) {
        warnings.push(format!("{pod} could not save its last snapshot"));
    }
    if is("aof_last_bgrewrite_status", 0.0) {
        warnings.push(format!("{pod} could not rewrite its append-only file, which keeps growing"));
    }
    if info.role == "slave" && is("master_link_status", 0.0) {
        let host = info.master_host.as_deref().unwrap_or("its primary");
        warnings.push(format!("{pod} has lost the link to {host}: what it holds is getting old"));
    }
    if is("loading", 1.0) {
        warnings.push(format!("{pod} is loading its data and does not answer clients yet"));
    }
    match (field("maxmemory"), field("used_memory")) {
        (Some(0.0), _) => {
            warnings.push(format!("{pod} has no maxmemory: it grows until the kernel ends it at the container's limit"))
        }
        (Some(max), Some(used)) if used > 0.9 * max => {
            warnings.push(format!("{pod} uses {:.0} % of its maxmemory", 100.0 * used / max));
        }
        _ => {}
    }
    if field("evicted_keys").is_some_and(|keys| keys > 0.0) {
        let keys = field("evicted_keys").unwrap_or_default();
        warnings.push(format!("{pod} has evicted {keys:.0} keys under {}", info.maxmemory_policy));
    }
    if field("rejected_connections").is_some_and(|count| count > 0.0) {
        let count = field("rejected_connections").unwrap_or_default();
        warnings.push(format!("{pod} has turned away {count:.0} connections at its maxclients"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up(role: &str, fields: &[(&str, f64)]) -> RedisPod {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        let info = RedisInfo { role: role.to_owned(), fields, ..RedisInfo::default() };
        RedisPod { up: true, info: Some(info), ..RedisPod::default() }
    }

    fn assess_all(desired: u32, servers: &[RedisPod]) -> Vec<String> {
        let servers =
            servers.iter().enumerate().map(|(index, server)| (format!("redis-{index}"), server.clone())).collect();
        assess(desired, &servers)
    }

    #[test]
    fn a_sound_topology_says_nothing() {
        let fields = [("maxmemory", 100.0), ("used_memory", 50.0), ("master_link_status", 1.0), ("evicted_keys", 0.0)];
        assert_eq!(assess_all(2, &[up("master", &fields), up("slave", &fields)]), Vec::<String>::new());
    }

    #[test]
    fn each_trouble_is_named_with_its_pod() {
        for (servers, expected) in [
            (vec![up("master", &[]), up("master", &[])], "2 servers call themselves primary (redis-0, redis-1)"),
            (vec![up("slave", &[]), up("slave", &[])], "no server is primary"),
            (vec![up("master", &[]), up("slave", &[("master_link_status", 0.0)])], "redis-1 has lost the link"),
            (vec![up("master", &[("maxmemory", 0.0)]), up("slave", &[])], "redis-0 has no maxmemory"),
            (
                vec![up("master", &[("maxmemory", 100.0), ("used_memory", 95.0)]), up("slave", &[])],
                "95 % of its maxmemory",
            ),
            (vec![up("master", &[("aof_last_write_status", 0.0)]), up("slave", &[])], "cannot write its append-only"),
            (vec![up("master", &[("rdb_last_bgsave_status", 0.0)]), up("slave", &[])], "could not save"),
            (vec![up("master", &[("aof_last_bgrewrite_status", 0.0)]), up("slave", &[])], "could not rewrite"),
            (vec![up("master", &[("evicted_keys", 3.0)]), up("slave", &[])], "evicted 3 keys"),
            (vec![up("master", &[("rejected_connections", 2.0)]), up("slave", &[])], "turned away 2 connections"),
            (vec![up("master", &[("loading", 1.0)]), up("slave", &[])], "is loading"),
            (vec![up("master", &[])], "1 of 2 Redis pods do not exist"),
            (vec![up("master", &[]), RedisPod::default()], "redis-1 is not up: it did not answer"),
        ] {
            let warnings = assess_all(2, &servers);
            assert_eq!(warnings.len(), 1, "{expected}: {warnings:?}");
            assert!(warnings[0].contains(expected), "{expected}: {warnings:?}");
        }
    }

    #[test]
    fn the_most_urgent_comes_first() {
        let warnings = assess_all(3, &[up("master", &[("maxmemory", 0.0)]), up("master", &[])]);
        assert!(warnings[0].contains("call themselves primary"), "{warnings:?}");
    }

    #[test]
    fn a_missing_primary_is_not_claimed_while_a_server_is_silent() {
        let warnings = assess_all(2, &[up("slave", &[]), RedisPod::default()]);
        assert!(!warnings.iter().any(|warning| warning.contains("no server is primary")), "{warnings:?}");
    }
}

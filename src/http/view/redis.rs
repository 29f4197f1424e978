//! One Redis pod in the words of the pages.

use jiff::Timestamp;

use super::{Badge, Moment, Tone};
use crate::{
    http::format,
    status::{RedisInfo, RedisPod, RedisStatus},
};

/// One pod.
pub(in crate::http) struct Pod {
    pub(in crate::http) name: String,
    pub(in crate::http) up: Badge,
    pub(in crate::http) error: Option<String>,
    pub(in crate::http) probed: Option<Moment>,
    pub(in crate::http) info: Option<Info>,
}

/// What the server said.
pub(in crate::http) struct Info {
    pub(in crate::http) role: String,
    pub(in crate::http) version: String,
    pub(in crate::http) memory: Memory,
    /// Label and value, in reading order.
    pub(in crate::http) facts: Vec<(&'static str, String)>,
    /// Replication and persistence, each with its urgency.
    pub(in crate::http) signals: Vec<Badge>,
}

/// Memory used, and its share of the limit.
pub(in crate::http) struct Memory {
    pub(in crate::http) text: String,
    /// Per cent of the limit, 0 to 100; `None` without a limit.
    pub(in crate::http) percent: Option<u8>,
    pub(in crate::http) tone: Tone,
}

pub(super) fn pods(redis: &RedisStatus, now: Timestamp) -> Vec<Pod> {
    redis.pods.iter().map(|(name, pod)| Pod::new(name, pod, now)).collect()
}

impl Pod {
    fn new(name: &str, pod: &RedisPod, now: Timestamp) -> Self {
        Self {
            name: name.to_owned(),
            up: if pod.up { Badge::new(Tone::Good, "up") } else { Badge::new(Tone::Bad, "down") },
            error: pod.error.clone(),
            probed: pod.probed.map(|time| Moment::new(time, now)),
            info: pod.info.as_ref().map(|info| Info::new(info, now)),
        }
    }
}

impl Info {
    fn new(info: &RedisInfo, now: Timestamp) -> Self {
        let field = |name: &str| info.fields.get(name).copied();
        let mut facts = vec![("keys", info.keys.to_string())];
        if let Some(clients) = field("connected_clients") {
            let limit = field("maxclients").map(|most| format!(" of {most}")).unwrap_or_default();
            facts.push(("clients", format!("{clients}{limit}")));
        }
        if let Some(uptime) = field("uptime_in_seconds") {
            facts.push(("up for", format::span(uptime.max(0.0) as u64)));
        }
        if let Some(evicted) = field("evicted_keys").filter(|evicted| *evicted > 0.0) {
            facts.push(("evicted keys", evicted.to_string()));
        }
        if let Some(rejected) = field("rejected_connections").filter(|rejected| *rejected > 0.0) {
            facts.push(("rejected connections", rejected.to_string()));
        }
        let role = match &*info.role {
            "master" => "primary",
            "slave" => "replica",
            other => other,
        };
        Self {
            role: role.to_owned(),
            version: info.version.clone(),
            memory: Memory::new(field("used_memory").unwrap_or(0.0), field("maxmemory").unwrap_or(0.0)),
            facts,
            signals: replication(info).into_iter().chain(persistence(info, now)).collect(),
        }
    }
}

impl Memory {
    fn new(used: f64, limit: f64) -> Self {
        if limit <= 0.0 {
            return Self { text: format!("{}, no limit", format::bytes(used)), percent: None, tone: Tone::Warn };
        }
        let percent = (used / limit * 100.0).clamp(0.0, 100.0);
        let tone = match percent {
            90.0.. => Tone::Bad,
            75.0.. => Tone::Warn,
            _ => Tone::Good,
        };
        let text = format!("{} of {}", format::bytes(used), format::bytes(limit));
        Self { text, percent: Some(percent.round() as u8), tone }
    }
}

fn replication(info: &RedisInfo) -> Option<Badge> {
    if info.role == "slave" {
        let primary = info.master_host.as_deref().unwrap_or("its primary");
        let up = info.fields.get("master_link_status").is_some_and(|link| *link == 1.0);
        let syncing = info.fields.get("master_sync_in_progress").is_some_and(|sync| *sync == 1.0);
        return Some(match (up, syncing) {
            (true, _) => Badge::new(Tone::Good, format!("follows {primary}")),
            (false, true) => Badge::new(Tone::Busy, format!("full copy from {primary}")),
            (false, false) => Badge::new(Tone::Bad, format!("link to {primary} is down")),
        });
    }
    match info.fields.get("connected_slaves").copied() {
        Some(1.0) => Some(Badge::new(Tone::Good, "1 replica")),
        Some(count) if count > 0.0 => Some(Badge::new(Tone::Good, format!("{count} replicas"))),
        _ => None,
    }
}

fn persistence(info: &RedisInfo, now: Timestamp) -> Vec<Badge> {
    let is = |name: &str, value: f64| info.fields.get(name).is_some_and(|field| *field == value);
    let mut badges = Vec::new();
    if is("loading", 1.0) {
        badges.push(Badge::new(Tone::Busy, "loading its data"));
    }
    badges.push(if is("aof_enabled", 0.0) {
        Badge::new(Tone::Warn, "AOF off")
    } else if is("aof_last_write_status", 0.0) {
        Badge::new(Tone::Bad, "AOF write failed")
    } else if is("aof_last_bgrewrite_status", 0.0) {
        Badge::new(Tone::Warn, "AOF rewrite failed")
    } else {
        Badge::new(Tone::Good, "AOF on")
    });
    if is("rdb_last_bgsave_status", 0.0) {
        badges.push(Badge::new(Tone::Bad, "RDB save failed"));
    } else if let Some(saved) = info.fields.get("rdb_last_save_time").filter(|saved| **saved > 0.0) {
        let age = (now.as_second() - *saved as i64).max(0) as u64;
        badges.push(Badge::new(Tone::Good, format!("RDB saved {} ago", format::span(age))));
    }
    badges
}

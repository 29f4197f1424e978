//! Reading `INFO`; see <https://redis.io/docs/latest/commands/info/>.

use std::collections::BTreeMap;

use crate::status::RedisInfo;

/// Fields that say a state in a word: 1 when it is good or on, 0 when not, as
/// redis_exporter has it.
const WORDS: [(&str, f64); 8] =
    [("ok", 1.0), ("err", 0.0), ("fail", 0.0), ("up", 1.0), ("down", 0.0), ("yes", 1.0), ("no", 0.0), ("true", 1.0)];

/// Reads the text of `INFO` (any sections).
/// Lines that are not `name:value` are passed over: a server may add sections.
pub fn parse_info(text: &str) -> RedisInfo {
    let lines: BTreeMap<&str, &str> =
        text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.trim_end().split_once(':')).collect();
    let word = |name: &str| lines.get(name).copied().unwrap_or_default().to_owned();
    let version = match lines.get("valkey_version") {
        Some(valkey) => format!("{} (valkey {valkey})", word("redis_version")),
        None => word("redis_version"),
    };
    RedisInfo {
        version,
        role: word("role"),
        maxmemory_policy: word("maxmemory_policy"),
        run_id: word("run_id"),
        keys: lines.iter().filter(|(name, _)| is_database(name)).filter_map(|(_, value)| keys_of(value)).sum(),
        fields: lines.iter().filter_map(|(name, value)| Some(((*name).to_owned(), number(value)?))).collect(),
        master_host: lines.get("master_host").map(|host| (*host).to_owned()),
        master_port: lines.get("master_port").and_then(|port| port.parse().ok()),
    }
}

/// `db0:keys=5,expires=1,avg_ttl=0`
fn is_database(name: &str) -> bool {
    name.strip_prefix("db").is_some_and(|index| !index.is_empty() && index.bytes().all(|b| b.is_ascii_digit()))
}

fn keys_of(value: &str) -> Option<u64> {
    value.split(',').find_map(|part| part.strip_prefix("keys="))?.parse().ok()
}

fn number(value: &str) -> Option<f64> {
    let word = || WORDS.iter().find(|(word, _)| *word == value).map(|(_, number)| *number);
    value.parse::<f64>().ok().filter(|number| number.is_finite()).or_else(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = "# Server\r\nredis_version:7.0.15\r\nrun_id:abc\r\nuptime_in_seconds:12\r\n\r\n# Memory\r\n\
        used_memory:1048576\r\nused_memory_human:1.00M\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n\
        # Persistence\r\naof_last_write_status:ok\r\nrdb_last_bgsave_status:err\r\n# Replication\r\nrole:slave\r\n\
        master_host:redis-0.redis-headless\r\nmaster_port:6379\r\nmaster_link_status:down\r\n\
        # Keyspace\r\ndb0:keys=5,expires=1,avg_ttl=0\r\ndb3:keys=2,expires=0,avg_ttl=0\r\nnonsense\r\n";

    #[test]
    fn fields_come_out_as_numbers_and_words() {
        let info = parse_info(INFO);
        assert_eq!((info.version.as_str(), info.run_id.as_str(), info.role.as_str()), ("7.0.15", "abc", "slave"));
        assert_eq!(info.keys, 7);
        assert_eq!(info.maxmemory_policy, "noeviction");
        assert_eq!(info.master_host.as_deref(), Some("redis-0.redis-headless"));
        assert_eq!(info.master_port, Some(6379));
        for (name, value) in [
            ("used_memory", 1_048_576.0),
            ("maxmemory", 0.0),
            ("aof_last_write_status", 1.0),
            ("rdb_last_bgsave_status", 0.0),
            ("master_link_status", 0.0),
        ] {
            assert_eq!(info.fields.get(name), Some(&value), "{name}");
        }
        assert!(!info.fields.contains_key("used_memory_human"));
    }
}

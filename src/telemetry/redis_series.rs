//! Redis under the names of redis_exporter, so that its dashboards and rules
//! work, with the labels `environment`, `namespace` and `pod`. A pod that does
//! not answer has `redis_up` 0 and nothing else.
//!
//! Names: <https://github.com/oliver006/redis_exporter>; fields of `INFO`:
//! <https://redis.io/docs/latest/commands/info/>.

use super::series::Scrape;
use crate::status::{RedisInfo, Status};

/// The labels every Redis series has.
const POD: [&str; 3] = ["environment", "namespace", "pod"];

/// `INFO` field, metric, help.
type Field = (&'static str, &'static str, &'static str);

const GAUGES: [Field; 32] = [
    ("uptime_in_seconds", "redis_uptime_in_seconds", "Seconds since the server started."),
    ("connected_clients", "redis_connected_clients", "Clients connected, replicas left out."),
    ("blocked_clients", "redis_blocked_clients", "Clients waiting in a blocking command."),
    ("maxclients", "redis_max_clients", "Most clients at once."),
    ("used_memory", "redis_memory_used_bytes", "Bytes allocated."),
    ("used_memory_rss", "redis_memory_used_rss_bytes", "Bytes resident, as the kernel counts them."),
    ("used_memory_peak", "redis_memory_used_peak_bytes", "Most bytes ever allocated."),
    ("used_memory_dataset", "redis_memory_used_dataset_bytes", "Bytes of data alone."),
    ("maxmemory", "redis_memory_max_bytes", "Limit in bytes; 0 means none."),
    ("mem_fragmentation_ratio", "redis_mem_fragmentation_ratio", "Resident over allocated."),
    ("loading", "redis_loading_dump_file", "1 while data is read from disk."),
    ("rdb_changes_since_last_save", "redis_rdb_changes_since_last_save", "Writes since the last snapshot."),
    ("rdb_bgsave_in_progress", "redis_rdb_bgsave_in_progress", "1 while a snapshot is written."),
    ("rdb_last_save_time", "redis_rdb_last_save_timestamp_seconds", "When the last snapshot succeeded."),
    ("rdb_last_bgsave_status", "redis_rdb_last_bgsave_status", "1 when the last snapshot succeeded."),
    ("rdb_last_bgsave_time_sec", "redis_rdb_last_bgsave_duration_sec", "Seconds the last snapshot took; -1 for none."),
    ("aof_enabled", "redis_aof_enabled", "1 when the append-only file is on."),
    ("aof_rewrite_in_progress", "redis_aof_rewrite_in_progress", "1 while it is rewritten."),
    ("aof_last_bgrewrite_status", "redis_aof_last_bgrewrite_status", "1 when its last rewrite succeeded."),
    ("aof_last_write_status", "redis_aof_last_write_status", "1 when the last write to it succeeded."),
    ("aof_current_size", "redis_aof_current_size_bytes", "Its size now."),
    ("aof_base_size", "redis_aof_base_size_bytes", "Its size after the last rewrite or start."),
    ("aof_pending_bio_fsync", "redis_aof_pending_bio_fsync", "fsync calls waiting in the background."),
    ("aof_delayed_fsync", "redis_aof_delayed_fsync", "fsync calls that were delayed."),
    ("connected_slaves", "redis_connected_slaves", "Replicas connected to this server."),
    ("master_repl_offset", "redis_master_repl_offset", "Replication offset in bytes."),
    ("second_repl_offset", "redis_second_repl_offset", "Offset up to which the previous replication id is accepted."),
    ("repl_backlog_size", "redis_replication_backlog_bytes", "Size of the replication backlog."),
    ("repl_backlog_active", "redis_repl_backlog_is_active", "1 when there is a backlog."),
    ("sync_full", "redis_replica_resyncs_full", "Full resynchronisations served to replicas."),
    ("sync_partial_ok", "redis_replica_partial_resync_accepted", "Partial resynchronisations accepted."),
    ("sync_partial_err", "redis_replica_partial_resync_denied", "Partial resynchronisations denied."),
];

const COUNTERS: [Field; 11] = [
    ("total_connections_received", "redis_connections_received_total", "Connections accepted."),
    ("rejected_connections", "redis_rejected_connections_total", "Connections rejected at the client limit."),
    ("total_commands_processed", "redis_commands_processed_total", "Commands processed."),
    ("keyspace_hits", "redis_keyspace_hits_total", "Lookups that found a key."),
    ("keyspace_misses", "redis_keyspace_misses_total", "Lookups that found none."),
    ("evicted_keys", "redis_evicted_keys_total", "Keys evicted at the memory limit."),
    ("expired_keys", "redis_expired_keys_total", "Keys expired."),
    ("total_net_input_bytes", "redis_net_input_bytes_total", "Bytes received."),
    ("total_net_output_bytes", "redis_net_output_bytes_total", "Bytes sent."),
    ("used_cpu_sys", "redis_cpu_sys_seconds_total", "CPU seconds in the kernel."),
    ("used_cpu_user", "redis_cpu_user_seconds_total", "CPU seconds in the server."),
];

/// Of a replica, with its primary's address as labels.
const REPLICA: [Field; 4] = [
    ("master_link_status", "redis_master_link_up", "1 while the link to the primary is up."),
    (
        "master_last_io_seconds_ago",
        "redis_master_last_io_seconds_ago",
        "Seconds since the primary was heard; -1 never.",
    ),
    ("master_sync_in_progress", "redis_master_sync_in_progress", "1 while a full resynchronisation is received."),
    ("slave_repl_offset", "redis_slave_repl_offset", "Bytes of the primary's stream applied."),
];

/// One pod that said something, with the values of [`POD`].
struct Answer<'a> {
    labels: [&'a str; 3],
    info: &'a RedisInfo,
}

pub(super) fn export(scrape: &Scrape, status: &Status) {
    let up = scrape.gauge("redis_up", "1 when the server answers with the right password.", &POD);
    let mut answers = Vec::new();
    for (name, environment) in &status.environments {
        for (pod, probe) in &environment.redis.pods {
            let labels = [name.as_str(), environment.namespace.as_str(), pod.as_str()];
            up.with_label_values(&labels).set(if probe.up { 1.0 } else { 0.0 });
            answers.extend(probe.info.as_ref().map(|info| Answer { labels, info }));
        }
    }
    fields(scrape, &answers);
    instance_info(scrape, &answers);
    replica(scrape, &answers);
}

fn fields(scrape: &Scrape, answers: &[Answer<'_>]) {
    for (field, metric, help) in GAUGES {
        let gauge = scrape.gauge(metric, help, &POD);
        for answer in answers {
            if let Some(value) = answer.info.fields.get(field) {
                gauge.with_label_values(&answer.labels).set(*value);
            }
        }
    }
    for (field, metric, help) in COUNTERS {
        let counter = scrape.counter(metric, help, &POD);
        for answer in answers {
            // A counter takes no negative number, and INFO has none here.
            if let Some(value) = answer.info.fields.get(field).filter(|value| **value >= 0.0) {
                counter.with_label_values(&answer.labels).inc_by(*value);
            }
        }
    }
}

fn instance_info(scrape: &Scrape, answers: &[Answer<'_>]) {
    let names = labels(&["role", "redis_version", "maxmemory_policy", "run_id"]);
    let gauge = scrape.gauge("redis_instance_info", "Always 1; what the server says it is.", &names);
    for Answer { labels: [environment, namespace, pod], info } in answers {
        let values = [environment, namespace, pod, &*info.role, &*info.version, &*info.maxmemory_policy, &*info.run_id];
        gauge.with_label_values(&values).set(1.0);
    }
}

fn replica(scrape: &Scrape, answers: &[Answer<'_>]) {
    let names = labels(&["master_host", "master_port"]);
    for (field, metric, help) in REPLICA {
        let gauge = scrape.gauge(metric, help, &names);
        for Answer { labels: [environment, namespace, pod], info } in answers {
            let (Some(host), Some(port), Some(value)) = (&info.master_host, info.master_port, info.fields.get(field))
            else {
                continue;
            };
            gauge.with_label_values(&[environment, namespace, pod, &**host, &*port.to_string()]).set(*value);
        }
    }
}

fn labels<'a>(more: &[&'a str]) -> Vec<&'a str> {
    POD.iter().chain(more).copied().collect()
}

# Starts a Sentinel: writes its configuration from the Secret and the topology,
# keeps of an earlier one what it knew (its identity, its votes, the primary),
# then becomes the server.
#
# One that knows nothing takes the primary that two others name, or the only pod
# that calls itself primary; it never guesses by a pod's number.

set -eu
umask 0077
. "${0%/*}/common.sh"
kept=$data/sentinel.conf

# Leaves the primary's name in $primary.
find_primary() {
  said=
  while :; do
    . "$config/topology"
    ask_sentinels
    primary=$named
    [ -z "$primary" ] || return 0
    primaries=0 peer=0 found=
    while [ "$peer" -lt "$replicas" ]; do
      look_at "$(address "$peer")"
      if [ "$state" != silent ] && [ "$state" != loading ] && [ "$(field role)" = master ]; then
        primaries=$((primaries + 1))
        found=$(address "$peer")
      fi
      peer=$((peer + 1))
    done
    if [ "$primaries" = 1 ] && { [ -z "$one" ] || [ "$one" = "$found" ]; }; then
      primary=$found
      return 0
    fi
    what="waiting for one pod to be primary; $primaries say so"
    [ "$what" = "$said" ] || log "$what"
    said=$what
    sleep 1
  done
}

write_configuration() {
  echo "bind * -::*"
  echo "protected-mode yes"
  if [ -n "$tls" ]; then
    echo "port 0"
    echo "tls-port $sentinel_port"
    echo "tls-cert-file $certificates/tls.crt"
    echo "tls-key-file $certificates/tls.key"
    echo "tls-ca-cert-file $certificates/ca.crt"
    echo "tls-auth-clients no"
    echo "tls-replication yes"
  else
    echo "port $sentinel_port"
  fi
  echo "dir $data"
  echo "requirepass $(quoted "$secrets/sentinel-password")"
  echo "sentinel sentinel-pass $(quoted "$secrets/sentinel-password")"
  echo "sentinel resolve-hostnames yes"
  echo "sentinel announce-hostnames yes"
  echo "sentinel announce-ip $(printf "$sentinel_host" "${POD_NAME##*-}")"
  echo "sentinel announce-port $sentinel_port"
  echo "sentinel deny-scripts-reconfig yes"
  echo "$monitor"
  echo "sentinel auth-pass $primary_name $(quoted "$secrets/redis-password")"
  echo "sentinel down-after-milliseconds $primary_name $DOWN_AFTER"
  echo "sentinel failover-timeout $primary_name $FAILOVER_TIMEOUT"
  echo "sentinel parallel-syncs $primary_name 1"
  [ -n "${primary:-}" ] || [ ! -s "$kept" ] ||
    grep -E '^sentinel (myid|current-epoch|config-epoch|leader-epoch|known-replica|known-sentinel) ' "$kept" || true
}

trap 'exit 143' TERM INT
monitor=
[ ! -s "$kept" ] || monitor=$(grep -E "^sentinel monitor $primary_name [^ ]+ $port 2$" "$kept" || true)
if [ -z "$monitor" ]; then
  find_primary
  log "the primary is $primary"
  monitor="sentinel monitor $primary_name $primary $port 2"
fi
write_configuration >"$kept.new"
mv "$kept.new" "$kept"
exec "$server" "$kept" --sentinel

# Puts a backup back: serves it from a scratch server in this pod, lets the
# primary copy it over the replication protocol, and ends when the copy is in
# the primary's own append-only file. Replicas follow by themselves. Clients
# cannot write meanwhile. BACKUP names one of the store, else it is the newest;
# REPLACE=yes agrees to the loss of the keys that are there.

set -eu
umask 0077
. "${0%/*}/common.sh"
store=${REDIS_BACKUP_DIR:-/backup}

serve() {
  ln -sf "$store/$backup.rdb" "$run/restore.rdb"
  {
    echo "bind * -::*"
    echo "dir $run"
    echo "dbfilename restore.rdb"
    echo "appendonly no"
    echo 'save ""'
    echo "user default on #$(hash_of "$secrets/redis-password") ~* &* +@all"
    if [ -n "$tls" ]; then
      echo "port 0"
      echo "tls-port $port"
      echo "tls-cert-file $certificates/tls.crt"
      echo "tls-key-file $certificates/tls.key"
      echo "tls-ca-cert-file $certificates/ca.crt"
      echo "tls-auth-clients no"
      echo "tls-replication yes"
    else
      echo "port $port"
    fi
  } >"$run/restore.conf"
  "$server" "$run/restore.conf" >"$run/restore.log" 2>&1 &
  scratch=$!
  until
    look_at "$POD_IP"
    [ "$state" != silent ] && [ "$state" != loading ]
  do
    kill -0 "$scratch" 2>/dev/null || fail "the backup cannot be served: $(tail -n 3 "$run/restore.log")"
    sleep 1
  done
}

end() {
  code=$?
  trap - EXIT
  [ -z "${followed:-}" ] || ask "$followed" 5 "REPLICAOF NO ONE"
  [ -z "${scratch:-}" ] || kill "$scratch" 2>/dev/null || true
  exit "$code"
}
trap end EXIT
trap 'exit 143' TERM INT

[ "$sentinels" = 0 ] || fail "with Sentinel a primary that follows the backup would be failed over. Set sentinel.enabled: false and service.primary: pod0, restore, and turn Sentinel on again; nothing was changed"
backup=${BACKUP:-}
if [ -z "$backup" ]; then
  for record in "$store"/*.json; do
    [ ! -e "$record" ] || backup=$(basename "$record" .json)
  done
fi
[ -n "$backup" ] || fail "there is no verified backup in the store; nothing was changed"
[ -e "$store/$backup.json" ] && [ -e "$store/$backup.rdb" ] || fail "there is no verified backup $backup; nothing was changed"
grep -q "\"sha256\": \"$(sha256sum "$store/$backup.rdb" | cut -d ' ' -f 1)\"" "$store/$backup.json" ||
  fail "backup $backup is not what was stored: its sum differs; nothing was changed"
check_dump "$store/$backup.rdb" || fail "backup $backup is damaged; nothing was changed"

target=$service
[ "$replicas" = 1 ] || target=$(address 0)
keys_of "$target"
if [ "$keys" != 0 ] && [ "${REPLACE:-}" != yes ]; then
  fail "$target has $keys keys, which the restore would replace; set REPLACE=yes to agree. Nothing was changed"
fi
ask "$target" 5 "INFO replication"
[ "$(field role)" = master ] || fail "$target is no primary; nothing was changed"

log "serving backup $backup"
serve
serving=$state
log "copying $serving keys to $target"
followed=$target
tell "$target" "REPLICAOF $POD_IP $port"
until
  ask "$target" 5 "INFO replication"
  [ "$(field master_link_status)" = up ] && [ "$(field master_sync_in_progress)" = 0 ]
do
  kill -0 "$scratch" 2>/dev/null || fail "the scratch server ended: $(tail -n 3 "$run/restore.log")"
  sleep 1
done
tell "$target" "REPLICAOF NO ONE"
followed=
keys_of "$target"
[ "$keys" = "$serving" ] || log "note: $target has $keys keys, the backup $serving; keys that expired meanwhile are not copied"
until
  ask "$target" 5 "INFO persistence"
  [ "$(field aof_rewrite_in_progress)$(field aof_rewrite_scheduled)" = 00 ]
do
  sleep 1
done
[ "$(field aof_enabled)" = 0 ] || [ "$(field aof_last_bgrewrite_status)" = ok ] ||
  fail "$target has the keys, but could not write them to its append-only file; do not restart it before that is mended"
log "done: $target has $keys keys of backup $backup"

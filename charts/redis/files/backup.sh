# Takes one backup: a dump over the replication protocol, from a replica that is
# in step where there is one. Only a dump that was read back whole gets its
# record (sum, keys, source), and only what has a record is a backup: anything
# else in the store is the rest of an interrupted one and is removed.

set -eu
umask 0077
. "${0%/*}/common.sh"
store=${REDIS_BACKUP_DIR:-/backup}

# Leaves the server to copy in $source and its role in $role.
choose_source() {
  source= role=
  if [ "$replicas" = 1 ]; then
    source=$service role=primary
    return
  fi
  peer=0
  while [ "$peer" -lt "$replicas" ]; do
    ask "$(address "$peer")" 3 "INFO replication"
    case $(field role) in
      slave)
        if [ "$(field master_link_status)" = up ] && [ "$(field master_sync_in_progress)" = 0 ]; then
          source=$(address "$peer") role=replica
          return
        fi
        ;;
      master) source=$(address "$peer") role=primary ;;
    esac
    peer=$((peer + 1))
  done
  [ -n "$source" ] || fail "no Redis to back up answers: ${answer:-nothing}"
}

record_of() {
  sed -n "s/.*\"$2\": *\"\{0,1\}\([^\",}]*\).*/\1/p" "$1"
}

# Removes the oldest backups beyond $KEEP, but never the newest that holds keys.
prune() {
  total=0 last_with_keys=
  for record in "$store"/*.json; do
    [ -e "$record" ] || continue
    total=$((total + 1))
    [ "$(record_of "$record" keys)" = 0 ] || last_with_keys=$record
  done
  for record in "$store"/*.json; do
    [ "$total" -gt "$KEEP" ] || break
    if [ "$record" = "$last_with_keys" ]; then continue; fi
    rm -f "$record" "${record%.json}.rdb"
    log "removed ${record##*/}"
    total=$((total - 1))
  done
}

choose_source
ask "$source" 5 "INFO server"
version=$(field redis_version)
[ -n "$version" ] || fail "$source does not answer: ${answer:-nothing}"
for rest in "$store"/*.rdb.partial "$store"/*.json.partial; do
  rm -f "$rest"
done
for dump in "$store"/*.rdb; do
  [ ! -e "$dump" ] || [ -e "${dump%.rdb}.json" ] || rm -f "$dump"
done
name=$(date -u +%Y%m%dT%H%M%SZ)
partial=$store/$name.rdb.partial
log "copying from $source ($role)"
cli "$accepted" "$source" "$port" --rdb "$partial" >"$run/output" 2>&1 || {
  rm -f "$partial"
  fail "the copy failed: $(tail -n 1 "$run/output")"
}
check_dump "$partial" || {
  rm -f "$partial"
  fail "the copy is damaged: $(printf '%s\n' "$checked" | tail -n 3)"
}
sum=$(sha256sum "$partial" | cut -d ' ' -f 1)
bytes=$(($(wc -c <"$partial")))
printf '{"backup": "%s", "sha256": "%s", "bytes": %s, "keys": %s, "source": "%s", "role": "%s", "version": "%s"}\n' \
  "$name" "$sum" "$bytes" "$dump_keys" "$source" "$role" "$version" >"$store/$name.json.partial"
sync
mv "$partial" "$store/$name.rdb"
mv "$store/$name.json.partial" "$store/$name.json"
log "backup $name: $dump_keys keys, $bytes bytes, verified"
prune

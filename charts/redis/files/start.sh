# Starts Redis in its pod: writes beside redis.conf what only the pod knows, the
# passwords and the role, then becomes redis-server. Argument: the topology.
#
# The role is decided so that emptiness never spreads: a pod without keys does
# not become primary before every peer has said that it has none either, and a
# pod with keys does not follow a primary without. Where that cannot be met the
# pod is an orphan: it serves what it has, read-only, is not ready, and waits for
# a person. Runs at every start of the container, not only of the pod.

set -eu
umask 0077
. "${0%/*}/common.sh"

log() {
  echo "start.sh: $*" >&2
}

escaped() {
  printf 'masterauth "%s"\n' "$(password "$1" | od -An -v -tx1 | tr -d ' \n' | sed 's/../\\x&/g')"
}

hash_of() {
  password "$1" | sha256sum | cut -d ' ' -f 1
}

# auth.conf as the chart rendered it, or made from an existing Secret.
write_auth() {
  rm -f "$run/auth.conf"
  if [ -f "$secrets/auth.conf" ]; then
    cat "$secrets/auth.conf" >"$run/auth.conf"
  else
    if [ -z "$(password "$secrets/redis-password" | od -An -N1 -tx1)" ]; then
      log "the key redis-password of the Secret is empty; Redis is not started without a password"
      exit 1
    fi
    hashes="#$(hash_of "$secrets/redis-password")"
    if [ -s "$secrets/redis-password-previous" ]; then
      hashes="$hashes #$(hash_of "$secrets/redis-password-previous")"
    fi
    printf 'user default on %s ~* &* +@all\n' "$hashes" >"$run/auth.conf"
    escaped "$secrets/redis-password" >>"$run/auth.conf"
  fi
  chmod 0400 "$run/auth.conf"
}

# Whether the file Redis will load holds a key. A dump of no keys is a few
# hundred bytes, so only a small one needs to be read.
dump_has_keys() {
  [ -s "$1" ] || return 1
  [ "$(wc -c <"$1")" -le 1024 ] || return 0
  checker="$run/redis-check-rdb"
  [ -e "$checker" ] || ln -s "$(command -v redis-server)" "$checker"
  "$checker" "$1" 2>/dev/null | grep -q '[1-9][0-9]* keys read'
}

append_only() {
  grep -q '^appendonly yes' "$config/redis.conf"
}

append_only_has_keys() {
  [ ! -s "$data/appendonly.aof" ] || return 0
  for file in "$data"/appendonlydir/*.base.rdb; do
    if dump_has_keys "$file"; then return 0; fi
  done
  for file in "$data"/appendonlydir/*.base.aof "$data"/appendonlydir/*.incr.aof; do
    [ ! -s "$file" ] || return 0
  done
  return 1
}

has_keys() {
  if append_only; then
    append_only_has_keys
  else
    dump_has_keys "$data/dump.rdb"
  fi
}

# With an append-only file that is empty or not there yet, Redis would start
# empty beside a dump full of keys and soon overwrite it: after appendonly was
# turned on, after a restore, or after a crash in a replica's first copy. The
# dump becomes the base of the append-only file instead.
adopt_dump() {
  append_only || return 0
  if append_only_has_keys || ! dump_has_keys "$data/dump.rdb"; then return 0; fi
  log "the append-only file has no keys, but dump.rdb has; going on with those"
  rm -rf "$data/appendonlydir.new"
  mkdir "$data/appendonlydir.new"
  ln "$data/dump.rdb" "$data/appendonlydir.new/appendonly.aof.1.base.rdb"
  echo 'file appendonly.aof.1.base.rdb seq 1 type b' >"$data/appendonlydir.new/appendonly.aof.manifest"
  rm -rf "$data/appendonlydir"
  mv "$data/appendonlydir.new" "$data/appendonlydir"
}

address() {
  printf "$host" "$1"
}

# Leaves in $state what a pod says of itself: silent, loading, or its keys.
look_at() {
  ask "$1" 2 "INFO persistence${nl}INFO replication${nl}INFO keyspace"
  case $answer in
    *role:*) ;;
    *)
      state=silent
      return
      ;;
  esac
  if [ "$(field loading)" = 1 ]; then
    state=loading
    return
  fi
  state=0
  for keys in $(printf '%s\n' "$answer" | sed -n 's/^db[0-9]*:keys=\([0-9]*\),.*/\1/p'); do
    state=$((state + keys))
  done
}

follow() {
  log "following $1"
  printf 'replicaof %s %s\n' "$1" "$port" >>"$run/role.conf"
  # A primary that was not restarted since a password change knows only the old one.
  [ "${accepted:-}" != "$secrets/redis-password-previous" ] || escaped "$accepted" >>"$run/role.conf"
}

# Follows an address where nothing ever answers: read-only, with its own data.
orphan() {
  printf 'replicaof 127.0.0.1 1\n' >>"$run/role.conf"
}

# Pod 0 without keys: the first installation, or a lost volume. Only the peers
# can tell, and one that does not answer yet may be the one with the keys.
ask_peers() {
  told=
  while :; do
    . "$config/topology"
    waiting= holders= peer=1
    while [ "$peer" -lt "$replicas" ]; do
      look_at "$(address "$peer")"
      case $state in
        silent | loading) waiting="$waiting $(address "$peer") ($state)" ;;
        0) ;;
        *) holders="$holders $(address "$peer") ($state keys)" ;;
      esac
      peer=$((peer + 1))
    done
    if [ -n "$holders" ]; then
      log "ORPHAN: this pod has no keys, but these have:$holders. Becoming primary would delete them. To copy them here and go on, run: kubectl exec $POD_NAME -- sh $config/recover.sh ORDINAL-OF-THE-POD. If they are of no worth, delete the claims of those pods, then the pods."
      orphan
      return
    fi
    if [ -z "$waiting" ]; then
      log "no pod has keys; starting as primary"
      return
    fi
    if [ -e "$run/start-empty" ]; then
      log "starting as an empty primary as told, without an answer from$waiting"
      return
    fi
    if [ "$waiting" != "$told" ]; then
      log "this pod has no keys and waits for its peers to say that they have none:$waiting. If a peer is gone for good, and its keys with it, run: kubectl exec $POD_NAME -- touch $run/start-empty"
      told=$waiting
    fi
    sleep 1
  done
}

# The other pods follow pod 0, except with keys while it is a primary without.
# Where pod 0 does not answer, following it is safe: without keys it will not
# become primary before it has asked this pod.
ask_primary() {
  primary=$(address 0)
  patience=10
  while :; do
    look_at "$primary"
    [ "$state" = silent ] && [ "$patience" -gt 0 ] && has_keys || break
    patience=$((patience - 1))
    sleep 1
  done
  if [ "$state" = 0 ] && [ "$(field role)" = master ] && has_keys; then
    log "ORPHAN: this pod has keys, but the primary $primary has none. Following it would delete them. To keep them, run: kubectl exec ${POD_NAME%-*}-0 -- sh $config/recover.sh ${POD_NAME##*-}. If they are of no worth, delete the claim of this pod, then the pod."
    orphan
    return
  fi
  follow "$primary"
}

decide_role() {
  ordinal=${POD_NAME##*-}
  printf 'replica-announce-ip %s\n' "$(address "$ordinal")" >"$run/role.conf"
  if [ "$ordinal" != 0 ]; then
    ask_primary
  elif has_keys; then
    log "starting as primary with the keys of this pod's volume"
  else
    ask_peers
  fi
}

# As process 1 a shell ignores the signal unless it says otherwise.
trap 'exit 143' TERM INT
write_auth
adopt_dump
: >"$run/role.conf"
[ "$1" != replication ] || decide_role
exec redis-server "$config/redis.conf"

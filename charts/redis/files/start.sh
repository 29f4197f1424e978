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

# The password of a key of the Secret, and the previous one, as Redis stores them.
hashes_of() {
  printf '#%s' "$(hash_of "$secrets/$1")"
  if [ -s "$secrets/$1-previous" ]; then
    printf ' #%s' "$(hash_of "$secrets/$1-previous")"
  fi
}

write_users() {
  while read -r name rules; do
    [ -n "$name" ] || continue
    if [ -z "$(password "$secrets/$name-password" | od -An -N1 -tx1)" ]; then
      fail "the key $name-password of the Secret is empty; Redis is not started with a user without a password"
    fi
    printf 'user %s on %s %s\n' "$name" "$(hashes_of "$name-password")" "$rules" >>"$run/auth.conf"
  done <"$config/users"
}

# auth.conf as the chart rendered it, or made from an existing Secret.
write_auth() {
  rm -f "$run/auth.conf"
  if [ -f "$secrets/auth.conf" ]; then
    cat "$secrets/auth.conf" >"$run/auth.conf"
  else
    if [ -z "$(password "$secrets/redis-password" | od -An -N1 -tx1)" ]; then
      fail "the key redis-password of the Secret is empty; Redis is not started without a password"
    fi
    hashes=$(hashes_of redis-password)
    printf 'user default on %s ~* &* +@all\n' "$hashes" >"$run/auth.conf"
    [ ! -f "$config/users" ] || write_users
    printf 'masterauth %s\n' "$(quoted "$secrets/redis-password")" >>"$run/auth.conf"
  fi
  chmod 0400 "$run/auth.conf"
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

follow() {
  log "following $1"
  printf 'replicaof %s %s\n' "$1" "$port" >>"$run/role.conf"
  # A primary that was not restarted since a password change knows only the old one.
  if [ "${accepted:-}" = "$secrets/redis-password-previous" ]; then
    printf 'masterauth %s\n' "$(quoted "$accepted")" >>"$run/role.conf"
  fi
}

# Follows an address where nothing ever answers: read-only, with its own data.
orphan() {
  printf 'replicaof 127.0.0.1 1\n' >>"$run/role.conf"
}

# What the other pods say: $holders have keys, $waiting do not answer yet.
look_at_peers() {
  . "$config/topology"
  waiting= holders= peer=0
  while [ "$peer" -lt "$replicas" ]; do
    if [ "$peer" != "$ordinal" ]; then
      look_at "$(address "$peer")"
      case $state in
        silent | loading) waiting="$waiting $(address "$peer") ($state)" ;;
        0) ;;
        *) holders="$holders $(address "$peer") ($state keys)" ;;
      esac
    fi
    peer=$((peer + 1))
  done
}

# Says something once, not in each round.
say() {
  [ "$1" = "${said:-}" ] || log "$1"
  said=$1
}

# Pod 0 without keys: the first installation, or a lost volume. Only the peers
# can tell, and one that does not answer yet may be the one with the keys.
ask_peers() {
  while :; do
    look_at_peers
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
    say "this pod has no keys and waits for its peers to say that they have none:$waiting. If a peer is gone for good, and its keys with it, run: kubectl exec $POD_NAME -- touch $run/start-empty"
    sleep 1
  done
}

# Follows $1, unless this pod has keys and that primary has none. Where it does
# not answer, following it is safe: without keys it will not become primary
# before it has asked this pod.
follow_if_safe() {
  patience=10
  while :; do
    look_at "$1"
    [ "$state" = silent ] && [ "$patience" -gt 0 ] && has_keys || break
    patience=$((patience - 1))
    sleep 1
  done
  if [ "$state" = 0 ] && [ "$(field role)" = master ] && has_keys; then
    remedy="To keep them, run: kubectl exec ${POD_NAME%-*}-0 -- sh $config/recover.sh ${POD_NAME##*-}."
    [ "$sentinels" = 0 ] || remedy="They can be read here; copy what is of worth by a client."
    log "ORPHAN: this pod has keys, but the primary $1 has none. Following it would delete them. $remedy If they are of no worth, delete the claim of this pod, then the pod."
    orphan
    return
  fi
  follow "$1"
}

# With Sentinel nobody becomes primary whom two Sentinels do not name, except at
# a first installation, when no pod has a key. Sentinels keep what they know on
# claims, so they can tell even after everything was down.
ask_for_role() {
  self=$(address "$ordinal") patience=5
  while :; do
    ask_sentinels
    if [ "$named" = "$self" ] && has_keys; then
      log "starting as the primary that the Sentinels name, with the keys of this pod's volume"
      return
    elif [ -n "$named" ] && [ "$named" != "$self" ]; then
      follow_if_safe "$named"
      return
    elif [ -e "$run/start-primary" ]; then
      log "starting as primary as told, though no two Sentinels name this pod"
      return
    elif has_keys; then
      say "this pod has keys and waits for two Sentinels to name the primary. If the Sentinels lost what they knew, choose the pod with the best keys and run in it: kubectl exec POD -- touch $run/start-primary"
    elif [ "$named" = "$self" ] || { [ "$ordinal" = 0 ] && [ -z "$one" ]; }; then
      look_at_peers
      if [ -z "$holders$waiting" ]; then
        log "no pod has keys; starting as primary"
        return
      fi
      say "this pod has no keys and does not become primary; it waits for the others to say that they have none, or for the Sentinels to name one that has. With keys:${holders:- none}. Without an answer:${waiting:- none}"
    elif [ "$ordinal" = 0 ]; then
      say "this pod has no keys; one Sentinel names $one as the primary, and it waits for a second"
    elif [ "$patience" = 0 ]; then
      follow "$(address 0)"
      return
    else
      patience=$((patience - 1))
    fi
    sleep 1
  done
}

decide_role() {
  ordinal=${POD_NAME##*-}
  printf 'replica-announce-ip %s\n' "$(address "$ordinal")" >"$run/role.conf"
  if [ "$min_replicas" = auto ]; then
    min_replicas=$((replicas > 2))
  fi
  printf 'min-replicas-to-write %s\n' "$min_replicas" >>"$run/role.conf"
  if ! has_keys; then
    # Nobody promotes a pod before it has its first copy; readiness.sh ends this.
    printf 'replica-priority 0\n' >>"$run/role.conf"
    : >"$run/without-copy"
  fi
  if [ "$sentinels" != 0 ]; then
    ask_for_role
  elif [ "$ordinal" != 0 ]; then
    follow_if_safe "$(address 0)"
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
exec "$server" "$config/redis.conf"

# Brings the keys of another pod back to pod 0, which lost its own, and makes
# pod 0 the primary again. Run in pod 0 while it is an orphan, or an empty
# primary. Argument: the ordinal of the pod that has the keys. May be repeated
# after an interruption: until pod 0 has every key the other pod stays primary.

set -eu
. "${0%/*}/common.sh"

fail() {
  echo "recover.sh: $*" >&2
  exit 1
}

here=${REDIS_PROBE_HOST:-127.0.0.1}
self=$(printf "$host" 0)
other=$(printf "$host" "${1:?the ordinal of the pod that has the keys, such as 1}")
[ "${POD_NAME##*-}" = 0 ] || fail "run this in pod ${POD_NAME%-*}-0"

# tell HOST COMMANDS: fails unless every reply is OK.
tell() {
  ask "$1" 5 "$2"
  if [ -z "$answer" ] || printf '%s\n' "$answer" | grep -qv '^OK'; then
    fail "$1 answered to '$2': ${answer:-nothing}"
  fi
}

keys_of() {
  ask "$1" 5 "INFO keyspace"
  case $answer in
    *Keyspace*) ;;
    *) fail "$1 does not answer: ${answer:-nothing}" ;;
  esac
  keys=0
  for count in $(printf '%s\n' "$answer" | sed -n 's/^db[0-9]*:keys=\([0-9]*\),.*/\1/p'); do
    keys=$((keys + count))
  done
}

keys_of "$here"
ask "$here" 5 "INFO replication"
if [ "$keys" != 0 ] && [ "$(field master_host)" != "$other" ]; then
  fail "pod 0 has $keys keys of its own; nothing was changed"
fi
keys_of "$other"
[ "$keys" != 0 ] || fail "$other has no keys; nothing was changed"
echo "copying $keys keys from $other"

# Nobody writes to the other pod while it is primary: what it took after the
# copy would be lost when it follows again.
tell "$other" "REPLICAOF NO ONE${nl}CLIENT PAUSE 3600000 WRITE"
tell "$here" "REPLICAOF $other $port"
until
  ask "$here" 5 "INFO replication"
  [ "$(field master_link_status)" = up ] && [ "$(field master_sync_in_progress)" = 0 ]
do
  sleep 1
done
keys_of "$here"
echo "pod 0 has $keys keys; making it the primary again"
tell "$here" "REPLICAOF NO ONE"
tell "$other" "REPLICAOF $self $port${nl}CLIENT UNPAUSE"
echo "done: writes go to $self, $other follows it"

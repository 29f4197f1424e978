# Brings the keys of another pod back to pod 0, which lost its own, and makes
# pod 0 the primary again. Run in pod 0 while it is an orphan, or an empty
# primary. Argument: the ordinal of the pod that has the keys. May be repeated
# after an interruption: until pod 0 has every key the other pod stays primary.

set -eu
. "${0%/*}/common.sh"

self=$(address 0)
other=$(address "${1:?the ordinal of the pod that has the keys, such as 1}")
[ "$sentinels" = 0 ] || fail "with Sentinel no pod is primary by its number; a pod without keys waits until the Sentinels name one that has"
[ "${POD_NAME##*-}" = 0 ] || fail "run this in pod ${POD_NAME%-*}-0"

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

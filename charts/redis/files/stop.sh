# Before the signal. With Sentinel, a primary is replaced first, so that writes
# pause for a second and not until the Sentinels notice; they wait meanwhile, so
# that none is taken here after the other has become primary.
#
# Then: Redis refuses to stop while it writes its first append-only file ("Writing
# initial AOF, can't exit"), forgets the signal, and lives on until it is killed.
# So the signal waits for that file, which also puts a replica's first copy on
# disk. Argument: seconds to wait at most.

. "${0%/*}/common.sh"
left=$1

is_primary() {
  ask "$here" 2 ROLE
  [ "${answer%%"$nl"*}" = master ]
}

# Leaves the primary's name in $named, as one Sentinel has it.
ask_one() {
  ask_sentinel "$(printf "$sentinel_host" "$1")" 2 "SENTINEL GET-MASTER-ADDR-BY-NAME $primary_name"
  named=
  [ "$(printf '%s\n' "$answer" | sed -n 2p)" != "$port" ] || named=${answer%%"$nl"*}
}

hand_over() {
  self=$(address "${POD_NAME##*-}")
  half=$((left / 2))
  ask "$here" 2 "CLIENT PAUSE $((half * 1000)) WRITE"
  # Only one is asked, and once: a second request would be for the new primary.
  begun= number=0
  while [ -z "$begun" ] && [ "$number" -lt "$sentinels" ]; do
    ask_one "$number"
    if [ "$named" = "$self" ]; then
      ask_sentinel "$(printf "$sentinel_host" "$number")" 2 "SENTINEL FAILOVER $primary_name"
      case $answer in
        OK* | *INPROG*) begun=$number ;;
      esac
    fi
    number=$((number + 1))
  done
  while [ -n "$begun" ] && [ "$left" -gt "$half" ] && is_primary; do
    ask_one "$begun"
    if [ -n "$named" ] && [ "$named" != "$self" ]; then
      ask "$here" 2 "REPLICAOF $named $port"
    else
      sleep 1
    fi
    left=$((left - 1))
  done
  ask "$here" 2 "CLIENT UNPAUSE"
}

if [ "$sentinels" != 0 ] && is_primary; then
  hand_over
fi
while [ "$left" -gt 0 ]; do
  ask "$here" 2 "INFO persistence"
  case $answer in
    *aof_rewrite_in_progress:1* | *aof_rewrite_scheduled:1*) ;;
    *) exit 0 ;;
  esac
  left=$((left - 1))
  sleep 1
done

# Before a pod with Sentinel ends: where it is the primary, the Sentinels choose
# another first, so that writes pause for a second and not until they notice.
# Writes wait meanwhile, so that none is taken here after the other has become
# primary.

. "${0%/*}/common.sh"
self=$(address "${POD_NAME##*-}")
left=$((grace / 3))

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

is_primary || exit 0
ask "$here" 2 "CLIENT PAUSE $((left * 1000)) WRITE"
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
while [ -n "$begun" ] && [ "$left" -gt 0 ] && is_primary; do
  ask_one "$begun"
  if [ -n "$named" ] && [ "$named" != "$self" ]; then
    ask "$here" 2 "REPLICAOF $named $port"
  else
    sleep 1
  fi
  left=$((left - 1))
done
ask "$here" 2 "CLIENT UNPAUSE"
exit 0

# Before a pod with Sentinel ends: where it is the primary, the Sentinels choose
# another first, so that writes pause for a second and not until they notice.

. "${0%/*}/common.sh"

role() {
  ask "$here" 2 ROLE
  printf '%s\n' "${answer%%"$nl"*}"
}

left=$((grace / 3))
while [ "$(role)" = master ] && [ "$left" -gt 0 ]; do
  number=0
  while [ "$number" -lt "$sentinels" ]; do
    # One that is asked twice answers INPROG, one that knows no replica NOGOODSLAVE.
    ask_sentinel "$(printf "$sentinel_host" "$number")" 2 "SENTINEL FAILOVER $primary_name"
    case $answer in
      OK* | *INPROG*) break ;;
    esac
    number=$((number + 1))
  done
  sleep 1
  left=$((left - 1))
done
exit 0

# Ready is a server that can serve: not one that loads, and not a replica whose
# link to its primary is down or whose first copy is under way. A server that
# cannot save or is out of clients still serves; that is for an alert.
# Argument: seconds to wait.

. "${0%/*}/common.sh"

ask "$here" "$1" "PING${nl}INFO replication"
# Ready for the first time, a pod may also be promoted.
ready() {
  [ -e "$run/without-copy" ] || exit 0
  ask "$here" "$1" "CONFIG SET replica-priority 100"
  case $answer in
    OK*) rm -f "$run/without-copy" ;;
  esac
  exit 0
}

case $answer in
  *LOADING*)
    echo "Redis is loading its data"
    exit 1
    ;;
  *role:slave*)
    [ "$(field master_link_status)" = up ] && [ "$(field master_sync_in_progress)" = 0 ] && ready "$1"
    echo "replica of $(field master_host):$(field master_port), link $(field master_link_status), first copy under way: $(field master_sync_in_progress)"
    exit 1
    ;;
  *role:master*) ready "$1" ;;
  *PONG* | *MISCONF* | *BUSY* | *NOAUTH* | *WRONGPASS* | *NOPERM* | *ERR*) exit 0 ;;
esac
answer=${answer%%"$nl"*}
echo "no answer from Redis within $1 s: ${answer:-nothing at all}"
exit 1

# Ready is a server that can serve: not one that loads, and not a replica whose
# link to its primary is down or whose first copy is under way. A server that
# cannot save or is out of clients still serves; that is for an alert.
# Argument: seconds to wait.

. "${0%/*}/common.sh"

ask "${REDIS_PROBE_HOST:-127.0.0.1}" "$1" "PING${nl}INFO replication"
case $answer in
  *LOADING*)
    echo "Redis is loading its data"
    exit 1
    ;;
  *role:slave*)
    [ "$(field master_link_status)" = up ] && [ "$(field master_sync_in_progress)" = 0 ] && exit 0
    echo "replica of $(field master_host):$(field master_port), link $(field master_link_status), first copy under way: $(field master_sync_in_progress)"
    exit 1
    ;;
  *PONG* | *MISCONF* | *BUSY* | *NOAUTH* | *WRONGPASS* | *NOPERM* | *ERR*) exit 0 ;;
esac
answer=${answer%%"$nl"*}
echo "no answer from Redis within $1 s: ${answer:-nothing at all}"
exit 1

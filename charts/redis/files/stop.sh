# Before the signal: Redis refuses to stop while it writes its first append-only
# file ("Writing initial AOF, can't exit"), forgets the signal, and lives on until
# it is killed. So the signal waits for that file, which also puts a replica's
# first copy on disk. Argument: seconds to wait at most.

. "${0%/*}/common.sh"

left=$1
while [ "$left" -gt 0 ]; do
  ask "${REDIS_PROBE_HOST:-127.0.0.1}" 2 "INFO persistence"
  case $answer in
    *aof_rewrite_in_progress:1* | *aof_rewrite_scheduled:1*) ;;
    *) exit 0 ;;
  esac
  left=$((left - 1))
  sleep 1
done

# Alive is a server that answers anything. One that loads, cannot save, is out
# of clients or has another password than ours is not helped by a restart, and
# may lose what it has not saved. Argument: seconds to wait.

. "${0%/*}/common.sh"

ask "$here" "$1" PING
case $answer in
  *PONG* | *LOADING* | *MASTERDOWN* | *MISCONF* | *BUSY* | *NOAUTH* | *WRONGPASS* | *NOPERM* | *ERR*) exit 0 ;;
esac
answer=${answer%%"$nl"*}
echo "no answer from Redis within $1 s: ${answer:-nothing at all}"
exit 1

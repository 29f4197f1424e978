# A Sentinel that answers is alive and ready; what it knows is for an alert.
# Argument: seconds to wait.

. "${0%/*}/common.sh"

ask_sentinel "$here" "$1" PING
case $answer in
  *PONG* | *NOAUTH* | *WRONGPASS* | *ERR*) exit 0 ;;
esac
answer=${answer%%"$nl"*}
echo "no answer from Sentinel within $1 s: ${answer:-nothing at all}"
exit 1

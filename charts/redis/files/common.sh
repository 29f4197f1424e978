# What the scripts of this directory share: where things are, and how to ask a
# Redis something without its password showing in an argument list or in the
# environment of a process that lives on. POSIX sh and busybox are enough.

config=${REDIS_CONFIG_DIR:-/etc/redis}
secrets=${REDIS_SECRETS_DIR:-/run/secrets/redis}
run=${REDIS_RUN_DIR:-/run/redis}
data=${REDIS_DATA_DIR:-/data}
nl='
'
. "$config/topology"

# The bytes of a password file, less one newline at its end.
password() {
  size=$(($(wc -c <"$1")))
  if [ "$(tail -c 1 "$1" | od -An -tx1 | tr -d ' ')" = 0a ]; then
    size=$((size - 1))
  fi
  head -c "$size" "$1"
}

# ask HOST SECONDS COMMANDS: leaves the text of the replies in $answer, and in
# $accepted the file of the password that was used: the current one, or the
# previous one where that server does not know the current one yet.
ask() {
  answer=
  for accepted in "$secrets/redis-password" "$secrets/redis-password-previous"; do
    [ -f "$accepted" ] || continue
    # The x keeps the shell from cutting newlines that belong to the password.
    secret=$(password "$accepted"; printf x)
    answer=$(printf '%s\n' "$3" |
      REDISCLI_AUTH=${secret%x} timeout "$2" redis-cli -h "$1" -p "$port" 2>&1 |
      tr -d '\r')
    secret=
    case $answer in
      *WRONGPASS*) ;;
      *) break ;;
    esac
  done
}

# The value of one field of INFO in $answer.
field() {
  printf '%s\n' "$answer" | sed -n "s/^$1://p"
}

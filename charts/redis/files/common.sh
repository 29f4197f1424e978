# What the scripts of this directory share: where things are, and how to ask a
# Redis something without its password showing in an argument list or in the
# environment of a process that lives on. POSIX sh and busybox are enough.

config=${REDIS_CONFIG_DIR:-/etc/redis}
secrets=${REDIS_SECRETS_DIR:-/run/secrets/redis}
certificates=${REDIS_TLS_DIR:-/run/secrets/redis-tls}
run=${REDIS_RUN_DIR:-/run/redis}
data=${REDIS_DATA_DIR:-/data}
here=${REDIS_PROBE_HOST:-127.0.0.1}
nl='
'
. "$config/topology"
tls_flags=
if [ -n "$tls" ]; then
  tls_flags="--tls --cacert $certificates/ca.crt --cert $certificates/tls.crt --key $certificates/tls.key"
fi

log() {
  echo "${0##*/}: $*" >&2
}

fail() {
  log "$*"
  exit 1
}

# The bytes of a password file, less one newline at its end.
password() {
  size=$(($(wc -c <"$1")))
  if [ "$(tail -c 1 "$1" | od -An -tx1 | tr -d ' ')" = 0a ]; then
    size=$((size - 1))
  fi
  head -c "$size" "$1"
}

hash_of() {
  password "$1" | sha256sum | cut -d ' ' -f 1
}

# A password as a quoted word of a configuration file, whatever its bytes.
quoted() {
  printf '"%s"' "$(password "$1" | od -An -v -tx1 | tr -d ' \n' | sed 's/../\\x&/g')"
}

# cli PASSWORD-FILE HOST PORT ARGUMENTS...: the client, with that password.
cli() {
  # The x keeps the shell from cutting newlines that belong to the password.
  secret=$(password "$1"; printf x)
  cli_host=$2 cli_port=$3
  shift 3
  REDISCLI_AUTH=${secret%x} VALKEYCLI_AUTH=${secret%x} "$client" $tls_flags -h "$cli_host" -p "$cli_port" "$@"
  result=$?
  secret=
  return "$result"
}

# ask HOST SECONDS COMMANDS: leaves the text of the replies in $answer, and in
# $accepted the file of the password that was used: the current one, or the
# previous one where that server does not know the current one yet.
ask() {
  ask_with "$1" "$port" "$2" "$3" "$secrets/redis-password" "$secrets/redis-password-previous"
}

# The same of a Sentinel.
ask_sentinel() {
  ask_with "$1" "$sentinel_port" "$2" "$3" "$secrets/sentinel-password"
}

ask_with() {
  asked=$1 asked_port=$2 seconds=$3 commands=$4
  shift 4
  answer=
  for accepted; do
    [ -f "$accepted" ] || continue
    secret=$(password "$accepted"; printf x)
    answer=$(printf '%s\n' "$commands" |
      REDISCLI_AUTH=${secret%x} VALKEYCLI_AUTH=${secret%x} timeout "$seconds" \
        "$client" $tls_flags -h "$asked" -p "$asked_port" 2>&1 |
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

# The keys of all databases, from INFO keyspace in $answer.
keys_in_answer() {
  keys=0
  for count in $(printf '%s\n' "$answer" | sed -n 's/^db[0-9]*:keys=\([0-9]*\),.*/\1/p'); do
    keys=$((keys + count))
  done
}

# Leaves the keys of a server in $keys; fails where it does not answer.
keys_of() {
  ask "$1" 5 "INFO keyspace"
  case $answer in
    *Keyspace*) ;;
    *) fail "$1 does not answer: ${answer:-nothing}" ;;
  esac
  keys_in_answer
}

# tell HOST COMMANDS: fails unless every reply is OK.
tell() {
  ask "$1" 5 "$2"
  if [ -z "$answer" ] || printf '%s\n' "$answer" | grep -qv '^OK'; then
    fail "$1 answered to '$2': ${answer:-nothing}"
  fi
}

# Leaves in $state what a server says of itself: silent, loading, or its keys.
look_at() {
  ask "$1" 2 "INFO persistence${nl}INFO replication${nl}INFO keyspace"
  case $answer in
    *role:*) ;;
    *)
      state=silent
      return
      ;;
  esac
  if [ "$(field loading)" = 1 ]; then
    state=loading
    return
  fi
  keys_in_answer
  state=$keys
}

# The name of a pod of Redis, by its ordinal.
address() {
  printf "$host" "$1"
}

# Leaves in $named the primary that at least two Sentinels name, or nothing, and
# in $one one that one of them named.
ask_sentinels() {
  named= one= names=' ' number=0
  while [ "$number" -lt "$sentinels" ]; do
    ask_sentinel "$(printf "$sentinel_host" "$number")" 2 "SENTINEL GET-MASTER-ADDR-BY-NAME $primary_name"
    number=$((number + 1))
    [ "$(printf '%s\n' "$answer" | sed -n 2p)" = "$port" ] || continue
    one=${answer%%"$nl"*}
    case $names in
      *" $one "*) named=$one ;;
    esac
    names="$names$one "
  done
}

# Whether a dump holds a key. A dump of no keys is a few hundred bytes, so only
# a small one needs to be read.
dump_has_keys() {
  [ -s "$1" ] || return 1
  [ "$(wc -c <"$1")" -le 1024 ] || return 0
  check_dump "$1" && [ "$dump_keys" != 0 ]
}

# Reads a whole dump; fails where it is damaged. Leaves its keys in $dump_keys.
check_dump() {
  checker="$run/${server%-server}-check-rdb"
  [ -e "$checker" ] || ln -s "$(command -v "$server")" "$checker"
  checked=$("$checker" "$1" 2>&1) || return 1
  dump_keys=$(printf '%s\n' "$checked" | sed -n 's/.*[^0-9]\([0-9][0-9]*\) keys read.*/\1/p')
  [ -n "$dump_keys" ]
}

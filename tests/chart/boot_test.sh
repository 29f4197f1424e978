#!/bin/sh
# The start order, the passwords, the probes and the recovery, with real servers;
# see pods.sh.

set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/pods.sh"

render "$work/rendered/replication" --set replicaCount=3
render "$work/rendered/standalone"
printf 'a "word" with $ {}\\ and spaces' >"$work/password"

# ---- passwords -------------------------------------------------------------

# The values' text and the bytes it stands for, less the one newline.
passwords='plain plain
"quoted" \042quoted\042
two\u0020spaces\u0020\u0020 two\040spaces\040\040
back\\slash\\\\x41 back\134slash\134\134x41
single\u0027quote single\047quote
inner\nnewline inner\012newline
ends\n ends
ends-twice\n\n ends-twice\012
\n\u0020starts \012\040starts
#$%&;|<>*?[]{}~` #$%%&;|<>*?[]{}~`
gr\u00fc\u00df\u0435 gr\303\274\303\237\320\265
1234567890 1234567890'

begin passwords
index=0
printf '%s\n' "$passwords" >"$work/$case_name/table"
while IFS=' ' read -r json bytes; do
  index=$((index + 1))
  json=$(printf '%s' "$json" | sed 's/^"\(.*\)"$/\\"\1\\"/')
  printf '{"secrets":{"redisPassword":"%s"}}' "$json" >"$work/$case_name/values.yaml"
  render "$work/$case_name/rendered" -f "$work/$case_name/values.yaml"
  sed -n 's/^  redis-password: "\(.*\)"$/\1/p' "$work/$case_name/rendered/all.yaml" | base64 -d >"$work/$case_name/stored"
  make_pod "$index" "$work/rendered/standalone" 1 "$work/$case_name/stored"
  start "$index" standalone
  within 5 "Redis with password $index is not ready" ready "$index"
  cmp "$work/$case_name/rendered/auth.conf" "$pod/run/auth.conf" || die "password $index: chart and script write different access files"
  [ "$(stat -c %a "$pod/run/auth.conf")" = 400 ] || die "the access file is readable by others"
  secret=$(printf "$bytes"; printf x)
  REDISCLI_AUTH=${secret%x} redis-cli -h "$REDIS_PROBE_HOST" -p "$port" --no-raw config get masterauth >"$work/$case_name/masterauth"
  printf '%s' "${secret%x}" | redis-cli -h "$REDIS_PROBE_HOST" -p "$port" -x auth >"$work/$case_name/auth" || true
  grep -q '^OK' "$work/$case_name/auth" || die "password $index is not the one that was given"
  grep -q masterauth "$work/$case_name/masterauth" || die "password $index is not accepted"
  redis-cli -h "$REDIS_PROBE_HOST" -p "$port" ping 2>&1 | grep -q NOAUTH || die "Redis answers without a password"
  stop "$index"
done <"$work/$case_name/table"
finish

begin empty-password
: >"$work/$case_name/nothing"
make_pod 0 "$work/rendered/standalone" 1 "$work/$case_name/nothing"
start 0 standalone
within 5 "start with an empty password goes on" gone "$(cat "$pod/pid")"
must logged 0 'not started without a password'
rm "$pod/pid"
finish

begin password-is-nowhere
make_pod 0 "$work/rendered/standalone" 1 "$work/password"
start 0 standalone
within 5 "Redis is not ready" ready 0
pid=$(cat "$pod/pid")
[ "$(tr '\0' '\n' <"/proc/$pid/cmdline" | head -n 1 | sed 's#.*/##')" != sh ] || die "the shell did not become redis-server"
for file in cmdline environ; do
  if grep -qF '"word"' "/proc/$pid/$file"; then die "the password is in the server's $file"; fi
done
if grep -qF '"word"' "$pod/log"; then die "the password is in the log"; fi
finish

# ---- the start order -------------------------------------------------------

begin first-installation
install 3
must is_role 0 master
must is_role 1 slave
within 10 "the primary does not know its replicas by name" eval "cli 0 info replication | grep -q 'slave1:ip=$net'"
write_keys 1 2
finish

begin restarts
install 2
write_keys 1
stop 1
start 1
within 15 "the replica does not come back" ready 1
must replies 2 1 dbsize
stop 0 KILL
never ready 1
start 0
within 15 "the primary does not come back" ready 0
within 15 "the replica does not follow again" ready 1
must is_role 0 master
must replies 2 1 dbsize
stop 0
stop 1
start 0
start 1
within 15 "not ready after all pods stopped" ready 1
must replies 2 0 dbsize
must replies 2 1 dbsize
finish

begin stops-after-its-first-append-only-file
make_pod 0 "$work/rendered/standalone" 1 "$work/password"
start 0 standalone
within 5 "Redis is not ready" ready 0
must replies OK 0 config set appendonly no
must replies OK 0 config set rdb-key-save-delay 400000
for key in 1 2 3 4 5; do must replies OK 0 set "$key" "$key"; done
must replies OK 0 config set appendonly yes
within 5 "no append-only file is being written" eval "cli 0 info persistence | grep -q aof_rewrite_in_progress:1"
stop 0
start 0 standalone
within 5 "Redis is not ready" ready 0
must replies 5 0 dbsize
finish

begin empty-primary-never-wipes-a-replica
install 2
write_keys 1
stop 0 KILL
lose_volume 0
start 0
within 15 "pod 0 does not say that it is an orphan" logged 0 'ORPHAN.*redis-0 -- sh .*/recover.sh'
within 5 "the orphan does not answer" replies 0 0 dbsize
must is_role 0 slave
never ready 0
must alive 0
must replies 2 1 dbsize
# The files an orphan leaves must not pass for data at its next start.
stop 0
start 0
within 15 "pod 0 forgot that it is an orphan" eval '[ "$(grep -c ORPHAN "$work/$case_name/redis-0/log")" = 2 ]'
# Nor may a restart of the replica open the way.
stop 1
start 1
within 20 "the replica does not answer" replies 2 1 dbsize
never ready 1
pod_of 0
PATH=$POD_PATH $POD_SHELL "$pod/config/recover.sh" 1 >>"$pod/log" 2>&1 || die "recovery failed"
within 5 "pod 0 is not ready after recovery" ready 0
within 10 "pod 1 is not ready after recovery" ready 1
must is_role 0 master
must is_role 1 slave
must replies 2 0 dbsize
must replies 3 0 -n 3 get three
must replies OK 0 set four 4
within 5 "the replica does not get new keys" replies 4 1 get four
within 10 "the append-only file is not written" eval "cli 0 info persistence | grep -q 'aof_rewrite_in_progress:0'"
stop 0
start 0
within 15 "pod 0 is not ready after its restart" ready 0
must replies 3 0 dbsize
finish

begin empty-primary-waits-for-a-silent-peer
install 2
write_keys 1
stop 0 KILL
stop 1 KILL
lose_volume 0
start 0
within 10 "pod 0 does not say whom it waits for" logged 0 "waits for its peers.*$net.11 (silent)"
never alive 0
start 1
within 20 "pod 0 is no orphan" logged 0 ORPHAN
within 5 "the orphan does not answer" replies 0 0 dbsize
must replies 2 1 dbsize
must replies 3 1 -n 3 get three
finish

begin told-to-start-empty
make_pod 0 "$work/rendered/replication" 2 "$work/password"
start 0
within 10 "pod 0 does not wait" logged 0 'waits for its peers'
touch "$pod/run/start-empty"
within 5 "pod 0 does not start" ready 0
must is_role 0 master
finish

begin waiting-ends-at-once
make_pod 0 "$work/rendered/replication" 2 "$work/password"
start 0
within 10 "pod 0 does not wait" logged 0 'waits for its peers'
kill "$(cat "$pod/pid")"
within 3 "pod 0 does not heed the signal" gone "$(cat "$pod/pid")"
rm "$pod/pid"
finish

begin old-keys-do-not-follow-an-empty-primary
install 2
write_keys 1
stop 1
stop 0
lose_volume 0
make_pod 0 "$work/rendered/replication" 1 "$work/password"
start 0
within 10 "pod 0 is not ready" ready 0
start 1
within 10 "pod 1 is no orphan" logged 1 'ORPHAN.*redis-0 -- sh .*/recover.sh 1'
within 5 "the orphan does not answer" replies 2 1 dbsize
never ready 1
# An empty primary is no orphan, and is recovered in the same way.
pod_of 0
PATH=$POD_PATH $POD_SHELL "$pod/config/recover.sh" 1 >>"$pod/log" 2>&1 || die "recovery failed"
within 10 "pod 1 is not ready after recovery" ready 1
must replies 2 0 dbsize
finish

begin dump-beside-an-empty-append-only-file
install 2
write_keys 1
must replies OK 0 save
stop 0 KILL
rm -r "$work/$case_name/redis-0/data/appendonlydir"
start 0
within 15 "pod 0 is not ready" ready 0
must is_role 0 master
must replies 2 0 dbsize
must replies 3 0 -n 3 get three
# The new append-only file carries on from there.
must replies OK 0 set four 4
within 15 "pod 1 does not follow" ready 1
stop 0 KILL
start 0
within 15 "pod 0 is not ready" ready 0
must replies 3 0 dbsize
must replies 4 0 get four
finish

begin recovery-refuses
install 2
write_keys 1
pod_of 0
if PATH=$POD_PATH $POD_SHELL "$pod/config/recover.sh" 1 2>"$work/$case_name/refusal"; then die "recovery overwrote a primary with keys"; fi
grep -q 'keys of its own; nothing was changed' "$work/$case_name/refusal" || die "unclear refusal"
must replies 2 0 dbsize
must is_role 0 master
finish

# ---- two passwords ---------------------------------------------------------

begin replica-of-a-primary-with-the-old-password
install 2
write_keys 1
stop 1
pod_of 1
cp "$pod/secret/redis-password" "$pod/secret/redis-password-previous"
printf 'the new one' >"$pod/secret/redis-password"
start 1
within 15 "the replica is not ready" ready 1
for word in 'the new one' "$(cat "$work/password")"; do
  REDISCLI_AUTH=$word redis-cli -h "$net.11" -p "$port" ping 2>&1 | grep -q '^PONG' || die "one of two passwords is not accepted"
done
finish

begin password-change-without-a-restart
install 2
write_keys 1
printf 'the "new" one' >"$work/$case_name/new"
# Connects anew for each question, as an application's pool may.
ask_often() {
  while [ -e "$work/$case_name/asking" ]; do
    for ordinal in 0 1; do
      if [ "$(REDISCLI_AUTH=$(cat "$1") redis-cli -h "$net.1$ordinal" -p "$port" get one 2>&1)" = 1 ]; then
        echo answered >>"$2.answers"
      else
        echo failed >>"$2.failures"
      fi
    done
  done
}
: >"$work/$case_name/asking"
ask_often "$work/password" "$work/$case_name/old-client" &
clients=$!
within 5 "the client with the old password gets no answer" test -s "$work/$case_name/old-client.answers"
for ordinal in 1 0; do
  pod_of "$ordinal"
  cp "$pod/secret/redis-password" "$pod/secret/redis-password-previous"
  cp "$work/$case_name/new" "$pod/secret/redis-password"
  # The line of docs/operations.md.
  PATH=$POD_PATH $POD_SHELL -c '. "$REDIS_CONFIG_DIR/common.sh"
    tell "$here" "ACL SETUSER default #$(hash_of "$secrets/redis-password")${nl}CONFIG SET masterauth $(quoted "$secrets/redis-password")"' ||
    die "pod $ordinal does not take the new password"
done
ask_often "$work/$case_name/new" "$work/$case_name/new-client" &
clients="$clients $!"
within 5 "the client with the new password gets no answer" test -s "$work/$case_name/new-client.answers"
# The link between the servers is made anew with the new password.
cli 0 client kill type replica >/dev/null
within 10 "the replica does not come back" eval 'ready 1 && cli 0 info replication | grep -q state=online'
lines() { wc -l <"$work/$case_name/old-client.answers"; }
before=$(lines)
within 10 "the client with the old password is not served any more" eval '[ "$(lines)" -gt $((before + 20)) ]'
rm "$work/$case_name/asking"
for client in $clients; do wait "$client"; done
[ ! -e "$work/$case_name/old-client.failures" ] || die "the old password failed $(wc -l <"$work/$case_name/old-client.failures") times"
[ ! -e "$work/$case_name/new-client.failures" ] || die "the new password failed $(wc -l <"$work/$case_name/new-client.failures") times"
# A pod that starts meanwhile knows both as well.
stop 1
start 1
within 15 "the replica is not ready" ready 1
for word in "$work/password" "$work/$case_name/new"; do
  [ "$(REDISCLI_AUTH=$(cat "$word") redis-cli -h "$net.11" -p "$port" get one)" = 1 ] || die "a started pod does not know both"
done
finish

# ---- probes ----------------------------------------------------------------

begin probes
make_pod 0 "$work/rendered/standalone" 1 "$work/password"
never alive 0
never ready 0
start 0 standalone
within 5 "Redis is not ready" ready 0
must alive 0

pid=$(cat "$pod/pid")
kill -STOP "$pid"
never alive 0
never ready 0
kill -CONT "$pid"
must ready 0

printf 'another' >"$pod/secret/redis-password"
must alive 0
must ready 0
cp "$work/password" "$pod/secret/redis-password"
printf 'another' >"$pod/secret/redis-password-previous"
must ready 0
mv "$pod/secret/redis-password" "$pod/secret/kept"
cp "$pod/secret/redis-password-previous" "$pod/secret/redis-password"
mv "$pod/secret/kept" "$pod/secret/redis-password-previous"
must ready 0
cp "$work/password" "$pod/secret/redis-password"
rm "$pod/secret/redis-password-previous"

mkfifo "$work/$case_name/hold"
REDISCLI_AUTH=$(cat "$work/password") redis-cli -h "$REDIS_PROBE_HOST" -p "$port" <"$work/$case_name/hold" >"$work/$case_name/held" &
exec 9>"$work/$case_name/hold"
echo ping >&9
within 5 "the held client is not connected" grep -q PONG "$work/$case_name/held"
echo 'config set maxclients 1' >&9
within 5 "maxclients is not set" grep -q OK "$work/$case_name/held"
cli 0 ping 2>&1 | grep -q 'max number of clients' || die "the server is not out of clients"
must alive 0
must ready 0
echo 'config set maxclients 100' >&9
exec 9>&-
wait $! || true
within 5 "clients are not let in again" replies PONG 0 ping

# Big enough that Redis looks at its clients between keys while it loads.
for key in 1 2 3 4 5 6 7 8 9; do cli 0 setrange "key$key" 4000 x >/dev/null; done
cli 0 config set rdbcompression no >/dev/null
cli 0 bgrewriteaof >/dev/null
within 10 "the append-only file is not rewritten" eval "cli 0 info persistence | grep -q aof_rewrites:1"
within 10 "the append-only file is not rewritten" eval "cli 0 info persistence | grep -q aof_rewrite_in_progress:0"

mkdir "$pod/data/dump.rdb"
cli 0 bgsave >/dev/null
within 10 "saving did not fail" eval "cli 0 info persistence | grep -q rdb_last_bgsave_status:err"
cli 0 ping 2>&1 | grep -q MISCONF || die "the server can save"
must alive 0
must ready 0
rmdir "$pod/data/dump.rdb"

stop 0 KILL
printf 'key-load-delay 500000\nloading-process-events-interval-bytes 1024\n' >>"$pod/redis.conf"
start 0 standalone
within 5 "Redis is not loading" eval "cli 0 ping 2>&1 | grep -q LOADING"
must alive 0
never ready 0
finish

# ---- users and parameters --------------------------------------------------

begin users
render "$work/$case_name/rendered" -f "$here/overlays/acl.yaml"
make_pod 0 "$work/$case_name/rendered" 1 "$work/password"
secret_of() { sed -n "s/^  $1: \"\(.*\)\"$/\1/p" "$work/$case_name/rendered/all.yaml" | base64 -d; }
for key in redis-password app-password app-password-previous metrics-password; do secret_of "$key" >"$pod/secret/$key"; done
awk '/^  users: \|/ {on = 1; next} on && !/^    / {exit} on {print substr($0, 5)}' "$work/$case_name/rendered/all.yaml" >"$pod/config/users"
start 0 standalone
within 5 "Redis is not ready" ready 0
cmp "$work/$case_name/rendered/auth.conf" "$pod/run/auth.conf" || die "chart and script write different users"
as() { secret=$1 user=$2; shift 2; REDISCLI_AUTH=$(cat "$pod/secret/$secret") redis-cli --user "$user" -h "$REDIS_PROBE_HOST" -p "$port" "$@" 2>&1; }
for secret in app-password app-password-previous; do
  [ "$(as "$secret" app set app:one 1)" = OK ] || die "the user app may not write with $secret"
done
as app-password app set other 1 | grep -q NOPERM || die "the user app writes what is not its own"
as app-password app flushall | grep -q NOPERM || die "the user app may flush"
as metrics-password metrics info server | grep -q redis_version || die "the user metrics may not ask"
as metrics-password metrics get app:one | grep -q NOPERM || die "the user metrics reads keys"
as metrics-password app ping | grep -q WRONGPASS || die "a user is let in with another's password"
stop 0
: >"$pod/secret/app-password"
start 0 standalone
within 5 "start with a user without a password goes on" gone "$(cat "$pod/pid")"
must logged 0 'app-password of the Secret is empty'
rm "$pod/pid"
finish

begin every-parameter-is-what-the-chart-takes-it-for
render "$work/$case_name/restart" -f "$here/overlays/parameters-all.yaml"
render "$work/$case_name/live" -f "$here/overlays/parameters-all.yaml" --set config.reload=live
make_pod 0 "$work/$case_name/restart" 1 "$work/password"
start 0 standalone
within 5 "Redis does not take every parameter" ready 0
checksum() { sed -n 's/.*checksum\/config: //p' "$1/all.yaml"; }
sed -n 's/^    \([a-z-]*\): "\{0,1\}\([^"]*\)"\{0,1\}$/\1 \2/p' "$here/overlays/parameters-all.yaml" >"$work/$case_name/table"
[ "$(wc -l <"$work/$case_name/table")" -gt 55 ] || die "the table is short"
while read -r name value; do
  case $value in
    true) value=yes ;;
    false) value=no ;;
  esac
  if cli 0 config set "$name" "$value" 2>&1 </dev/null | grep -q "can't set immutable"; then kind=restart; else kind=live; fi
  # A parameter that is left out changes the checksum of the pods, or does not.
  grep -v "^    $name:" "$here/overlays/parameters-all.yaml" >"$work/$case_name/without.yaml"
  render "$work/$case_name/without" -f "$work/$case_name/without.yaml" --set config.reload=live </dev/null
  found=live
  [ "$(checksum "$work/$case_name/without")" = "$(checksum "$work/$case_name/live")" ] || found=restart
  # Valkey sets some at run time that Redis does not; a restart does it as well.
  [ "$found" = "$kind" ] || [ "$FLAVOR $found" = "valkey restart" ] || die "$name: the server says $kind, the chart $found"
done <"$work/$case_name/table"
[ "$(checksum "$work/$case_name/live")" != "$(checksum "$work/$case_name/restart")" ] || die "live and restart are the same"
finish

echo "1..$count"

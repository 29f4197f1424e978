#!/bin/sh
# Replication with three Sentinels: first installation, failover, the return of
# the old primary, a lost volume, everything killed at once, the planned end of
# the primary, and all of it over TLS; see pods.sh.

set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/pods.sh"
SENTINELS=3

printf 'the password of the data' >"$work/password"
printf 'a "word" of the \\ Sentinels' >"$work/sentinel-password"
render "$work/rendered/plain" --set "replicaCount=3,sentinel.enabled=true,service.primary=label,secrets.sentinelPassword=x,terminationGracePeriodSeconds=30"

make_data() {
  make_pod "$1" "$rendered" 3 "$work/password"
  cp "$work/sentinel-password" "$pod/secret/sentinel-password"
}

sentinel_of() {
  pod=$work/$case_name/sentinel-$1
  export REDIS_CONFIG_DIR="$pod/config" REDIS_SECRETS_DIR="$pod/secret" REDIS_RUN_DIR="$pod/run" REDIS_DATA_DIR="$pod/data"
  export REDIS_PROBE_HOST="$net.2$1" POD_NAME="redis-sentinel-$1" DOWN_AFTER=1500 FAILOVER_TIMEOUT=5000
}

make_sentinel() {
  sentinel_of "$1"
  mkdir -p "$pod/config" "$pod/secret" "$pod/run" "$pod/data"
  cp "$chart"/files/*.sh "$pod/config"
  sed -i "s#bind \* -::\*#bind $REDIS_PROBE_HOST#" "$pod/config/sentinel.sh"
  cp "$work/password" "$pod/secret/redis-password"
  cp "$work/sentinel-password" "$pod/secret/sentinel-password"
  topology 3 >"$pod/config/topology"
}

start_sentinel() {
  sentinel_of "$1"
  rm -rf "$pod/run" && mkdir "$pod/run"
  PATH=$POD_PATH $POD_SHELL "$pod/config/sentinel.sh" >>"$pod/log" 2>&1 &
  echo $! >"$pod/pid"
}

stop_sentinel() {
  sentinel_of "$1"
  kill "-${2:-TERM}" "$(cat "$pod/pid")"
  wait "$(cat "$pod/pid")" 2>/dev/null || true
  rm "$pod/pid"
}

sentinel_cli() {
  number=$1
  shift
  REDISCLI_AUTH=$(cat "$work/sentinel-password") "$FLAVOR-cli" ${TLS_FLAGS:-} -h "$net.2$number" -p "$((port + 1))" "$@"
}

sentinel_answers() {
  sentinel_of "$1"
  PATH=$POD_PATH $POD_SHELL "$pod/config/sentinel-probe.sh" 2
}

# The ordinal of the pod that a Sentinel names: named SENTINEL
named() {
  sentinel_cli "$1" sentinel get-master-addr-by-name redis 2>/dev/null | sed -n "1s/^$net\.1//p"
}

agreed() {
  first=$(named 0)
  [ -n "$first" ] && [ "$(named 1)" = "$first" ] && [ "$(named 2)" = "$first" ]
}

knows_all() {
  sentinel_cli "$1" info sentinel | grep -q 'slaves=2,sentinels=3' && sentinel_cli "$1" sentinel ckquorum redis | grep -q '^OK'
}

one_primary() {
  primaries=0
  for ordinal in "$@"; do
    if is_role "$ordinal" master; then primaries=$((primaries + 1)); fi
  done
  [ "$primaries" = 1 ]
}

install_all() {
  for number in 0 1 2; do
    make_data "$number"
    make_sentinel "$number"
  done
  for number in 0 1 2; do
    start "$number"
    start_sentinel "$number"
  done
  for number in 2 1 0; do
    within 30 "pod $number is not ready" ready "$number"
    within 30 "Sentinel $number does not answer" sentinel_answers "$number"
    within 30 "Sentinel $number does not know all others" knows_all "$number"
    within 15 "pod $number may not be promoted" eval "cli $number config get replica-priority | grep -qx 100"
  done
  within 15 "pod 2 does not write its copy" eval "cli 2 info persistence | tr -d '\r' | grep -cE '^aof_rewrite_(in_progress|scheduled):0' | grep -qx 2"
}

# Writes numbered keys to the primary until it fails or is no primary any more,
# and leaves the number of the last acknowledged one in the file `acknowledged`.
write_until_refused() {
  (
    written=0
    while [ "$(REDISCLI_AUTH=$(cat "$work/password") timeout 2 "$FLAVOR-cli" ${TLS_FLAGS:-} -h "$net.1$1" -p "$port" set "key:$written" x 2>/dev/null)" = OK ]; do
      echo "$written" >"$work/$case_name/acknowledged"
      written=$((written + 1))
    done
  ) &
  writer=$!
  within 10 "nothing is written" test -s "$work/$case_name/acknowledged"
}

failover() {
  rendered=$work/rendered/$1
  install_all
  must is_role 0 master
  cli 0 mset one 1 two 2 >/dev/null
  must replies 2 0 wait 2 5000

  # Killed under writes: what was acknowledged is there, but for what the
  # replicas had not got yet; and the survivors are a prefix of what was written.
  write_until_refused 0
  sleep 1
  stop 0 KILL
  wait "$writer" || true
  killed=$(date +%s)
  within 20 "no new primary" eval '[ "$(named 1)" != 0 ] && agreed'
  new=$(named 1)
  within 10 "pod $new does not take writes" replies OK "$new" set three 3
  echo "# failover after $(($(date +%s) - killed)) s"
  last=$(cat "$work/$case_name/acknowledged")
  kept=0
  while [ "$(cli "$new" exists "key:$kept")" = 1 ]; do kept=$((kept + 1)); done
  echo "# $((last + 1)) writes acknowledged, $kept kept"
  [ "$kept" -ge "$((last - 20))" ] || die "more is lost than was on its way"
  must replies "$((kept + 3))" "$new" dbsize

  # The old primary comes back as a replica, by what the Sentinels say.
  start 0
  within 20 "the old primary does not follow" ready 0
  must is_role 0 slave
  within 10 "the old primary has not the new keys" replies 3 0 get three
  must one_primary 0 1 2
}

begin failover-and-return
failover plain

# Everything at once, as in a power cut: the Sentinels remember who was primary.
new=$(named 0)
before=$(cli "$new" dbsize)
for number in 0 1 2; do
  stop "$number" KILL
  stop_sentinel "$number" KILL
done
for number in 0 1 2; do start "$number"; done
within 15 "a pod with keys does not wait for the Sentinels" logged 0 'waits for two Sentinels'
never alive 0
never alive "$new"
for number in 0 1 2; do start_sentinel "$number"; done
for number in 0 1 2; do within 40 "pod $number is not ready after everything was down" ready "$number"; done
within 20 "the Sentinels do not agree" agreed
must one_primary 0 1 2
must replies "$before" "$(named 0)" dbsize
finish

begin lost-volume-of-the-primary
rendered=$work/rendered/plain
install_all
cli 0 mset one 1 two 2 >/dev/null
must replies 2 0 wait 2 5000
stop 0 KILL
lose_volume 0
start 0
within 20 "the empty primary is not replaced" eval '[ "$(named 1)" != 0 ] && agreed'
within 30 "the pod without a volume does not follow" ready 0
must is_role 0 slave
must replies 2 0 dbsize
must replies 2 "$(named 0)" dbsize
finish

begin planned-end-of-the-primary
rendered=$work/rendered/plain
install_all
cli 0 set one 1 >/dev/null
must replies 2 0 wait 2 5000
pod_of 0
PATH=$POD_PATH $POD_SHELL "$pod/config/stop.sh" 20
must is_role 0 slave
new=$(named 1)
[ "$new" != 0 ] || die "the Sentinels still name pod 0"
# A moment without a replica in step it takes no writes: min-replicas-to-write.
within 10 "pod $new does not take writes" replies OK "$new" set two 2
stop 0
within 5 "pod 0 is still there" eval '! alive 0'
must one_primary 1 2
for number in 0 1 2; do
  within 5 "Sentinel $number does not know the new primary" eval "[ \"\$(named $number)\" = $new ]"
  sentinel_of "$number"
  # The Sentinel that leads names the new primary before it has ended the move.
  within 30 "Sentinel $number does not end the move" grep -q '+switch-master' "$pod/log"
  [ "$(grep -c '+switch-master' "$pod/log")" = 1 ] || die "the primary was moved more than once"
done
finish

begin a-new-sentinel-asks-the-others
rendered=$work/rendered/plain
install_all
pod_of 0
PATH=$POD_PATH $POD_SHELL "$pod/config/stop.sh" 20
new=$(named 1)
stop_sentinel 0 KILL
rm -rf "$pod/data" && mkdir "$pod/data"
start_sentinel 0
within 20 "the new Sentinel does not name the primary" eval "[ \"\$(named 0)\" = $new ]"
within 20 "the new Sentinel does not know the others" knows_all 0
sentinel_of 0
[ "$(stat -c %a "$pod/data/sentinel.conf")" = 600 ] || die "what the Sentinel keeps is readable by others"
"$FLAVOR-cli" -h "$net.20" -p "$((port + 1))" ping 2>&1 | grep -q NOAUTH || die "the Sentinel answers without a password"
finish

# ---- TLS -------------------------------------------------------------------

certificate() {
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test-authority -keyout "$1/ca.key" -out "$1/ca.crt" 2>/dev/null
  openssl req -newkey rsa:2048 -nodes -subj /CN=redis -keyout "$1/tls.key" -out "$1/tls.csr" 2>/dev/null
  openssl x509 -req -days 2 -in "$1/tls.csr" -CA "$1/ca.crt" -CAkey "$1/ca.key" -CAcreateserial -out "$1/tls.crt" 2>/dev/null
}

begin tls-with-client-certificates
mkdir "$work/tls"
certificate "$work/tls"
TLS=yes
TLS_FLAGS="--tls --cacert $work/tls/ca.crt --cert $work/tls/tls.crt --key $work/tls/tls.key"
export REDIS_TLS_DIR="$work/tls"
render "$work/rendered/tls" --set "replicaCount=3,sentinel.enabled=true,service.primary=label,secrets.sentinelPassword=x,tls.enabled=true,tls.existingSecret=t,tls.clientCertificates=required"
sed -i "s#/run/secrets/redis-tls#$work/tls#" "$work/rendered/tls/redis.conf"
failover tls
if "$FLAVOR-cli" -h "$net.11" -p "$port" ping 2>/dev/null | grep -q .; then die "Redis answers without TLS"; fi
if REDISCLI_AUTH=$(cat "$work/password") "$FLAVOR-cli" --tls --cacert "$work/tls/ca.crt" -h "$net.11" -p "$port" ping 2>/dev/null | grep -q PONG; then
  die "Redis answers a client without a certificate"
fi
finish

echo "1..$count"

# Pods as processes: each is an address of the loopback network with its own
# volume, and runs the chart's own scripts and redis.conf with a real server.
#
# HELM renders redis.conf (helm, or the daemon's `template`); POD_SHELL runs the
# scripts ("busybox sh" for the image's shell, with busybox's tools); FLAVOR
# names the server's programs.

chart=$here/../../charts/redis
HELM=${HELM:-helm}
POD_SHELL=${POD_SHELL:-sh}
FLAVOR=${FLAVOR:-redis}
work=$(mktemp -d)
port=$((20000 + $$ % 20000))
net=127.$((1 + $$ % 250)).77
count=0

if [ "$POD_SHELL" = "busybox sh" ]; then
  mkdir "$work/bin"
  for tool in basename cat chmod cp date cut grep head ln od mv rm sed sha256sum sh sleep sync tail timeout tr wc; do
    ln -s "$(command -v busybox)" "$work/bin/$tool"
  done
  POD_PATH=$work/bin:$PATH
else
  POD_PATH=$PATH
fi

end() {
  code=$?
  trap - EXIT
  for file in "$work"/*/*/pid; do
    [ ! -f "$file" ] || kill -KILL "$(cat "$file")" 2>/dev/null || true
  done
  if [ "$code" != 0 ]; then
    for file in "$work"/"${case_name:-none}"/*/log; do
      [ ! -f "$file" ] || { echo "--- $file" && tail -n 90 "$file"; }
    done
  fi
  rm -rf "$work"
  exit "$code"
}
trap end EXIT
trap 'exit 1' INT TERM

die() {
  echo "not ok - ${case_name:-}: $*"
  exit 1
}

# within SECONDS WHAT COMMAND...
within() {
  deadline=$(($(date +%s) + $1))
  what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ "$(date +%s)" -lt "$deadline" ] || die "$what"
    sleep 0.1
  done
}

# Renders redis.conf and auth.conf of the chart: render DIRECTORY ARGUMENTS...
render() {
  out=$1
  shift
  mkdir -p "$out"
  $HELM template redis "$chart" --set "service.targetPort=$port" "$@" >"$out/all.yaml"
  awk '/^  redis.conf: \|/ {on = 1; next} on && !/^    / {exit} on {print substr($0, 5)}' "$out/all.yaml" >"$out/redis.conf"
  sed -n 's/^  auth.conf: "\(.*\)"$/\1/p' "$out/all.yaml" | base64 -d >"$out/auth.conf"
}

pod_of() {
  pod=$work/$case_name/redis-$1
  export REDIS_CONFIG_DIR="$pod/config" REDIS_SECRETS_DIR="$pod/secret" REDIS_RUN_DIR="$pod/run" REDIS_DATA_DIR="$pod/data"
  export REDIS_PROBE_HOST="$net.1$1" POD_NAME="redis-$1"
}

# What the chart tells the scripts, with loopback addresses: topology REPLICAS
topology() {
  printf 'port=%s\nreplicas=%s\nhost=%s.1%%d\nservice=%s.10\n' "$port" "$1" "$net" "$net"
  printf 'server=%s-server\nclient=%s-cli\ntls=%s\nmin_replicas=auto\n' "$FLAVOR" "$FLAVOR" "${TLS:-}"
  printf 'sentinels=%s\nsentinel_host=%s.2%%d\nsentinel_port=%s\nprimary_name=redis\n' "${SENTINELS:-0}" "$net" "$((port + 1))"
}

# A new pod with an empty volume: make_pod ORDINAL RENDERED REPLICAS PASSWORD-FILE
make_pod() {
  pod_of "$1"
  mkdir -p "$pod/config" "$pod/secret" "$pod/run" "$pod/data"
  cp "$chart"/files/*.sh "$pod/config"
  cp "$4" "$pod/secret/redis-password"
  sed -e "s#/run/redis#$pod/run#; s#^dir .*#dir $pod/data#; s#^bind .*#bind $REDIS_PROBE_HOST#" "$2/redis.conf" >"$pod/redis.conf"
  topology "$3" >"$pod/config/topology"
}

start() {
  pod_of "$1"
  rm -rf "$pod/run" && mkdir "$pod/run"
  # In a pod it is mounted read-only, so no CONFIG REWRITE outlives a start.
  cp "$pod/redis.conf" "$pod/config/redis.conf"
  PATH=$POD_PATH $POD_SHELL "$pod/config/start.sh" "${2:-replication}" >>"$pod/log" 2>&1 &
  echo $! >"$pod/pid"
}

gone() {
  ! kill -0 "$1" 2>/dev/null
}

# As the kubelet ends a container, or as a crash does with KILL.
stop() {
  pod_of "$1"
  pid=$(cat "$pod/pid")
  if [ "${2:-TERM}" = TERM ]; then
    PATH=$POD_PATH $POD_SHELL "$pod/config/stop.sh" 10
  fi
  kill "-${2:-TERM}" "$pid"
  within 10 "pod $1 does not stop" gone "$pid"
  rm "$pod/pid"
}

lose_volume() {
  pod_of "$1"
  rm -rf "$pod/data" && mkdir "$pod/data"
}

cli() {
  pod_of "$1"
  shift
  REDISCLI_AUTH=$(cat "$pod/secret/redis-password") $FLAVOR-cli ${TLS_FLAGS:-} -h "$REDIS_PROBE_HOST" -p "$port" "$@"
}

replies() {
  expected=$1
  shift
  [ "$(cli "$@" 2>/dev/null)" = "$expected" ]
}

is_role() {
  [ "$(cli "$1" role | head -n 1)" = "$2" ]
}

logged() {
  pod_of "$1"
  grep -q "$2" "$pod/log"
}

probe() {
  pod_of "$1"
  PATH=$POD_PATH $POD_SHELL "$pod/config/$2.sh" 2
}

ready() { probe "$1" readiness; }
alive() { probe "$1" liveness; }
never() { ! "$@" >/dev/null 2>&1 || die "$*, though it must not"; }
must() { "$@" >/dev/null 2>&1 || die "$* failed"; }

begin() {
  case_name=$1
  mkdir "$work/$case_name"
}

finish() {
  for file in "$work/$case_name"/*/pid; do
    [ ! -f "$file" ] || { kill -KILL "$(cat "$file")" && wait "$(cat "$file")" 2>/dev/null || true; rm "$file"; }
  done
  count=$((count + 1))
  echo "ok $count - $case_name"
  case_name=
}

# install PODS: all pods at once, as a StatefulSet with Parallel does.
install() {
  ordinal=0
  while [ "$ordinal" -lt "$1" ]; do
    make_pod "$ordinal" "$work/rendered/replication" "$1" "$work/password"
    start "$ordinal"
    ordinal=$((ordinal + 1))
  done
  while [ "$ordinal" -gt 0 ]; do
    ordinal=$((ordinal - 1))
    within 15 "pod $ordinal is not ready" ready "$ordinal"
    # Until its first copy is on disk as well, a replica that is killed forgets it.
    within 15 "pod $ordinal does not write its copy" eval "cli $ordinal info persistence | tr -d '\r' | grep -cE '^aof_rewrite_(in_progress|scheduled):0' | grep -qx 2"
  done
}

write_keys() {
  cli 0 mset one 1 two 2 >/dev/null
  cli 0 -n 3 set three 3 >/dev/null
  for ordinal in "$@"; do
    within 10 "pod $ordinal has not the keys" replies 2 "$ordinal" dbsize
    must replies 3 "$ordinal" -n 3 get three
  done
}

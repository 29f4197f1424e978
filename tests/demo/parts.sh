# shellcheck shell=bash disable=SC2154,SC2034
# The parts of the demo in the order in which they start. Each looks first
# whether it is there already. Sourced by demo.sh.

environments=(dev staging prod)

# The seed's names: prod is the one without a suffix.
namespace_of() {
  if [ "$1" = prod ]; then echo project-template; else echo "project-template-$1"; fi
}

kubectl() { KUBECONFIG=$state/kubeconfig "${kubectl_program[@]}" "$@" 9>&-; }

build_program() {
  phase "Building redis-gitops"
  command -v cargo >/dev/null || fail "cargo is not in PATH" "install Rust 1.95 or newer: https://rustup.rs"
  if [ "$mode" != existing ]; then
    command -v go >/dev/null || fail "go is not in PATH: the local Kubernetes is built from Go modules" \
      "install Go 1.26 or newer, or use a cluster you have: make demo CLUSTER=existing"
    # The network is idle while Rust compiles.
    if [ ! -x "$bin/cluster" ]; then
      for module in cluster dns; do (cd "tests/$module" && exec go mod download) >/dev/null 2>&1 9>&- & done
    fi
  fi
  cargo build --release --locked 9>&-
  good "$program, $(du -m "$program" | cut -f1) MB"
  [ "$mode" = existing ] || build_tools
}

build_tools() {
  tests/cluster/build.sh "$bin" >"$state/logs/build.log" 2>&1 9>&- &
  tools=$!
  trap 'kill "$tools" 2>/dev/null || true' EXIT
}

# What each environment comes to, from the files of this checkout.
show_rendered() {
  phase "What Git says: the three environments, rendered"
  local name text file
  mkdir -p "$state/rendered"
  copy_source
  configure
  for name in "${environments[@]}"; do
    file=$state/rendered/$name.yaml
    "$program" render "$name" --config "$state/redis-gitops.yaml" --source "$state/source" >"$file" ||
      fail "the environment $name cannot be rendered" "the message above names file and line"
    text=$(awk '
      /^kind:/ { kind = $2 }
      /^  name:/ && kind != "" { printf "%s%s/%s", separator, kind, $2; separator = ", "; kind = "" }' "$file")
    say "${bold}$name${plain}  $text"
    say "${dim}$(awk '
      $1 == "replicas:" { replicas = $2 } $1 == "storage:" { storage = $2 }
      $1 == "limits:" { limits = 1 } limits && $1 == "cpu:" { cpu = $2; limits++ }
      limits && $1 == "memory:" { memory = $2; limits++ } limits == 3 { limits = 0 }
      $1 ~ /^appendfsync/ { fsync = $2 } $1 == "storageClassName:" { class = $2 }
      END { gsub(/"/, "", storage); gsub(/"/, "", class)
            printf "replicas %s, claim %s (%s), limits %s and %s, appendfsync %s", replicas, storage, class == "" ? "default class" : class, cpu, memory, fsync }' "$file")${plain}"
  done
  note "whole: $state/rendered/*.yaml, by redis-gitops render dev --source ."
}

start_cluster() {
  phase "Debian's packages"
  local packages=(git)
  [ "$mode" = plane ] || packages+=(redis-server redis-tools prometheus containerd runc containernetworking-plugins
    iptables conntrack busybox-static)
  tests/tools/install.sh "${packages[@]}" 9>&- || fail "packages are missing" "see above"
  good "${packages[*]}"

  phase "Building a Kubernetes 1.36 of its own"
  local begun told waited
  begun=$(now) told=0
  while kill -0 "$tools" 2>/dev/null; do
    sleep 0.1
    waited=$((($(now) - begun) / 1000))
    if [ $((waited - told)) -ge 15 ]; then
      told=$waited
      note "still compiling, ${waited} s: $(tail -n 1 "$state/logs/build.log")"
    fi
  done
  trap - EXIT
  wait "$tools" || { cat "$state/logs/build.log" >&2; fail "the local Kubernetes cannot be built"; }
  good "$bin/cluster, $(du -m "$bin/cluster" | cut -f1) MB: etcd, API server, controllers, kubelet, kubectl"

  local nodes=2
  if [ "$mode" = plane ]; then
    nodes=0
    phase "Starting the control plane"
    note "Without root there are no nodes, so no pods: the environments become synced, but not ready."
    note "For pods it needs root (mounts, network links, cgroups, iptables): make demo-clean, then sudo env PATH=\"\$PATH\" make demo"
  else
    phase "Starting Kubernetes: a control plane and two nodes"
    note "Until make demo-clean this machine also has: the links rgc-node1 and rgc-node2, KUBE-* chains in iptables,"
    note "the cgroups rgc-node1 and rgc-node2, and a few sysctls. Files are in .state alone, ports on loopback."
    [ -e "$state/host.before" ] || "$bin/cluster" snapshot >"$state/host.before"
  fi
  "$bin/cluster" up --state "$state/cluster" --nodes "$nodes" 9>&- || fail "the local Kubernetes does not start" "the reason is above"
  ln -sfn cluster/kubeconfig "$state/kubeconfig"
  kubectl_program=("$bin/cluster" kubectl)
}

prepare_namespaces() {
  phase "Preparing what the environments need"
  local name
  for name in "${environments[@]}"; do
    kubectl apply -f - >/dev/null <<YAML
apiVersion: v1
kind: Namespace
metadata:
  name: $(namespace_of "$name")
  labels:
    pod-security.kubernetes.io/enforce: restricted
    redis-gitops-demo: "$(demo_id)"
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: project-template, namespace: $(namespace_of "$name")}
automountServiceAccountToken: false
YAML
    [ "$name" = dev ] || make_password "$(namespace_of "$name")"
    good "namespace $(namespace_of "$name"), service account project-template$([ "$name" = dev ] || echo ", Secret redis-credentials (random)")"
  done
}

# What marks namespaces as made by this demo.
demo_id() {
  [ -e "$state/id" ] || od -An -N8 -tx1 /dev/urandom | tr -d ' \n' >"$state/id"
  cat "$state/id"
}

make_password() {
  kubectl -n "$1" get secret redis-credentials >/dev/null 2>&1 && return
  od -An -N24 -tx1 /dev/urandom | tr -d ' \n' |
    kubectl -n "$1" create secret generic redis-credentials --from-file=redis-password=/dev/stdin >/dev/null
}

# The daemon's configuration. Written before the cluster is there, since
# `render` reads it too.
configure() {
  page_port=$(port page 8640)
  local name
  {
    cat <<YAML
repository:
  url: $(repository_url)
listen: 127.0.0.1:$page_port
dataDir: $state/daemon
kubernetes:
  kubeconfig: $state/kubeconfig
probe:
  connect: $(if [ "$mode" = existing ]; then echo portForward; else echo direct; fi)
  interval: 2s
environments:
YAML
    for name in "${environments[@]}"; do
      echo "  - name: $name"
      echo "    branch: env/$name"
      echo "    namespace: $(namespace_of "$name")"
      echo "    values: [environments/$name/values.yaml$([ "$mode" != existing ] || echo ", environments/overlay.yaml")]"
      [ "$name" != dev ] || echo "    throwAway: true"
    done
  } >"$state/redis-gitops.yaml.next"
  # Unchanged it is not touched: the daemon watches it.
  cmp -s "$state/redis-gitops.yaml.next" "$state/redis-gitops.yaml" ||
    cp "$state/redis-gitops.yaml.next" "$state/redis-gitops.yaml"
  rm "$state/redis-gitops.yaml.next"
}

start_daemon() {
  phase "Running redis-gitops"
  local pid
  if pid=$(pid_of daemon) && ! [ "/proc/$pid/exe" -ef "$program" ]; then
    note "the program is newer than the one that runs: restarting it"
    stop daemon
  fi
  if ! running daemon; then
    started_daemon=$(now)
    if [ "$mode" = existing ]; then
      start daemon "$program" run --config "$state/redis-gitops.yaml"
    else
      start daemon env -u http_proxy -u https_proxy -u all_proxy -u HTTP_PROXY -u HTTPS_PROXY -u ALL_PROXY \
        "$program" run --config "$state/redis-gitops.yaml"
    fi
  fi
  wait_for daemon 20 http GET "$page_port" /healthz >/dev/null
  good "its page: ${bold}http://127.0.0.1:$page_port/${plain}"
}

start_prometheus() {
  if ! command -v prometheus >/dev/null || ! command -v promtool >/dev/null; then
    note "Prometheus is not installed here, so no alerts are shown; make demo as root installs it"
    return
  fi
  prometheus_port=$(port prometheus 8660)
  mkdir -p "$state/prometheus"
  cat >"$state/prometheus.yml" <<YAML
global:
  scrape_interval: 1s
  evaluation_interval: 1s
rule_files: [$root/deploy/alerts.yaml]
scrape_configs:
  - job_name: redis-gitops
    honor_labels: true
    static_configs:
      - targets: [127.0.0.1:$page_port]
YAML
  running prometheus || start prometheus prometheus --config.file="$state/prometheus.yml" --storage.tsdb.path="$state/prometheus" \
    --storage.tsdb.retention.time=1d --web.listen-address="127.0.0.1:$prometheus_port"
  wait_for prometheus 30 http GET "$prometheus_port" /-/ready >/dev/null
  good "Prometheus, with the rules of deploy/: http://127.0.0.1:$prometheus_port/alerts"
}

wait_for_environments() {
  phase "Waiting for the three environments"
  local name begun series
  begun=${started_daemon:-$(now)}
  for series in environment_synced environment_ready redis; do
    [ "$series" = environment_synced ] || [ "$mode" != plane ] || continue
    for name in "${environments[@]}"; do
      case $series in
        redis)
          until_ok 60 redis_answers "$name" || not_healthy "$name" "its Redis does not answer"
          good "$name: $(redis_of "$name") answer after $(seconds $(($(now) - begun))) s"
          ;;
        *)
          until_ok 180 metric_is "redis_gitops_$series{environment=\"$name\"}" 1 ||
            not_healthy "$name" "${series/environment_/it is not }"
          good "$name: ${series#environment_} after $(seconds $(($(now) - begun))) s"
          ;;
      esac
    done
  done
}

redis_answers() {
  local up desired
  up=$(metric "redis_gitops_redis_pods_up{environment=\"$1\"}")
  desired=$(metric "redis_gitops_redis_pods_desired{environment=\"$1\"}")
  [ "${up:-0}" -gt 0 ] && [ "$up" = "$desired" ]
}

# "2 Redis 7.0.15 (master, slave)", as INFO says.
redis_of() {
  http GET "$page_port" /metrics | awk -v environment="environment=\"$1\"" '
    function label(name,  at) {
      at = index($0, name "=\""); if (!at) return ""
      at = substr($0, at + length(name) + 2); return substr(at, 1, index(at, "\"") - 1)
    }
    index($0, "redis_instance_info{") == 1 && index($0, environment) {
      count++; version = label("redis_version"); roles = roles (roles == "" ? "" : ", ") label("role")
    }
    END { printf "%d Redis %s (%s)", count, version, roles }'
}

not_healthy() {
  "$program" status --config "$state/redis-gitops.yaml" >&2 || true
  [ "$mode" = plane ] || kubectl -n "$(namespace_of "$1")" get pods,pvc,events >&2 || true
  fail "$1: $2" "the daemon's log is $state/logs/daemon.log, its page http://127.0.0.1:$page_port/"
}

# Finds the parts of a demo that runs.
attach() {
  if [ ! -e "$state/mode" ] || gone daemon; then fail "the demo does not run" "start it with make demo"; fi
  mode=$(cat "$state/mode")
  page_port=$(port page 8640)
  running prometheus && prometheus_port=$(port prometheus 8660)
  kubectl_program=("$bin/cluster" kubectl)
  [ "$mode" != existing ] || kubectl_program=("$(type -P kubectl)")
}

summary() {
  printf '\n%s\n' "${bold}The demo runs${plain}"
  "$program" status --config "$state/redis-gitops.yaml" | sed 's/^/    /'
  cat <<TEXT

    page        http://127.0.0.1:$page_port/
    metrics     http://127.0.0.1:$page_port/metrics
    prometheus  $(if [ -n "${prometheus_port:-}" ]; then echo "http://127.0.0.1:$prometheus_port/alerts"; else echo "(not installed)"; fi)
    repository  $(repository_url), a checkout of it is $state/work
    kubectl     export KUBECONFIG=$state/kubeconfig; ${kubectl_program[*]} get pods -A
    log         $state/logs/daemon.log
TEXT
  if [ "$mode" = nodes ]; then
    say "redis       $(redis_of prod): Debian's build, under the name of the image that the chart asks for"
  fi
  cat <<TEXT

  ${bold}Try next${plain}
    promote     cd $state/work && git checkout env/staging && git merge env/dev && git push
    roll back   cd $state/work && git revert --no-edit HEAD && git push
    meddle      ${kubectl_program[*]} -n $(namespace_of prod) edit service redis
    again       make tour
    stop        make demo-clean

TEXT
  if [ ${#phase_times[@]} -gt 0 ]; then phase_table; fi
}

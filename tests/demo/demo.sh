#!/usr/bin/env bash
# The whole idea at work on one machine: a real Git server, a real Kubernetes,
# real Redis, a real Prometheus, and redis-gitops between them. Everything is in
# .state/demo and on loopback ports; `clean` gives back what the host lent.
set -euo pipefail
export LC_ALL=C
root=$(cd "$(dirname "$0")/../.." && pwd)
demo=$root/tests/demo
state=$root/.state/demo
bin=$root/.state/bin
program=${CARGO_TARGET_DIR:-$root/target}/release/redis-gitops
cd "$root"

usage() {
  cat <<USAGE
usage: tests/demo/demo.sh up|tour|status|clean

  up      start everything that is not running yet, and walk through it
  tour    the walk again: a merge, a drift, a refusal, an alert, with timings
  status  what runs, and where
  clean   stop everything and remove it

With CLUSTER=existing, up uses the cluster of KUBECONFIG instead of its own.
USAGE
}

# shellcheck source=tests/demo/lib.sh
. "$demo/lib.sh"
# shellcheck source=tests/demo/parts.sh
. "$demo/parts.sh"
# shellcheck source=tests/demo/repository.sh
. "$demo/repository.sh"
# shellcheck source=tests/demo/existing.sh
. "$demo/existing.sh"
# shellcheck source=tests/demo/tour.sh
. "$demo/tour.sh"
# shellcheck source=tests/demo/clean.sh
. "$demo/clean.sh"

# Which demo this is: `nodes` (two worker nodes), `plane` (a control plane
# without nodes, for want of root) or `existing` (somebody's cluster).
choose_mode() {
  case ${CLUSTER:-} in
    existing) mode=existing ;;
    '') if [ "$(id -u)" -eq 0 ]; then mode=nodes; else mode=plane; fi ;;
    *) fail "CLUSTER=$CLUSTER is not known" "leave it out for a cluster of the demo's own, or say CLUSTER=existing for the one of KUBECONFIG" ;;
  esac
  if [ -e "$state/mode" ] && [ "$(cat "$state/mode")" != "$mode" ]; then
    fail "the demo in $state was started another way ($(cat "$state/mode"), now $mode)" "run make demo-clean first"
  fi
}

up() {
  [ "$(uname -s)" = Linux ] || fail "the demo runs on Linux" "try it in a virtual machine or a container with root"
  choose_mode
  mkdir -p "$state/logs" "$state/run"
  echo "$mode" >"$state/mode"
  [ "$mode" != existing ] || check_existing
  build_program
  show_rendered
  [ "$mode" = existing ] || start_cluster
  start_repository
  prepare_namespaces
  start_daemon
  start_prometheus
  wait_for_environments
  tour
  summary
}

# One at a time: two would start the same things twice.
mkdir -p "$root/.state"
exec 9>"$root/.state/demo.lock"
flock -n 9 || fail "another demo.sh is at work in this checkout" "wait until it has ended"

case ${1:-} in
  up) up ;;
  tour) attach && tour ;;
  status) attach && summary ;;
  clean) clean ;;
  *) usage; exit 2 ;;
esac

#!/usr/bin/env bash
# The tests on real pods: two nodes, started for them alone and taken down
# after, with the host compared before and after. Where they cannot run they are
# skipped with the reason, but not in CI: there that is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$PWD/.state/bin state=$PWD/.state/pods
budget=480 begun=$SECONDS

cannot() {
  echo "tests on real pods: not run: $1" >&2
  [ "${CI:-}" != true ] || exit 1
  exit 0
}

[ "$(uname -s)" = Linux ] || cannot "they need Linux"
[ "$(id -u)" -eq 0 ] || cannot "they need root, for mounts, network links, cgroups and iptables: sudo make test-pods"
tests/tools/install.sh
tests/cluster/build.sh "$bin"
cargo test --locked --no-run --test pods

# What an interrupted run has left.
"$bin/cluster" down --state "$state" --purge >/dev/null
before=$("$bin/cluster" snapshot --state "$state")

finish() {
  local status=$?
  trap - EXIT
  if [ "$status" -ne 0 ] && [ -e "$state/kubeconfig" ]; then
    echo "=== pods and events, for the failure above" >&2
    export KUBECONFIG=$state/kubeconfig
    "$bin/cluster" kubectl get pods -A -o wide >&2 || true
    "$bin/cluster" kubectl get events -A --field-selector type!=Normal >&2 || true
  fi
  "$bin/cluster" down --state "$state" --purge || status=1
  if ! diff <(echo "$before") <("$bin/cluster" snapshot --state "$state"); then
    echo "tests on real pods: FAILED: the host differs after cluster down: the lines above" >&2
    status=1
  fi
  echo "tests on real pods: $((SECONDS - begun)) s of a budget of $budget s"
  exit "$status"
}
trap finish EXIT

"$bin/cluster" up --state "$state" --nodes 2
REDIS_GITOPS_PODS=$state cargo test --locked --test pods -- "$@"

# shellcheck shell=bash disable=SC2154,SC2034
# Takes the demo away and gives back what the host lent. Sourced by demo.sh.

clean() {
  local name
  if [ ! -e "$state" ]; then
    echo "nothing to clean: $state does not exist"
    return
  fi
  mode=$(cat "$state/mode" 2>/dev/null || echo plane)
  # The daemon first: it would bring back what is deleted after it.
  for name in daemon prometheus git-server; do
    running "$name" || continue
    stop "$name"
    good "$name has ended"
  done
  if [ "$mode" = existing ]; then
    clean_existing
  elif [ -e "$state/cluster" ]; then
    [ -x "$bin/cluster" ] || tests/cluster/build.sh "$bin"
    "$bin/cluster" down --state "$state/cluster" --purge || fail "the local Kubernetes is not down" "the reason is above; run make demo-clean again"
    compare_host
  fi
  rm -rf --one-file-system "$state"
  good "$state is removed; what was built stays (target/ and .state/bin), and so do Debian's packages"
}

compare_host() {
  [ -e "$state/host.before" ] || return 0
  "$bin/cluster" snapshot --state "$state/cluster" >"$state/host.after"
  if diff -u "$state/host.before" "$state/host.after" >"$state/host.diff"; then
    good "processes, mounts, links, iptables, cgroups and sysctls are as before ($(wc -l <"$state/host.after") compared)"
  else
    sed -n '3,$p' "$state/host.diff" >&2
    fail "the machine is not as it was before the demo: the lines above differ" \
      "if something else on this machine made them, remove $state/host.before and run make demo-clean again"
  fi
}

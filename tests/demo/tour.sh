# shellcheck shell=bash disable=SC2154,SC2034
# The walk through what redis-gitops is for, with measured times. It leaves the
# environments healthy and can be repeated. Sourced by demo.sh.
#
# Times of changes in the cluster come from a watch (kubectl get --watch) that
# runs before the change is made: each line it prints is stamped at once.

tour() {
  phase "The tour"
  [ -z "$(work_git status --porcelain)" ] || fail "$state/work has changes that are not committed" "commit or discard them, then run make tour"
  tour_merge
  tour_drift
  tour_refusal
  tour_alert
}

# watch_field ENVIRONMENT OBJECT JSONPATH: stamps every value into $seen.
watch_field() {
  seen=$state/run/watch
  : >"$seen"
  # Not through the function: the process to end is kubectl itself.
  KUBECONFIG=$state/kubeconfig "${kubectl_program[@]}" -n "$(namespace_of "$1")" get "$2" --watch -o "jsonpath={$3}{'\n'}" 9>&- \
    > >(while read -r value; do echo "$(now) $value" >>"$seen"; done) 2>/dev/null &
  watcher=$!
  until_ok 20 test -s "$seen" || fail "the API server does not answer a watch on $2 of $1"
}

end_watch() {
  kill "$watcher" 2>/dev/null || true
  wait "$watcher" 2>/dev/null || true
}

# seen_after TIME VALUE prints when the watch first showed the value after TIME.
seen_after() { awk -v after="$1" -v value="$2" '$1 >= after && $2 == value { print $1; found = 1; exit } END { exit !found }' "$seen"; }

# log_after LINE PATTERN prints the first line of the daemon's log behind LINE that matches.
log_after() { tail -n "+$(($1 + 1))" "$state/logs/daemon.log" | grep -m 1 -E "$2"; }

log_length() { wc -l <"$state/logs/daemon.log"; }

synced_at() {
  metric_is "redis_gitops_environment_synced{environment=\"$1\"}" 1 &&
    http GET "$page_port" /metrics | grep "^redis_gitops_environment_info{" | grep "environment=\"$1\"" | grep -q "revision=\"$2\""
}

# settled ENVIRONMENT WORKLOAD: its controller has acted on the newest spec, and
# no pod is on its way out. What the daemon knew of the pods before may be old.
settled() {
  local versions
  versions=$(kubectl -n "$(namespace_of "$1")" get "$2" -o jsonpath='{.metadata.generation} {.status.observedGeneration} {.spec.replicas} {.status.readyReplicas}')
  read -r -a versions <<<"$versions"
  [ "${versions[0]}" = "${versions[1]}" ] && [ "${versions[2]}" = "${versions[3]:-0}" ] &&
    [ -z "$(kubectl -n "$(namespace_of "$1")" get pods -l app.kubernetes.io/name=redis -o jsonpath='{.items[*].metadata.deletionTimestamp}')" ]
}

uid_of() { kubectl -n "$(namespace_of "$1")" get pod "$2" --ignore-not-found -o jsonpath='{.metadata.uid}'; }

healthy() {
  [ "$mode" = plane ] || { metric_is "redis_gitops_environment_ready{environment=\"$1\"}" 1 && redis_answers "$1"; }
}

# merge BRANCH SUBJECT FILE SCRIPT: a change of the file, by sed, on a branch of
# its own, merged into BRANCH.
merge() {
  work_git checkout -q "$1"
  work_git pull -q --ff-only
  work_git checkout -q -B change
  sed -i "$4" "$state/work/$3"
  ! work_git diff --quiet || fail "$3 of $1 is not what the tour expects: it cannot be changed by $4" "make demo-clean and make demo begin anew"
  work_git commit -q -a -m "$2"
  work_git checkout -q "$1"
  work_git merge -q --no-ff -m "Merge: $2" change
  work_git branch -q -D change
}

tour_merge() {
  local old new begun pushed live
  author=ada
  printf '\n  %s\n' "${bold}1. A merge lands${plain}"
  work_git checkout -q env/dev
  work_git pull -q --ff-only
  old=$(awk '/limits:/ { limits = 1 } limits && $1 == "memory:" { print $2; exit }' "$state/work/environments/dev/values.yaml")
  if [ "$old" = 128Mi ]; then new=160Mi; else new=128Mi; fi
  merge env/dev "Give dev's Redis $new of memory" environments/dev/values.yaml "/limits:/,\$ s/memory: .*/memory: $new/"
  watch_field dev deployment/redis .spec.template.spec.containers[0].resources.limits.memory
  begun=$(now)
  work_git push -q
  pushed=$(now)
  nudge dev
  until_ok 30 seen_after "$begun" "$new" >/dev/null || not_healthy dev "the merge did not land"
  live=$(seen_after "$begun" "$new")
  end_watch
  say "ada merged \"Give dev's Redis $new of memory\" ($old before) into env/dev"
  if [ "$live" -lt "$pushed" ]; then
    good "git push took $((pushed - begun)) ms; the new limit was live before it returned"
  else
    good "live in the Deployment ${bold}$((live - pushed)) ms${plain} after git push returned (the push itself took $((pushed - begun)) ms)"
  fi
  if [ "$mode" != plane ]; then
    until_ok 120 memory_is "$((${new%Mi} * 1024 * 1024 * 70 / 100))" || not_healthy dev "its Redis was not replaced"
    until_ok 120 healthy dev || not_healthy dev "it is not healthy after the merge"
    good "a new Redis pod serves with it $(seconds $(($(now) - pushed))) s after the push"
  fi
}

memory_is() {
  http GET "$page_port" /metrics | awk -v wanted="$1" '/^redis_memory_max_bytes\{environment="dev"/ && $NF - wanted < 4096 && wanted - $NF < 4096 { found = 1 } END { exit !found }'
}

tour_drift() {
  local begun changed undone log line primary
  primary=$(uid_of staging redis-0)
  printf '\n  %s\n' "${bold}2. Somebody scales staging by hand${plain}"
  log=$(log_length)
  watch_field staging statefulset/redis .spec.replicas
  begun=$(now)
  kubectl -n "$(namespace_of staging)" scale statefulset/redis --replicas=1 >/dev/null
  until_ok 30 seen_after "$begun" 1 >/dev/null || fail "kubectl scale changed nothing"
  changed=$(seen_after "$begun" 1)
  until_ok 30 seen_after "$changed" 2 >/dev/null || not_healthy staging "the drift was not undone"
  undone=$(seen_after "$changed" 2)
  end_watch
  say "kubectl scale statefulset/redis --replicas=1"
  good "undone ${bold}$((undone - changed)) ms${plain} after it took effect: 2 replicas again"
  until_ok 10 log_after "$log" 'drift.*spec.replicas' >/dev/null || fail "the daemon's log does not name the drift" "see $state/logs/daemon.log"
  line=$(log_after "$log" 'drift.*spec.replicas')
  good "its culprit: $(sed -E 's/.*(writer|by)="?([^"]*)"?.*/\2/' <<<"$line")"
  [ "$mode" != plane ] || return 0
  until_ok 180 settled staging statefulset/redis || not_healthy staging "its pods are not ready after the drift was undone"
  until_ok 60 healthy staging || not_healthy staging "it is not healthy after the drift was undone"
  [ "$primary" = "$(uid_of staging redis-0)" ] || fail "the primary of staging was replaced"
  good "both pods are ready $(seconds $(($(now) - changed))) s after the scale; the primary was not touched"
}

# What a namespace holds, with the version of each object.
versions() {
  kubectl -n "$(namespace_of "$1")" get deployments,statefulsets,services,configmaps,secrets,persistentvolumeclaims,pods \
    -o jsonpath='{range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion}{"\n"}{end}' | grep -v redis-gitops
}

tour_refusal() {
  local before after log line broken
  author=bob
  printf '\n  %s\n' "${bold}3. A bad value is merged${plain}"
  before=$(versions dev)
  log=$(log_length)
  merge env/dev "Sync to disk sometimes" environments/dev/values.yaml 's/appendfsync: .*/appendfsync: sometimes/'
  work_git push -q
  broken=$(work_git rev-parse HEAD)
  nudge dev
  until_ok 30 metric_is 'redis_gitops_environment_synced{environment="dev"}' 0 || fail "the bad value was not refused"
  until_ok 30 log_after "$log" 'WARN.*(failed|refused)' >/dev/null || fail "the daemon's log does not say why" "see $state/logs/daemon.log"
  say "bob merged \"Sync to disk sometimes\" (appendfsync: sometimes) into env/dev as ${broken:0:12}"
  good "refused:"
  "$program" status --config "$state/redis-gitops.yaml" | awk '/^[^ ]/ { dev = $1 == "dev" } dev && /^ /' | sed 's/^  ! /  /; s/^/      /'
  after=$(versions dev)
  [ "$before" = "$after" ] || fail "the refused commit changed something" "$(diff <(echo "$before") <(echo "$after"))"
  good "nothing in $(namespace_of dev) changed: $(wc -l <<<"$after") objects have the versions they had"
  work_git revert --no-edit -m 1 HEAD >/dev/null
  work_git push -q
  nudge dev
  until_ok 30 synced_at dev "$(work_git rev-parse HEAD)" || not_healthy dev "the revert was not taken"
  good "bob's revert is in: dev is synced again"
}

alert_fires() {
  promtool query instant "http://127.0.0.1:$prometheus_port" 'ALERTS{alertname="DriftDetected",alertstate="firing",environment="staging"}' 2>/dev/null | grep '=> 1' >"$state/run/alert"
}

tour_alert() {
  printf '\n  %s\n' "${bold}4. Prometheus has noticed the drift${plain}"
  if [ -z "${prometheus_port:-}" ]; then
    note "left out: Prometheus is not installed"
    return
  fi
  until_ok 30 alert_fires || fail "the alert DriftDetected does not fire" "see http://127.0.0.1:$prometheus_port/alerts and /targets"
  good "firing: $(sed 's/ =>.*//' "$state/run/alert" | head -n 1)"
  note "It stays for ten minutes after the last drift: a corrected drift is gone before a scrape sees it."
}

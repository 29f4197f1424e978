#!/bin/sh
# Proves the two-node cluster on this machine: what pods need works, `down`
# leaves the host as it was, also after a kill in the middle of `up`.
# Usage: check.sh FOLDER-OF-BINARIES STATE-FOLDER (the state is purged).
set -eu
[ $# -eq 2 ] || { echo "usage: check.sh BIN STATE" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
cluster=$1/cluster state=$2
work=$(mktemp -d)
passed=0 forward=

finish() {
	status=$?
	[ -z "$forward" ] || kill "$forward" 2>/dev/null || true
	"$cluster" down --state "$state" --purge >/dev/null || true
	rm -rf "$work"
	[ "$status" -ne 0 ] || echo "$passed passed, 0 failed"
	exit "$status"
}
trap finish EXIT

ok() {
	passed=$((passed + 1))
	echo "ok: $1"
}

fail() {
	echo "FAILED: $1" >&2
	exit 1
}

is() { # is WHAT WANTED GOT
	[ "$2" = "$3" ] || fail "$1: wanted '$2', got '$3'"
	ok "$1"
}

# until_is WHAT SECONDS WANTED COMMAND...
until_is() {
	what=$1 wanted=$3 deadline=$(($(date +%s) + $2))
	shift 3
	while :; do
		got=$("$@" 2>&1 || true)
		[ "$got" != "$wanted" ] || break
		[ "$(date +%s)" -lt "$deadline" ] || fail "$what: wanted '$wanted', got '$got'"
	done
	ok "$what"
}

same_host() { # same_host WHEN
	"$cluster" snapshot --state "$state" >"$work/after"
	diff "$work/before" "$work/after" || fail "the host differs $1"
	ok "processes, mounts, links, iptables, cgroups and sysctls are as before $1"
}

kubectl() { KUBECONFIG=$state/kubeconfig "$cluster" kubectl "$@"; }

# refuses WHAT PATTERN COMMAND...
refuses() {
	what=$1 pattern=$2
	shift 2
	if "$@" >"$work/refusal" 2>&1; then fail "up does not refuse $what"; fi
	grep -q "$pattern" "$work/refusal" || fail "up refuses $what without saying so: $(cat "$work/refusal")"
	ok "up refuses $what: $(tail -n 1 "$work/refusal")"
}

"$cluster" down --state "$state" --purge
other=$work/other
cp /bin/sleep "$work/kubelet"
"$work/kubelet" 60 &
stranger=$!
until_is "a stranger's kubelet runs" 5 kubelet cat "/proc/$stranger/comm"
refuses "a host with a stranger's kubelet" "process $stranger" "$cluster" up --state "$other" --nodes 2
kill "$stranger"
wait "$stranger" 2>/dev/null || true
iptables -t nat -N KUBE-STRANGER
refuses "a host with a stranger's iptables chains" KUBE-STRANGER "$cluster" up --state "$other" --nodes 2
iptables -t nat -X KUBE-STRANGER
chmod 755 "$work" && mkdir -m 777 "$other.plain"
refuses "nodes without root" 'need root' su -s /bin/sh nobody -c "$cluster up --state $other.plain --nodes 2"
refuses "nodes without a package" 'apt-get install containerd' env PATH=/bin/nothing "$cluster" up --state "$other" --nodes 2
"$cluster" snapshot --state "$state" >"$work/before"

"$cluster" up --state "$state" --nodes 2
begun=$(date +%s%3N)
"$cluster" up --state "$state" --nodes 2 | grep -q 'was up already' || fail "a second up started something"
[ $(($(date +%s%3N) - begun)) -lt 1500 ] || fail "a second up took longer than 1.5 s"
ok "a second up finds everything running"
refuses "a second cluster with nodes" "belongs to the cluster in $state" "$cluster" up --state "$other" --nodes 2

kubectl apply -f "$here/testdata/workload.yaml" >/dev/null
kubectl rollout status deployment/redis statefulset/pair --timeout=120s >/dev/null
ok "a Redis with a claim and a pair kept apart are ready"
is "the pair is on two nodes" 2 "$(kubectl get pods -l app=pair -o jsonpath='{range .items[*]}{.spec.nodeName}{"\n"}{end}' | sort -u | wc -l)"
pod=$(kubectl get pods -l app=redis -o jsonpath='{.items[0].metadata.name}')
service=$(kubectl get service redis -o jsonpath='{.spec.clusterIP}')
is "PING through the Service from the host" PONG "$(redis-cli -h "$service" ping)"
is "PING by DNS name from a pod of node 1 or 2" PONG "$(kubectl exec pair-0 -- redis-cli -h redis.default.svc.cluster.local ping)"
is "PING by DNS name from a pod of the other node" PONG "$(kubectl exec pair-1 -- redis-cli -h redis ping)"
is "a pod reaches its peer by its name" PONG "$(kubectl exec pair-0 -- redis-cli -h pair-1.pair ping)"
is "a pod reaches itself through its own Service" PONG "$(kubectl exec "$pod" -- redis-cli -h redis ping)"
# busybox speaks no current TLS: the API server's refusal of plain HTTP is its answer.
kubectl exec pair-0 -- wget -q -O - http://kubernetes.default.svc:443/ 2>&1 | grep -q '400 Bad Request' || fail "a pod cannot reach the API server"
ok "a pod reaches the API server"

kubectl run plain --image=redis:7-alpine -- --appendonly yes >/dev/null
until_is "the image's entry point starts a server with options" 30 PONG kubectl exec plain -- redis-cli ping
is "the image's entry point leaves root" redis "$(kubectl exec plain -- stat -c %U /proc/1)"
kubectl delete pod plain --now >/dev/null

kubectl logs "$pod" | grep -q 'Ready to accept connections' || fail "no logs of the pod"
ok "kubectl logs"
kubectl port-forward --address 127.0.0.1 "pod/$pod" :6379 >"$work/forward" 2>&1 &
forward=$!
until_is "kubectl port-forward" 20 PONG sh -c "redis-cli -p \"\$(sed -n 's/.*127.0.0.1:\([0-9]*\) .*/\1/p' $work/forward)\" ping"
kill "$forward"
forward=

is "data is owned by the pod's group" "1000" "$(kubectl exec "$pod" -- stat -c %g /data)"
kubectl patch pvc data --type merge -p '{"spec":{"resources":{"requests":{"storage":"2Gi"}}}}' >/dev/null
kubectl wait pvc/data --for=jsonpath='{.status.capacity.storage}'=2Gi --timeout=20s >/dev/null
volume=$(kubectl get pvc data -o jsonpath='{.spec.volumeName}')
is "a grown claim grows its volume" 2Gi "$(kubectl get pv "$volume" -o jsonpath='{.spec.capacity.storage}')"
is "a grown claim has no condition left" "" "$(kubectl get pvc data -o jsonpath='{.status.conditions}')"

is "a key is written" OK "$(redis-cli -h "$service" set kept yes)"
retained=$(kubectl get pvc data-pair-0 -o jsonpath='{.spec.volumeName}')
kubectl patch pv "$retained" -p '{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}' >/dev/null
deleted=$(kubectl get pvc data-pair-1 -o jsonpath='{.spec.volumeName}')
kubectl delete statefulset/pair pvc/data-pair-0 pvc/data-pair-1 --wait=true --timeout=60s >/dev/null
kubectl wait "pv/$deleted" --for=delete --timeout=20s >/dev/null
[ ! -e "$state/volumes/$deleted" ] || fail "Delete kept the directory"
[ -d "$state/volumes/$retained" ] || fail "Retain lost the directory"
ok "reclaim policies Delete and Retain"

node=$(kubectl get pod "$pod" -o jsonpath='{.spec.nodeName}')
node=$(sed -n "/\"$node\": {/,/}/s/.*\"pid\": \([0-9]*\).*/\1/p" "$state/state.json")
kill -9 "$node"
"$cluster" up --state "$state" --nodes 2 >/dev/null
until_is "data survives a node that was killed" 60 yes redis-cli -h "$service" get kept

"$cluster" down --state "$state"
same_host "after down"
"$cluster" up --state "$state" --nodes 2
until_is "data survives down and up" 60 yes redis-cli -h "$service" get kept
"$cluster" down --state "$state" --purge
same_host "after down --purge"
[ ! -e "$state" ] || fail "--purge left $state"
ok "--purge removes the state folder"

for step in controllers Services DNS; do
	"$cluster" up --state "$state" --nodes 2 >"$work/up" 2>&1 &
	up=$!
	until_is "up comes to $step" 60 yes sh -c "grep -q '^  $step' $work/up && echo yes"
	kill -9 "$up"
	wait "$up" 2>/dev/null || true
	"$cluster" down --state "$state" --purge
	same_host "after a kill of up at $step"
done

#!/bin/sh
# The chart's guards against a real API server, by real helm: an upgrade that
# would leave the data behind changes nothing, a reinstallation finds its claim.
# Also that Pod Security `restricted` admits the pods. Needs KUBECONFIG, helm and
# kubectl; no nodes. Works in a namespace of its own and deletes it.

set -eu
here=$(cd "$(dirname "$0")" && pwd)
chart=$here/../../charts/redis
HELM=${HELM:-helm}
KUBECTL=${KUBECTL:-kubectl}
namespace=chart-guards-$$
output=$(mktemp)
count=0

end() {
  code=$?
  trap - EXIT
  rm -f "$output"
  $KUBECTL delete namespace "$namespace" --wait=false >/dev/null 2>&1 || true
  exit "$code"
}
trap end EXIT
trap 'exit 1' INT TERM

die() {
  echo "not ok - $*"
  cat "$output"
  exit 1
}

ok() {
  count=$((count + 1))
  echo "ok $count - $1"
}

k() { $KUBECTL -n "$namespace" "$@"; }

accepted() {
  what=$1
  shift
  $HELM "$@" --namespace "$namespace" >"$output" 2>&1 || die "$what was refused"
  ok "$what"
}

refused() {
  what=$1 why=$2
  shift 2
  if $HELM "$@" --namespace "$namespace" >"$output" 2>&1; then die "$what was accepted"; fi
  grep -qF "$why" "$output" || die "$what: the message does not say '$why'"
  ok "$what is refused"
}

within() {
  deadline=$(($(date +%s) + $1))
  what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ "$(date +%s)" -lt "$deadline" ] || die "$what"
    sleep 0.2
  done
}

pods_admitted() {
  within 20 "no pod of $1 was admitted" eval "k get pods -l app.kubernetes.io/component=$1 -o name | grep -q pod/"
  ok "Pod Security restricted admits the pods of $1"
}

$KUBECTL create namespace "$namespace" >/dev/null
$KUBECTL label namespace "$namespace" pod-security.kubernetes.io/enforce=restricted >/dev/null
k create serviceaccount project-template >/dev/null

accepted "a first installation" install redis "$chart"
pods_admitted standalone
uid=$(k get pvc redis-pvc -o jsonpath='{.metadata.uid}')

refused "replicaCount 2 beside a Deployment" 'would replace Deployment' \
  upgrade redis "$chart" --set replicaCount=2
k get deployment redis >/dev/null || die "the Deployment is gone"
[ "$(k get pvc redis-pvc -o jsonpath='{.metadata.uid}')" = "$uid" ] || die "the claim is another"

accepted "an upgrade of the same topology" upgrade redis "$chart" --set redis.maxmemoryPercent=60

accepted "a newer image" upgrade redis "$chart" --set image.tag=7.4.1-alpine
refused "an older image" 'is a downgrade' upgrade redis "$chart" --set image.tag=7.2.13-alpine
refused "Valkey after Redis 7.4" 'Valkey refuses' \
  upgrade redis "$chart" --set flavor=valkey,image.repository=valkey/valkey,image.tag=8.1.4-alpine
accepted "a newer patch" upgrade redis "$chart" --set image.tag=7.4.2-alpine

k delete deployment redis --wait >/dev/null
accepted "the same topology after its workload was deleted" upgrade redis "$chart" --set replicaCount=1

accepted "an uninstallation" uninstall redis --wait
[ "$(k get pvc redis-pvc -o jsonpath='{.metadata.uid}')" = "$uid" ] || die "uninstalling deleted the claim"
refused "replicaCount 2 beside a claim that is left" 'would start empty beside it' \
  install redis "$chart" --set replicaCount=2
accepted "a reinstallation on the claim that is left" install redis "$chart"

accepted "replicaCount 2 within a transition" upgrade redis "$chart" --set replicaCount=2,topology.transition=true
pods_admitted replication
[ "$(k get pvc redis-pvc -o jsonpath='{.metadata.uid}')" = "$uid" ] || die "the transition deleted the claim"
within 20 "there is no claim for pod 0" k get pvc data-redis-0
accepted "replication after the transition" upgrade redis "$chart" --set replicaCount=2
accepted "more replicas" upgrade redis "$chart" --set replicaCount=3
k delete statefulset redis --wait >/dev/null
accepted "replication after its workload was deleted" upgrade redis "$chart" --set replicaCount=2

refused "replicaCount 1 beside a StatefulSet" 'would replace StatefulSet' \
  upgrade redis "$chart" --set replicaCount=1
k get statefulset redis >/dev/null || die "the StatefulSet is gone"
accepted "a second uninstallation" uninstall redis --wait
k delete pvc redis-pvc --wait=false >/dev/null
k patch pvc redis-pvc --type merge -p '{"metadata":{"finalizers":null}}' >/dev/null 2>&1 || true
within 20 "the claim is still there" eval '! k get pvc redis-pvc'
refused "replicaCount 1 beside the claims of pods" 'would start empty beside it' install redis "$chart"

echo "1..$count"

# shellcheck shell=bash disable=SC2154,SC2034
# The demo in a cluster of somebody: what is looked at before anything is made,
# and what is taken away after. Sourced by demo.sh.

# What the environments ask for and another cluster may not have.
overlay() {
  cat <<'YAML'
# Laid over every environment: any cluster with a default storage class will do.
persistence:
  storageClass: ""
  size: 1Gi
nodeSelector: null
affinity: null
tolerations: []
YAML
}

check_existing() {
  phase "Looking at the cluster of KUBECONFIG"
  type -P kubectl >/dev/null || fail "kubectl is not in PATH" "install it; it is also what prepares the namespaces"
  command -v git >/dev/null || fail "git is not in PATH" "install git"
  kubectl_program=("$(type -P kubectl)")
  if [ ! -e "$state/kubeconfig" ]; then
    # Kept by itself, so that a later change of context does not matter.
    (umask 0077 && "${kubectl_program[@]}" config view --raw --minify --flatten >"$state/kubeconfig.next") 9>&- ||
      fail "no cluster is chosen" "set KUBECONFIG, or a current context: kubectl config use-context NAME"
    mv "$state/kubeconfig.next" "$state/kubeconfig"
  fi
  kubectl version >"$state/logs/version.log" 2>&1 || {
    cat "$state/logs/version.log" >&2
    rm -f "$state/kubeconfig"
    fail "the cluster does not answer" "see whether kubectl get nodes works"
  }
  good "context $(kubectl config current-context) at $(kubectl config view -o jsonpath='{.clusters[0].cluster.server}'), $(sed -n 's/^Server Version: //p' "$state/logs/version.log")"
  name_what_lacks
}

name_what_lacks() {
  local missing=() line name namespace mark
  may() { kubectl auth can-i "$@" 2>/dev/null | grep -qx yes; }
  may create namespaces || missing+=("the right to create namespaces")
  for line in deployments.apps statefulsets.apps services configmaps secrets persistentvolumeclaims; do
    may list "$line" --all-namespaces && may watch "$line" --all-namespaces || missing+=("the right to list and watch $line in all namespaces")
    may patch "$line" --all-namespaces || missing+=("the right to create and patch $line")
  done
  may create serviceaccounts --all-namespaces || missing+=("the right to create service accounts")
  may create pods/portforward --all-namespaces || missing+=("the right to forward ports to pods (create pods/portforward)")
  kubectl get storageclasses -o jsonpath='{range .items[*]}{.metadata.annotations.storageclass\.kubernetes\.io/is-default-class}{"\n"}{end}' 2>/dev/null |
    grep -qx true || missing+=("a default storage class (annotation storageclass.kubernetes.io/is-default-class: \"true\")")
  for name in "${environments[@]}"; do
    namespace=$(namespace_of "$name")
    mark=$(kubectl get namespace "$namespace" --ignore-not-found -o jsonpath='{.metadata.name} {.metadata.labels.redis-gitops-demo}')
    [ -z "$mark" ] || [ "$mark" = "$namespace $(demo_id)" ] ||
      missing+=("the name $namespace: a namespace of that name is there and not the demo's, which leaves it alone")
  done
  [ ${#missing[@]} -eq 0 ] || fail "the cluster lacks what the demo needs:$(printf '\n         - %s' "${missing[@]}")" \
    "give it that, use another cluster, or run make demo as root for a cluster of its own"
  good "it has what is needed; the demo makes three namespaces there: $(for name in "${environments[@]}"; do namespace_of "$name"; done | paste -sd ' ')"
}

clean_existing() {
  local namespace
  [ -e "$state/kubeconfig" ] && [ -e "$state/id" ] || return 0
  kubectl_program=("$(type -P kubectl)")
  for namespace in $(kubectl get namespaces -l "redis-gitops-demo=$(demo_id)" -o jsonpath='{.items[*].metadata.name}'); do
    kubectl delete namespace "$namespace" --timeout=120s >/dev/null
    good "namespace $namespace is deleted"
  done
}

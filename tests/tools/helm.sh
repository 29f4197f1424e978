#!/bin/sh
# Builds the helm that the tests compare with, from its Go module, into the
# folder given as the only argument. Nothing is done when it is there already.
set -eu

version=v4.1.4
into=${1:?the folder to put helm into}
here=$(cd "$(dirname "$0")" && pwd)
stamp="$version $(cksum <"$here/go.sum")"

mkdir -p "$into"
into=$(cd "$into" && pwd)
if [ -x "$into/helm" ] && [ "$(cat "$into/helm.stamp" 2>/dev/null)" = "$stamp" ]; then
	exit 0
fi
if ! command -v go >/dev/null 2>&1; then
	echo "helm.sh: Go is needed to build helm $version; install it, or set HELM to a helm $version" >&2
	exit 1
fi
rm -f "$into/helm.stamp"
cd "$here"
go build -trimpath \
	-ldflags "-s -w -X helm.sh/helm/v4/internal/version.version=$version" \
	-o "$into/helm" helm.sh/helm/v4/cmd/helm
echo "$stamp" >"$into/helm.stamp"

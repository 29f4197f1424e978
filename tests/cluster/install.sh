#!/bin/sh
# Installs the Debian packages that worker nodes need. Does nothing, at once,
# where they are there; never touches a service that was on the host before.
set -eu

packages="containerd runc containernetworking-plugins iptables conntrack busybox-static redis-server redis-tools git"

missing=
for package in $packages; do
	# A host may have the program from elsewhere (Docker's own containerd).
	case $package in
	containernetworking-plugins) there=/usr/lib/cni/bridge ;;
	busybox-static) there=/bin/busybox ;;
	redis-tools) there=redis-cli ;;
	*) there=$package ;;
	esac
	PATH=$PATH:/usr/sbin:/sbin command -v "$there" >/dev/null 2>&1 || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
	echo "install.sh: this needs Debian's packages$missing, and the host has no apt-get: install them by its own means" >&2
	exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
	echo "install.sh: run as root: apt-get install$missing" >&2
	exit 1
fi

# Debian starts what it installs. The cluster runs these programs itself, so
# they must neither start now nor at boot.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
	trap 'rm -f "$policy"' EXIT
fi

echo "installing$missing (services stay off)"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if ! { apt-get update && apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
	tail -n 20 "$log" >&2
	echo "install.sh: apt-get failed; whole log: $log" >&2
	exit 1
fi
rm -f "$log"
for service in redis-server containerd; do
	case $missing in
	*" $service"*)
		if command -v systemctl >/dev/null 2>&1; then
			systemctl disable --now "$service" >/dev/null 2>&1 || true
		elif command -v update-rc.d >/dev/null 2>&1; then
			update-rc.d "$service" disable >/dev/null 2>&1 || true
		fi
		;;
	esac
done
echo "installed$missing"

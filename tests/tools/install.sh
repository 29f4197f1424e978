#!/bin/sh
# Installs Debian packages for the demo and the tests; without arguments, all
# that the tests use. Done at once where the programs are there already. What it
# installs is never started, neither now nor at boot.
set -eu

[ $# -gt 0 ] || set -- git redis-server redis-tools prometheus containerd runc \
	containernetworking-plugins iptables conntrack busybox-static python3-venv

# A host may have a program from elsewhere (Docker's own containerd), so the
# program is looked for and not the package.
missing=
for package; do
	case $package in
	containernetworking-plugins) program=/usr/lib/cni/bridge ;;
	busybox-static) program=/bin/busybox ;;
	redis-tools) program=redis-cli ;;
	python3-venv)
		python3 -c 'import ensurepip' 2>/dev/null || missing="$missing $package"
		continue
		;;
	*) program=$package ;;
	esac
	PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null 2>&1 || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
	echo "install.sh: these Debian packages, or what other systems call them, are needed:$missing" >&2
	exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
	echo "install.sh: as root, run: apt-get install$missing" >&2
	exit 1
fi

log=$(mktemp)
policy=/usr/sbin/policy-rc.d
made=
finish() {
	[ -z "$made" ] || rm -f "$policy"
	rm -f "$log"
}
trap finish EXIT
if [ ! -e "$policy" ]; then
	made=yes
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
fi

echo "installing$missing (their services stay off)"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # a list of words
if ! { apt-get update && apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
	tail -n 20 "$log" >&2
	echo "install.sh: apt-get could not install$missing" >&2
	exit 1
fi
for service in redis-server containerd prometheus; do
	case " $missing " in
	*" $service "*)
		if command -v systemctl >/dev/null 2>&1; then
			systemctl disable --now "$service" >/dev/null 2>&1 || true
		elif command -v update-rc.d >/dev/null 2>&1; then
			update-rc.d "$service" disable >/dev/null 2>&1 || true
		fi
		;;
	esac
done

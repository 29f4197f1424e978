#!/bin/sh
# Installs the Debian packages that worker nodes need. Does nothing, at once,
# where they are there.
set -eu
exec "$(dirname "$0")/../tools/install.sh" git redis-server redis-tools containerd runc \
	containernetworking-plugins iptables conntrack busybox-static

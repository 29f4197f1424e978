package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// needed maps each program or file that the nodes use to its Debian package.
var needed = []struct{ file, pack string }{
	{"containerd", "containerd"},
	{"containerd-shim-runc-v2", "containerd"},
	{"ctr", "containerd"},
	{"runc", "runc"},
	{cniPlugins + "/bridge", "containernetworking-plugins"},
	{cniPlugins + "/host-local", "containernetworking-plugins"},
	{"iptables", "iptables"},
	{"conntrack", "conntrack"},
	{"/bin/busybox", "busybox-static"},
	{"redis-server", "redis-server"},
	{"redis-cli", "redis-tools"},
}

// cniPlugins is where Debian's package puts them.
const cniPlugins = "/usr/lib/cni"

// preflight refuses a host on which nodes cannot run, or would get in the way
// of somebody else's Kubernetes.
func (c *cluster) preflight() error {
	if os.Geteuid() != 0 {
		return errors.New("worker nodes need root (mounts, network links, cgroups): run as root, or use --nodes 0 for the control plane alone")
	}
	var missing []string
	for _, need := range needed {
		if _, err := exec.LookPath(need.file); err != nil && !contains(missing, need.pack) {
			missing = append(missing, need.pack)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("worker nodes need Debian packages that are not installed: apt-get install %s (tests/cluster/install.sh does it)", strings.Join(missing, " "))
	}
	for _, under := range []string{"/run/", "/proc/", "/sys/", "/dev/"} {
		if strings.HasPrefix(c.dir+"/", under) {
			return fmt.Errorf("the state folder %s cannot lie below %s: choose a folder on a disk", c.dir, under)
		}
	}
	for node := 1; node <= 2; node++ {
		if owner := bridgeOwner(bridgeName(node)); owner != "" && owner != c.dir {
			return fmt.Errorf("the link %s belongs to the cluster in %s: stop it first (cluster down --state %s)", bridgeName(node), owner, owner)
		}
	}
	return errors.Join(c.foreignKubelet(), c.foreignRules())
}

func (c *cluster) foreignKubelet() error {
	ours := map[int]bool{}
	for _, p := range owned(c.dir) {
		ours[p.PID] = true
	}
	for _, pid := range processIDs() {
		arguments := commandLine(pid)
		if ours[pid] || !isKubelet(arguments) {
			continue
		}
		return fmt.Errorf("a kubelet that is not ours runs here (process %d: %s): this host is a node of another Kubernetes; stop it, or use another machine or --nodes 0",
			pid, strings.Join(arguments[:min(len(arguments), 4)], " "))
	}
	return nil
}

func isKubelet(arguments []string) bool {
	for _, word := range arguments[:min(len(arguments), 2)] {
		if base := filepath.Base(word); base == "kubelet" || base == "k3s" {
			return true
		}
	}
	return false
}

func (c *cluster) foreignRules() error {
	if c.state.Network != nil {
		// Our own, from this start or from one that was killed.
		return nil
	}
	for _, family := range families {
		saved, err := c.savedRules(family)
		if err != nil {
			return err
		}
		if chains := kubeChains(saved); len(chains) > 0 {
			return fmt.Errorf("%s holds chains of another Kubernetes (%s …, %d in all): stop it first; if it is long gone, a reboot or `kube-proxy --cleanup` removes them",
				family, chains[0], len(chains))
		}
	}
	return nil
}

func contains(list []string, item string) bool {
	for _, other := range list {
		if other == item {
			return true
		}
	}
	return false
}

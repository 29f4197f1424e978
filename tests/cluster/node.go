package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// planNodes settles the network and records the host's settings before the
// first of them is changed.
func (c *cluster) planNodes(references []string) error {
	if err := c.preflight(); err != nil {
		return err
	}
	for _, reference := range references {
		if err := checkReference(reference); err != nil {
			return err
		}
	}
	c.state.Images = references
	if c.state.Network == nil {
		chosen, err := chooseNetwork()
		if err != nil {
			return err
		}
		if chosen.Iptables, err = c.chooseIptables(); err != nil {
			return err
		}
		c.state.Network = chosen
	}
	if c.state.Sysctls == nil {
		c.state.Sysctls = readSysctls()
	}
	if err := c.save(); err != nil {
		return err
	}
	return c.ensureBridges()
}

func (c *cluster) nodeSteps() []step {
	gateway := c.state.Network.gateway(1).String()
	return []step{
		{"scheduler", "kube-scheduler", c.startScheduler, nil, 0},
		{"relay for pods", "relay", c.startRelay, tcpReady(fmt.Sprintf("%s:%d", gateway, c.state.Ports.APIServer)), 10 * time.Second},
		{"images", "", c.ensureImages, nil, 0},
		{"storage", "provisioner", c.startProvisioner, nil, 0},
		{"node1", "node1", func() error { return c.startNode(1) }, nil, 0},
		{"node2", "node2", func() error { return c.startNode(2) }, nil, 0},
		{"Services", "kube-proxy", c.startProxy, c.servicesReady, 60 * time.Second},
		{"DNS", "dns", c.startDNS, tcpReady(fmt.Sprintf("%s:%d", gateway, dnsPort)), 60 * time.Second},
		{"node1", "node1", func() error { return c.startNode(1) }, func() error { return c.nodeReady(1) }, 120 * time.Second},
		{"node2", "node2", func() error { return c.startNode(2) }, func() error { return c.nodeReady(2) }, 120 * time.Second},
	}
}

// startNode runs a node in namespaces of its own: its mounts never reach the
// host, and with its first process all the others end.
func (c *cluster) startNode(node int) error {
	return c.start(fmt.Sprintf("node%d", node),
		[]string{c.self, "node", "--state", c.dir, "--number", fmt.Sprint(node)},
		syscall.CLONE_NEWNS|syscall.CLONE_NEWPID)
}

func (c *cluster) nodeReady(node int) error {
	client, err := c.admin()
	if err != nil {
		return err
	}
	name := fmt.Sprintf("node%d", node)
	found, err := client.CoreV1().Nodes().Get(context.Background(), name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	for _, condition := range found.Status.Conditions {
		if condition.Type != corev1.NodeReady {
			continue
		}
		if condition.Status == corev1.ConditionTrue && c.freshHeartbeat(condition, node) {
			return nil
		}
		return fmt.Errorf("%s says: %s", name, condition.Message)
	}
	return fmt.Errorf("%s has not reported yet", name)
}

// freshHeartbeat tells a report of this start from one that the database kept.
func (c *cluster) freshHeartbeat(condition corev1.NodeCondition, node int) bool {
	began := c.state.Processes[fmt.Sprintf("node%d", node)].Began
	return condition.LastHeartbeatTime.Add(time.Second).After(began)
}

// nodeConfiguration writes the files that containerd, its network plugin and
// the kubelet of one node read.
func (c *cluster) nodeConfiguration(node int) error {
	network := c.state.Network
	folder := func(parts ...string) string {
		return c.path(append([]string{fmt.Sprintf("node%d", node)}, parts...)...)
	}
	resolver := folder("resolv.conf")
	files := map[string]string{
		folder("containerd.toml"): fmt.Sprintf(containerdTemplate, folder("containerd"), folder("opt"), cniPlugins, folder("net.d")),
		folder("net.d", "10-bridge.conflist"): fmt.Sprintf(cniTemplate, bridgeName(node), bridgeName(node),
			network.podSubnet(node), folder("leases")),
		folder("kubelet.yaml"): fmt.Sprintf(kubeletTemplate, network.gateway(node), kubeletPort,
			c.path("pki", "ca.crt"), c.path("pki", "server.crt"), c.path("pki", "server.key"),
			nodeCgroup(node), network.dnsService(), resolver, folder("pod-logs"), folder("plugins")),
		resolver: hostResolver(),
	}
	for path, text := range files {
		if err := writeFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// hostResolver is the host's resolver configuration without its search list:
// pods ask the cluster's DNS, which forwards.
func hostResolver() string {
	text, _ := os.ReadFile("/etc/resolv.conf")
	var kept []string
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, "nameserver") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n") + "\n"
}

// The machine may allow no negative oom_score_adj, without which every sandbox
// would fail to start.
const containerdTemplate = `version = 2
root = %q
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
address = "` + containerdSocket + `"
[plugins."io.containerd.internal.v1.opt"]
path = %q
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "` + pauseReference + `"
restrict_oom_score_adj = true
disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = %q
conf_dir = %q
`

const cniTemplate = `{
  "cniVersion": "0.4.0",
  "name": %q,
  "plugins": [{
    "type": "bridge",
    "bridge": %q,
    "isGateway": true,
    "hairpinMode": true,
    "ipam": {
      "type": "host-local",
      "ranges": [[{"subnet": %q}]],
      "routes": [{"dst": "0.0.0.0/0"}],
      "dataDir": %q
    }
  }]
}
`

const kubeletTemplate = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: %s
port: %d
healthzPort: 0
readOnlyPort: 0
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: false}
  x509: {clientCAFile: %s}
authorization: {mode: AlwaysAllow}
tlsCertFile: %s
tlsPrivateKeyFile: %s
containerRuntimeEndpoint: unix://` + containerdSocket + `
cgroupDriver: cgroupfs
cgroupRoot: %s
failCgroupV1: false
failSwapOn: false
makeIPTablesUtilChains: false
localStorageCapacityIsolation: false
clusterDomain: cluster.local
clusterDNS: [%s]
resolvConf: %s
podLogsDir: %s
volumePluginDir: %s
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 50Mi, nodefs.available: 1%%, imagefs.available: 1%%, nodefs.inodesFree: 1%%}
nodeStatusUpdateFrequency: 4s
nodeLeaseDurationSeconds: 12
syncFrequency: 10s
`

// restoreHost gives back what the nodes changed outside the state folder. It
// is safe to repeat and does nothing for a cluster without nodes.
func (c *cluster) restoreHost() error {
	if c.state.Network == nil && c.state.Sysctls == nil && bridgeOwner(bridgeName(1)) != c.dir {
		return nil
	}
	if !isRoot() {
		return errors.New("this cluster had nodes: run `down` as root")
	}
	err := errors.Join(c.removeRules(), c.removeBridges(), removeCgroups(), c.removeMounts(), c.restoreSysctls())
	if err == nil {
		c.state.Network = nil
	}
	return err
}

// removeMounts is for mounts that should not exist: the nodes' are in
// namespaces of their own. A volume that someone mounted below the state
// folder must be gone before anything there is deleted.
func (c *cluster) removeMounts() error {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return fmt.Errorf("cannot list mounts: %w", err)
	}
	lines := strings.Split(string(mounts), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		fields := strings.Fields(lines[i])
		if len(fields) > 1 && strings.HasPrefix(fields[1], c.dir+string(filepath.Separator)) {
			if err := syscall.Unmount(fields[1], syscall.MNT_DETACH); err != nil {
				return fmt.Errorf("cannot unmount %s: %w", fields[1], err)
			}
		}
	}
	return nil
}

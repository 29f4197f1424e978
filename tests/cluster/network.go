package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"

	"github.com/vishvananda/netlink"
)

// Links and cgroups of the nodes carry this prefix; rules and links also carry
// the state folder, so that a stranger's are never touched.
const hostPrefix = "rgc-"

const ownerComment = "redis-gitops-cluster "

// podRanges and serviceRanges are tried in order: the first that overlaps no
// address or route of the host is taken.
var (
	podRanges     = []string{"10.244.0.0/16", "10.213.0.0/16", "172.21.0.0/16"}
	serviceRanges = []string{"10.96.0.0/16", "10.112.0.0/16", "172.22.0.0/16"}
)

// Ports at a bridge's address, where nothing of the host listens. They lie
// outside the range of the API server's port, which the relay opens there too.
const (
	kubeletPort = 19250
	dnsPort     = 19053
)

// network is what the nodes of a cluster get, chosen once and kept.
type network struct {
	Pods     string `json:"pods"`
	Services string `json:"services"`
	// Iptables is the folder that holds a working `iptables`, "" where the
	// host's default one works.
	Iptables string `json:"iptables,omitempty"`
}

// at replaces the last two bytes of an IPv4 range's address.
func at(cidr string, third, fourth byte) net.IP {
	address, _, err := net.ParseCIDR(cidr)
	if err != nil {
		return nil
	}
	address = address.To4()
	return net.IPv4(address[0], address[1], third, fourth)
}

func bridgeName(node int) string { return fmt.Sprintf("%snode%d", hostPrefix, node) }

// gateway is the node's own address as well as its pods' way out.
func (n *network) gateway(node int) net.IP { return at(n.Pods, byte(node), 1) }

func (n *network) podSubnet(node int) string { return at(n.Pods, byte(node), 0).String() + "/24" }

func (n *network) apiService() net.IP { return at(n.Services, 0, 1) }

func (n *network) dnsService() net.IP { return at(n.Services, 0, 10) }

// addresses are those under which the API server and kubelets are reached.
func (n *network) addresses() []net.IP {
	if n == nil {
		return nil
	}
	return []net.IP{n.gateway(1), n.gateway(2), n.apiService()}
}

func chooseNetwork() (*network, error) {
	var taken []*net.IPNet
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("cannot list the host's routes: %w", err)
	}
	for _, route := range routes {
		if route.Dst != nil && !route.Dst.IP.IsUnspecified() {
			taken = append(taken, route.Dst)
		}
	}
	pods, err := firstFree("pods", podRanges, taken)
	if err != nil {
		return nil, err
	}
	services, err := firstFree("Services", serviceRanges, taken)
	if err != nil {
		return nil, err
	}
	return &network{Pods: pods, Services: services}, nil
}

func firstFree(what string, candidates []string, taken []*net.IPNet) (string, error) {
	for _, candidate := range candidates {
		_, block, err := net.ParseCIDR(candidate)
		if err != nil {
			return "", fmt.Errorf("bad range %s: %w", candidate, err)
		}
		free := true
		for _, other := range taken {
			free = free && !other.Contains(block.IP) && !block.Contains(other.IP)
		}
		if free {
			return candidate, nil
		}
	}
	return "", fmt.Errorf("no address range is left for %s: the host has routes into each of %s", what, strings.Join(candidates, ", "))
}

// ensureBridges makes each node's bridge before its first pod, since the
// node, the DNS server and the API server's relay listen at its address.
func (c *cluster) ensureBridges() error {
	for node := 1; node <= c.state.Nodes; node++ {
		name := bridgeName(node)
		attributes := netlink.NewLinkAttrs()
		attributes.Name = name
		if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attributes}); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("cannot make the bridge %s: %w", name, err)
		}
		link, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("cannot find the bridge %s: %w", name, err)
		}
		if err := netlink.LinkSetAlias(link, ownerComment+c.dir); err != nil {
			return fmt.Errorf("cannot mark the bridge %s as ours: %w", name, err)
		}
		address := &netlink.Addr{IPNet: &net.IPNet{IP: c.state.Network.gateway(node), Mask: net.CIDRMask(24, 32)}}
		if err := netlink.AddrReplace(link, address); err != nil {
			return fmt.Errorf("cannot give %s its address %s: %w", name, address, err)
		}
		if err := netlink.LinkSetUp(link); err != nil {
			return fmt.Errorf("cannot bring %s up: %w", name, err)
		}
	}
	// Without a route of its own, a Service is out of reach from a host that
	// has no default route; with one, the host speaks from a pod address.
	link, err := netlink.LinkByName(bridgeName(1))
	if err != nil {
		return fmt.Errorf("cannot find the bridge %s: %w", bridgeName(1), err)
	}
	_, services, err := net.ParseCIDR(c.state.Network.Services)
	if err != nil {
		return fmt.Errorf("bad Service range: %w", err)
	}
	route := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: services, Src: c.state.Network.gateway(1), Scope: netlink.SCOPE_LINK}
	if err := netlink.RouteReplace(route); err != nil {
		return fmt.Errorf("cannot route the Services %s: %w", services, err)
	}
	return c.ensureForwarding()
}

// bridgeOwner is the state folder in a bridge's alias, "" without the bridge.
func bridgeOwner(name string) string {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return ""
	}
	if owner, ok := strings.CutPrefix(link.Attrs().Alias, ownerComment); ok {
		return owner
	}
	return "(unknown)"
}

// removeBridges deletes our bridges and what is plugged into them: the kernel
// would remove the pods' links too, but only some time after their last process.
func (c *cluster) removeBridges() error {
	for node := 1; node <= 2; node++ {
		name := bridgeName(node)
		if bridgeOwner(name) != c.dir {
			continue
		}
		bridge, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("cannot find the bridge %s: %w", name, err)
		}
		links, err := netlink.LinkList()
		if err != nil {
			return fmt.Errorf("cannot list the host's links: %w", err)
		}
		for _, link := range links {
			if link.Attrs().MasterIndex == bridge.Attrs().Index {
				// It may have gone with its namespace since it was listed.
				_ = netlink.LinkDel(link)
			}
		}
		if err := netlink.LinkDel(bridge); err != nil {
			return fmt.Errorf("cannot remove the bridge %s: %w", name, err)
		}
	}
	return nil
}

// sysctls are those that the kubelet, kube-proxy and the bridges change.
var sysctls = []string{
	"net/ipv4/ip_forward", "net/ipv4/conf/all/route_localnet",
	"net/bridge/bridge-nf-call-iptables", "net/netfilter/nf_conntrack_max",
	"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops",
	"kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",
}

func readSysctls() map[string]string {
	values := map[string]string{}
	for _, name := range sysctls {
		if text, err := os.ReadFile("/proc/sys/" + name); err == nil {
			values[name] = strings.TrimSpace(string(text))
		}
	}
	return values
}

func (c *cluster) ensureForwarding() error {
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		return fmt.Errorf("cannot let the host route between the nodes (net.ipv4.ip_forward): %w", err)
	}
	// Without it, an answer between two pods of one bridge skips the rules that
	// turn it back into the Service's; a kernel without bridge filtering in a
	// module needs that module first.
	const filter = "/proc/sys/net/bridge/bridge-nf-call-iptables"
	if _, err := os.Stat(filter); err != nil {
		_ = exec.Command("modprobe", "br_netfilter").Run()
	}
	if err := os.WriteFile(filter, []byte("1"), 0o644); err != nil {
		return fmt.Errorf("cannot filter bridged packets: %w; remedy: modprobe br_netfilter", err)
	}
	return c.ensureFirewall()
}

func (c *cluster) restoreSysctls() error {
	var failures []error
	for name, value := range c.state.Sysctls {
		now, err := os.ReadFile("/proc/sys/" + name)
		if err != nil || strings.TrimSpace(string(now)) == value {
			continue
		}
		if err := os.WriteFile("/proc/sys/"+name, []byte(value), 0o644); err != nil {
			failures = append(failures, fmt.Errorf("cannot set %s back to %s: %w", name, value, err))
		}
	}
	if len(failures) == 0 {
		c.state.Sysctls = nil
	}
	return errors.Join(failures...)
}

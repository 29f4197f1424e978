package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
)

// families are the two rule sets that kube-proxy may write to.
var families = []string{"iptables", "ip6tables"}

// chooseIptables finds an iptables that can write: a kernel may have only the
// legacy or only the nft tables, whatever Debian's alternative points at. It
// returns a folder to put first in PATH, "" for the default.
func (c *cluster) chooseIptables() (string, error) {
	var failures []error
	for _, flavour := range []string{"", "-legacy", "-nft"} {
		path, err := exec.LookPath("iptables" + flavour)
		if err != nil {
			continue
		}
		if err := canWrite(path); err != nil {
			failures = append(failures, err)
			continue
		}
		if flavour == "" {
			return "", nil
		}
		return c.iptablesFolder(flavour)
	}
	return "", fmt.Errorf("no iptables on this host can write NAT rules (the kernel lacks netfilter, or a right is missing): %w", errors.Join(failures...))
}

func canWrite(iptables string) error {
	const chain = "RGC-PROBE"
	for _, arguments := range [][]string{{"-N", chain}, {"-X", chain}} {
		output, err := exec.Command(iptables, append([]string{"-w", "10", "-t", "nat"}, arguments...)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s %s: %s", iptables, strings.Join(arguments, " "), strings.TrimSpace(string(output)))
		}
	}
	return nil
}

func (c *cluster) iptablesFolder(flavour string) (string, error) {
	folder := c.path("config", "iptables")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", fmt.Errorf("cannot make %s: %w", folder, err)
	}
	for _, family := range families {
		for _, suffix := range []string{"", "-save", "-restore"} {
			path, err := exec.LookPath(family + flavour + suffix)
			if err != nil {
				continue
			}
			link := filepath.Join(folder, family+suffix)
			_ = os.Remove(link)
			if err := os.Symlink(path, link); err != nil {
				return "", fmt.Errorf("cannot link %s: %w", link, err)
			}
		}
	}
	return folder, nil
}

// tool is the path of an iptables program under the chosen flavour.
func (n *network) tool(name string) string {
	if n != nil && n.Iptables != "" {
		return filepath.Join(n.Iptables, name)
	}
	return name
}

// ensureFirewall lets the pods through a host whose policy is to drop.
func (c *cluster) ensureFirewall() error {
	rules, err := c.savedRules("iptables")
	if err != nil {
		return err
	}
	comment := ownerComment + c.dir
	if strings.Contains(rules, comment) {
		return nil
	}
	from, to := []string{"-i", hostPrefix + "node+"}, []string{"-o", hostPrefix + "node+", "-m", "conntrack", "--ctstate", "ESTABLISHED,RELATED"}
	for _, rule := range [][]string{
		append([]string{"INPUT"}, from...), append([]string{"FORWARD"}, from...), append([]string{"FORWARD"}, to...),
	} {
		arguments := append([]string{"-w", "10", "-I"}, rule...)
		arguments = append(arguments, "-m", "comment", "--comment", comment, "-j", "ACCEPT")
		output, err := exec.Command(c.state.Network.tool("iptables"), arguments...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("cannot add the rule %s: %s", strings.Join(rule, " "), strings.TrimSpace(string(output)))
		}
	}
	return nil
}

// savedRules is the rule set in the form that restore reads; "" where the host
// has no such family.
func (c *cluster) savedRules(family string) (string, error) {
	path, err := exec.LookPath(c.state.Network.tool(family + "-save"))
	if err != nil {
		return "", nil
	}
	output, err := exec.Command(path).Output()
	if err != nil {
		if family == "ip6tables" {
			return "", nil
		}
		return "", fmt.Errorf("%s failed: %w", path, err)
	}
	return string(output), nil
}

// kubeChains lists Kubernetes' chains of a saved rule set, sorted.
func kubeChains(saved string) []string {
	found := map[string]bool{}
	for _, line := range strings.Split(saved, "\n") {
		if name, ok := strings.CutPrefix(line, ":KUBE-"); ok {
			name, _, _ = strings.Cut(name, " ")
			found["KUBE-"+name] = true
		}
	}
	names := make([]string, 0, len(found))
	for name := range found {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// removal turns a saved rule set into the input of `restore --noflush` that
// deletes Kubernetes' chains and the rules with our comment, and nothing else.
func removal(saved, comment string) string {
	var script, table, tail strings.Builder
	flush := func() {
		if table.Len() > 0 || tail.Len() > 0 {
			script.WriteString(table.String() + tail.String() + "COMMIT\n")
		}
		table.Reset()
		tail.Reset()
	}
	header := ""
	write := func(line string) {
		if header != "" {
			table.WriteString(header + "\n")
			header = ""
		}
		table.WriteString(line + "\n")
	}
	for _, line := range strings.Split(saved, "\n") {
		switch {
		case strings.HasPrefix(line, "*"):
			header = line
		case strings.HasPrefix(line, ":KUBE-"):
			name, _, _ := strings.Cut(line[1:], " ")
			// Declaring a chain flushes it; deleting comes when nothing points to it.
			write(":" + name + " - [0:0]")
			tail.WriteString("-X " + name + "\n")
		case strings.HasPrefix(line, "-A KUBE-"):
		case strings.HasPrefix(line, "-A ") && (strings.Contains(line, "-j KUBE-") || strings.Contains(line, comment)):
			write("-D " + line[len("-A "):])
		case line == "COMMIT":
			flush()
		}
	}
	return script.String()
}

func (c *cluster) removeRules() error {
	var failures []error
	for _, family := range families {
		saved, err := c.savedRules(family)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		script := removal(saved, ownerComment+c.dir)
		if script == "" {
			continue
		}
		restore := exec.Command(c.state.Network.tool(family+"-restore"), "-w", "10", "--noflush")
		restore.Stdin = strings.NewReader(script)
		var output bytes.Buffer
		restore.Stdout, restore.Stderr = &output, &output
		if err := restore.Run(); err != nil {
			failures = append(failures, fmt.Errorf("%s-restore cannot remove our rules: %s", family, strings.TrimSpace(output.String())))
		}
	}
	return errors.Join(failures...)
}

package main

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/vishvananda/netlink"
)

// runSnapshot prints what a cluster may change on the host, one sorted line
// each and without numbers that change by themselves, so that two snapshots
// can be compared with diff.
func runSnapshot(args []string) error {
	flags := flag.NewFlagSet("cluster snapshot", flag.ContinueOnError)
	dir := flags.String("state", "", "state `folder` whose processes are listed")
	if err := flags.Parse(args); err != nil {
		return usageError(err)
	}
	var lines []string
	if *dir != "" {
		absolute, err := filepath.Abs(*dir)
		if err != nil {
			return fmt.Errorf("cannot resolve the state folder %s: %w", *dir, err)
		}
		for _, p := range owned(absolute) {
			lines = append(lines, "process "+strings.Join(commandLine(p.PID), " "))
		}
	}
	for _, collect := range []func() ([]string, error){nodeProcesses, mountLines, linkLines, ruleLines, cgroupLines} {
		found, err := collect()
		if err != nil {
			return err
		}
		lines = append(lines, found...)
	}
	for name, value := range readSysctls() {
		lines = append(lines, fmt.Sprintf("sysctl %s=%s", strings.ReplaceAll(name, "/", "."), value))
	}
	sort.Strings(lines)
	for _, line := range lines {
		fmt.Println(line)
	}
	return nil
}

// nodeProcesses are the programs of any node on this host, whoever runs them:
// a container's own process carries no mark of ours, but its shim is here.
func nodeProcesses() ([]string, error) {
	var lines []string
	for _, pid := range processIDs() {
		arguments := commandLine(pid)
		if base := filepath.Base(arguments[0]); strings.HasPrefix(base, "containerd") || isKubelet(arguments) {
			lines = append(lines, "process "+strings.Join(arguments, " "))
		}
	}
	return lines, nil
}

func mountLines() ([]string, error) {
	text, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, fmt.Errorf("cannot list mounts: %w", err)
	}
	var lines []string
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		if fields := strings.Fields(line); len(fields) > 2 {
			lines = append(lines, fmt.Sprintf("mount %s %s on %s", fields[2], fields[0], fields[1]))
		}
	}
	return lines, nil
}

func linkLines() ([]string, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("cannot list links: %w", err)
	}
	var lines []string
	for _, link := range links {
		addresses, err := netlink.AddrList(link, netlink.FAMILY_V4)
		if err != nil {
			return nil, fmt.Errorf("cannot list the addresses of %s: %w", link.Attrs().Name, err)
		}
		line := fmt.Sprintf("link %s %s", link.Type(), link.Attrs().Name)
		for _, address := range addresses {
			line += " " + address.IPNet.String()
		}
		lines = append(lines, line)
	}
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("cannot list routes: %w", err)
	}
	for _, route := range routes {
		lines = append(lines, fmt.Sprintf("route %s via %s", route.Dst, route.Gw))
	}
	return lines, nil
}

// ruleLines leaves out empty tables and built-in chains without rules: looking
// at a table is enough to make it appear.
func ruleLines() ([]string, error) {
	var lines []string
	c := &cluster{}
	for _, family := range families {
		saved, err := c.savedRules(family)
		if err != nil {
			// Without root there is nothing that we could have changed.
			continue
		}
		table := ""
		for _, line := range strings.Split(saved, "\n") {
			switch {
			case strings.HasPrefix(line, "*"):
				table = line[1:]
			case strings.HasPrefix(line, ":"):
				name, rest, _ := strings.Cut(line[1:], " ")
				if policy, _, _ := strings.Cut(rest, " "); policy != "ACCEPT" {
					lines = append(lines, fmt.Sprintf("%s %s chain %s %s", family, table, name, policy))
				}
			case strings.HasPrefix(line, "-"):
				lines = append(lines, fmt.Sprintf("%s %s %s", family, table, line))
			}
		}
	}
	return lines, nil
}

// cgroupLines are the top of each tree and all of the nodes': deeper ones come
// and go with the host's own services.
func cgroupLines() ([]string, error) {
	trees, err := hierarchies()
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, tree := range trees {
		err := filepath.WalkDir(tree.root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.IsDir() {
				return nil
			}
			lines = append(lines, "cgroup "+path)
			if filepath.Dir(path) == tree.root && !strings.HasPrefix(entry.Name(), hostPrefix) {
				return fs.SkipDir
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("cannot walk %s: %w", tree.root, err)
		}
	}
	return lines, nil
}

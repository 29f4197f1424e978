package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

// hierarchy is one mounted cgroup tree: one controller of version 1, or the
// whole of version 2.
type hierarchy struct {
	root    string
	version int
}

// hierarchies lists the mounted trees. On a hybrid host the version 2 tree is
// left out, since the kubelet and runc use version 1 there.
func hierarchies() ([]hierarchy, error) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, fmt.Errorf("cannot list mounts: %w", err)
	}
	var first, second []hierarchy
	for _, line := range strings.Split(string(mounts), "\n") {
		fields := strings.Fields(line)
		if len(fields) < 3 {
			continue
		}
		switch fields[2] {
		case "cgroup":
			first = append(first, hierarchy{fields[1], 1})
		case "cgroup2":
			second = append(second, hierarchy{fields[1], 2})
		}
	}
	switch {
	case len(first) > 0:
		return first, nil
	case len(second) > 0:
		return second[:1], nil
	default:
		return nil, errors.New("no cgroup tree is mounted: mount one below /sys/fs/cgroup (systemd does, and so do containers with cgroup access)")
	}
}

func nodeCgroup(node int) string { return "/" + bridgeName(node) }

// ensureCgroup makes a node's own root in every tree; the kubelet refuses one
// that does not exist.
func ensureCgroup(name string) error {
	trees, err := hierarchies()
	if err != nil {
		return err
	}
	for _, tree := range trees {
		if tree.version == 2 {
			if err := delegate(tree.root); err != nil {
				return err
			}
		}
		folder := filepath.Join(tree.root, name)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return fmt.Errorf("cannot make the cgroup %s: %w", folder, err)
		}
		if tree.version == 2 {
			if err := delegate(folder); err != nil {
				return err
			}
			continue
		}
		// A version 1 cpuset starts empty, and then no process may enter it.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			value, err := os.ReadFile(filepath.Join(tree.root, file))
			if err != nil {
				continue
			}
			if err := os.WriteFile(filepath.Join(folder, file), value, 0o644); err != nil {
				return fmt.Errorf("cannot fill %s of %s: %w", file, folder, err)
			}
		}
	}
	return nil
}

// delegate hands every controller of a version 2 cgroup to its children.
func delegate(folder string) error {
	text, err := os.ReadFile(filepath.Join(folder, "cgroup.controllers"))
	if err != nil {
		return fmt.Errorf("cannot read the controllers of %s: %w", folder, err)
	}
	enabled, _ := os.ReadFile(filepath.Join(folder, "cgroup.subtree_control"))
	has := strings.Fields(string(enabled))
	for _, controller := range strings.Fields(string(text)) {
		if contains(has, controller) {
			continue
		}
		err := os.WriteFile(filepath.Join(folder, "cgroup.subtree_control"), []byte("+"+controller), 0o644)
		if err != nil && contains([]string{"cpu", "cpuset", "memory", "pids"}, controller) {
			return fmt.Errorf("cannot hand the controller %s of %s to the nodes: %w; processes in that cgroup itself must move to a child of it first", controller, folder, err)
		}
	}
	return nil
}

// removeCgroups deletes the nodes' cgroups, innermost first. The last
// processes may still be on their way out.
func removeCgroups() error {
	trees, err := hierarchies()
	if err != nil {
		return err
	}
	var failures []error
	for _, tree := range trees {
		for node := 1; node <= 2; node++ {
			if err := removeTree(filepath.Join(tree.root, nodeCgroup(node))); err != nil {
				failures = append(failures, err)
			}
		}
	}
	return errors.Join(failures...)
}

func removeTree(root string) error {
	deadline := time.Now().Add(10 * time.Second)
	for {
		var folders []string
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				folders = append(folders, path)
			}
			return nil
		})
		if err != nil || len(folders) == 0 {
			return err
		}
		sort.Sort(sort.Reverse(sort.StringSlice(folders)))
		for _, folder := range folders {
			if err = os.Remove(folder); err != nil && !errors.Is(err, os.ErrNotExist) {
				break
			}
		}
		if err == nil || errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("cannot remove the cgroup %s: %w; a process may still be in it", root, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

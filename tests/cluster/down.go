package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"time"
)

// stopOrder ends writers before what they write to: workloads with their
// nodes, then the helpers, then the control plane from its clients inwards.
var stopOrder = []struct {
	process string
	grace   time.Duration
}{
	{"node1", 20 * time.Second},
	{"node2", 20 * time.Second},
	{"provisioner", 5 * time.Second},
	{"dns", 5 * time.Second},
	{"kube-proxy", 5 * time.Second},
	{"relay", 2 * time.Second},
	{"kube-scheduler", 5 * time.Second},
	{"kube-controller-manager", 5 * time.Second},
	{"kube-apiserver", 10 * time.Second},
	{"etcd", 10 * time.Second},
}

func runDown(args []string) error {
	flags := flag.NewFlagSet("cluster down", flag.ContinueOnError)
	dir := flags.String("state", "", "`folder` that holds everything of this cluster")
	purge := flags.Bool("purge", false, "delete the folder too, with every volume in it")
	if err := flags.Parse(args); err != nil {
		return usageError(err)
	}
	if *dir == "" {
		return errors.New("--state DIR is missing: name the folder that holds this cluster's state")
	}
	if _, err := os.Stat(*dir); errors.Is(err, os.ErrNotExist) {
		fmt.Printf("nothing to stop: %s does not exist\n", *dir)
		return nil
	}
	begun := time.Now()
	c, err := openCluster(*dir)
	if errors.Is(err, errDamaged) {
		fmt.Printf("%v\ngoing on by the marks on processes and links; changed sysctls stay as they are\n", err)
	} else if err != nil {
		return err
	}
	if err := c.down(); err != nil {
		return err
	}
	if *purge {
		if err := c.purge(); err != nil {
			return err
		}
	}
	fmt.Printf("cluster is down after %.1f s\n", time.Since(begun).Seconds())
	return nil
}

// down goes on after a failure: whatever can be given back is, and all
// failures are told together.
func (c *cluster) down() error {
	var failures []error
	note := func(err error) {
		if err != nil {
			failures = append(failures, err)
		}
	}
	for _, s := range stopOrder {
		note(c.stop(s.process, s.grace))
	}
	note(c.endStrays())
	note(c.restoreHost())
	if len(failures) > 0 {
		return fmt.Errorf("not everything could be stopped: %w", errors.Join(failures...))
	}
	return c.save()
}

// purge deletes what `up` made, by name: a mistyped --state must not cost a
// folder of someone else.
func (c *cluster) purge() error {
	for _, name := range []string{"logs", "pki", "config", "etcd", "node1", "node2", "images", "volumes", "kubeconfig", "state.json", "lock"} {
		if err := os.RemoveAll(c.path(name)); err != nil {
			return fmt.Errorf("cannot delete %s: %w", c.path(name), err)
		}
	}
	if err := os.Remove(c.dir); err != nil {
		fmt.Printf("%s is kept: it holds files that are not the cluster's\n", c.dir)
	}
	return nil
}

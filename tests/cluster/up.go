package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"slices"
	"time"
)

// step is one part of the cluster that `up` makes sure of. A step that is
// already right costs one look, so a fresh start, a repair and a second `up`
// are the same walk. A step without `ready` starts something that a later step
// waits for; one without `process` is work that is done when it returns.
type step struct {
	name    string
	process string
	start   func() error
	ready   func() error
	limit   time.Duration
}

func runUp(args []string) error {
	flags := flag.NewFlagSet("cluster up", flag.ContinueOnError)
	dir := flags.String("state", "", "`folder` that holds everything of this cluster")
	nodes := flags.Int("nodes", 0, "worker nodes: 0 (control plane only, no root needed) or 2")
	audit := flags.Bool("audit", false, "write every request to DIR/logs/audit.log (metadata only)")
	var references repeated
	flags.Var(&references, "redis-ref", "full image `reference` for the local Redis image; may be repeated")
	if err := flags.Parse(args); err != nil {
		return usageError(err)
	}
	if flags.NArg() > 0 || (*nodes != 0 && *nodes != 2) {
		return fmt.Errorf("--nodes is 0 or 2, and there are no other arguments")
	}
	if len(references) == 0 {
		references = defaultRedisReferences
	}
	begun := time.Now()
	c, err := openCluster(*dir)
	if err != nil {
		return err
	}
	if err := c.plan(*nodes, *audit, references); err != nil {
		return err
	}
	changed := false
	for _, s := range c.steps() {
		done, err := c.ensure(s)
		if err != nil {
			return err
		}
		changed = changed || done
	}
	verb := "was up already"
	if changed {
		verb = "is up"
	}
	fmt.Printf("cluster %s after %.1f s; stop it with: %s down --state %s\n", verb, time.Since(begun).Seconds(), c.self, c.dir)
	fmt.Println(c.kubeconfig("admin"))
	return nil
}

func usageError(err error) error {
	if err == flag.ErrHelp {
		return err
	}
	return errUsage
}

// plan settles what this cluster is, before anything of it is started.
func (c *cluster) plan(nodes int, audit bool, references []string) error {
	living := false
	for name := range c.state.Processes {
		living = living || c.running(name)
	}
	if living && (c.state.Nodes != nodes || c.state.Audit != audit) {
		return fmt.Errorf("the cluster in %s runs with --nodes %d and --audit=%t: run `cluster down --state %s` before `up` with other options",
			c.dir, c.state.Nodes, c.state.Audit, c.dir)
	}
	c.state.Nodes, c.state.Audit = nodes, audit
	if !living {
		if err := c.endStrays(); err != nil {
			return err
		}
		if err := c.choosePorts(); err != nil {
			return err
		}
	}
	if nodes == 0 {
		c.state.Network = nil
	} else if err := c.planNodes(references); err != nil {
		return err
	}
	if err := c.save(); err != nil {
		return err
	}
	if c.running("kube-apiserver") {
		return nil
	}
	return c.ensurePKI(c.state.Network.addresses())
}

// endStrays ends what carries our mark but is in no record: the process that a
// killed `up` had just started.
func (c *cluster) endStrays() error {
	strays := owned(c.dir)
	// The youngest first: an API server without its database takes its time.
	slices.Reverse(strays)
	for _, p := range strays {
		if err := p.end(5 * time.Second); err != nil {
			return err
		}
	}
	c.state.Processes = map[string]process{}
	return nil
}

func (c *cluster) steps() []step {
	steps := []step{
		{"etcd", "etcd", c.startEtcd, c.etcdReady, 60 * time.Second},
		{"API server", "kube-apiserver", c.startAPIServer, c.apiServerReady, 120 * time.Second},
		{"controllers", "kube-controller-manager", c.startControllerManager, c.controllersReady, 60 * time.Second},
		{"storage classes", "", c.ensureStorageClasses, nil, 0},
	}
	if c.state.Nodes > 0 {
		steps = append(steps, c.nodeSteps()...)
	}
	return steps
}

// ensure reports whether it had to start anything.
func (c *cluster) ensure(s step) (bool, error) {
	if s.process == "" {
		return false, s.start()
	}
	begun := time.Now()
	running := c.running(s.process)
	if s.ready == nil {
		if running {
			return false, nil
		}
		return true, s.start()
	}
	if running && s.ready() == nil {
		return false, nil
	}
	fmt.Printf("  %-18s ", s.name)
	if !running {
		if err := s.start(); err != nil {
			fmt.Println("failed")
			return false, err
		}
	}
	if err := c.waitFor(s.process, s.limit, s.ready); err != nil {
		fmt.Println("failed")
		return false, err
	}
	fmt.Printf("ready (%.1f s)\n", time.Since(begun).Seconds())
	return true, nil
}

func tcpReady(address string) func() error {
	return func() error {
		connection, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			return err
		}
		return connection.Close()
	}
}

func isRoot() bool { return os.Geteuid() == 0 }

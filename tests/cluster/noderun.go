package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const containerdSocket = "/run/containerd/containerd.sock"

// nodeProcess is the first process of a node's namespaces: it gives the node
// private system folders, runs containerd and the kubelet, restarts them when
// they end, and reaps what they leave.
type nodeProcess struct {
	cluster *cluster
	number  int
	mutex   sync.Mutex
	exits   map[int]chan syscall.WaitStatus
}

func runNode(args []string) error {
	flags := flag.NewFlagSet("cluster node", flag.ContinueOnError)
	dir := flags.String("state", "", "state `folder`")
	number := flags.Int("number", 0, "which node: 1 or 2")
	if err := flags.Parse(args); err != nil {
		return usageError(err)
	}
	if os.Getpid() != 1 {
		return errors.New("`node` is started by `up`, as the first process of its own namespaces")
	}
	c, err := readCluster(*dir)
	if err != nil {
		return err
	}
	n := &nodeProcess{cluster: c, number: *number, exits: map[int]chan syscall.WaitStatus{}}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := n.privateFolders(); err != nil {
		return err
	}
	if err := c.nodeConfiguration(n.number); err != nil {
		return err
	}
	if err := ensureCgroup(nodeCgroup(n.number)); err != nil {
		return err
	}
	go n.reap()
	return n.run(ctx)
}

// privateFolders hides what containerd, the kubelet and the network plugins
// would share with the host, or with the other node, by fixed paths.
func (n *nodeProcess) privateFolders() error {
	state, err := os.Open(n.cluster.dir)
	if err != nil {
		return fmt.Errorf("cannot open the state folder: %w", err)
	}
	defer state.Close()
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("cannot make the node's mounts private: %w", err)
	}
	for _, folder := range []string{"/run", "/var/lib", "/var/log"} {
		if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "mode=755"); err != nil {
			return fmt.Errorf("cannot give the node its own %s: %w", folder, err)
		}
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("cannot give the node its own /proc: %w", err)
	}
	// The state folder may lie below one of those.
	if err := os.MkdirAll(n.cluster.dir, 0o755); err != nil {
		return fmt.Errorf("cannot make %s in the node: %w", n.cluster.dir, err)
	}
	source := fmt.Sprintf("/proc/self/fd/%d", state.Fd())
	if err := syscall.Mount(source, n.cluster.dir, "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("cannot bind the state folder into the node: %w", err)
	}
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_SHARED, ""); err != nil {
		return fmt.Errorf("cannot let mounts spread inside the node: %w", err)
	}
	return os.Chdir(n.cluster.dir)
}

func (n *nodeProcess) run(ctx context.Context) error {
	containerd, err := n.keep(ctx, "containerd", []string{"containerd", "--config", n.folder("containerd.toml"), "--log-level", "warn"})
	if err != nil {
		return err
	}
	if err := n.importImages(ctx); err != nil {
		return err
	}
	if ctx.Err() != nil {
		containerd()
		return nil
	}
	kubelet, err := n.keep(ctx, "kubelet", []string{n.cluster.self, "kubelet",
		"--config=" + n.folder("kubelet.yaml"),
		"--kubeconfig=" + n.cluster.kubeconfig(n.name()),
		"--root-dir=" + n.folder("kubelet"),
		"--hostname-override=" + n.name(),
		"--node-ip=" + n.cluster.state.Network.gateway(n.number).String(),
		"--node-labels=workload-type=cache",
	})
	if err != nil {
		return err
	}
	<-ctx.Done()
	kubelet()
	n.endContainers()
	containerd()
	return nil
}

func (n *nodeProcess) name() string { return fmt.Sprintf("node%d", n.number) }

func (n *nodeProcess) folder(parts ...string) string {
	return n.cluster.path(append([]string{n.name()}, parts...)...)
}

// keep runs a program again whenever it ends, until the returned function is
// called, which ends it for good.
func (n *nodeProcess) keep(ctx context.Context, name string, argv []string) (func(), error) {
	pid, ended, err := n.spawn(name, argv)
	if err != nil {
		return nil, err
	}
	var mutex sync.Mutex
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		for {
			status := <-ended
			if ctx.Err() != nil {
				return
			}
			fmt.Printf("%s %s ended (%v) and is started again\n", time.Now().Format(time.RFC3339), name, status)
			// A program that cannot start must not take a whole core.
			time.Sleep(time.Second)
			mutex.Lock()
			pid, ended, err = n.spawn(name, argv)
			mutex.Unlock()
			if err != nil {
				fmt.Println(err)
				return
			}
		}
	}()
	return func() {
		mutex.Lock()
		_ = syscall.Kill(pid, syscall.SIGTERM)
		mutex.Unlock()
		select {
		case <-finished:
		case <-time.After(5 * time.Second):
		}
	}, nil
}

// spawn starts a program whose end the reaper will tell.
func (n *nodeProcess) spawn(name string, argv []string) (int, chan syscall.WaitStatus, error) {
	log, err := os.OpenFile(n.cluster.logFile(n.name()+"-"+name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return 0, nil, fmt.Errorf("cannot open the log of %s: %w", name, err)
	}
	defer log.Close()
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return 0, nil, err
	}
	n.mutex.Lock()
	defer n.mutex.Unlock()
	pid, err := syscall.ForkExec(path, argv, &syscall.ProcAttr{
		Dir:   n.cluster.dir,
		Env:   n.cluster.environment(),
		Files: []uintptr{0, log.Fd(), log.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return 0, nil, fmt.Errorf("cannot start %s: %w", path, err)
	}
	ended := make(chan syscall.WaitStatus, 1)
	n.exits[pid] = ended
	return pid, ended, nil
}

// reap waits for every child, those that containerd's shims leave included.
func (n *nodeProcess) reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if err == syscall.ECHILD {
			time.Sleep(50 * time.Millisecond)
			continue
		}
		if err != nil {
			continue
		}
		n.mutex.Lock()
		if ended, ok := n.exits[pid]; ok {
			ended <- status
			delete(n.exits, pid)
		}
		n.mutex.Unlock()
	}
}

func (n *nodeProcess) importImages(ctx context.Context) error {
	deadline := time.Now().Add(60 * time.Second)
	for {
		_, ended, err := n.spawn("images", []string{"ctr", "--address", containerdSocket, "--namespace", "k8s.io",
			"images", "import", n.cluster.path("images", imageArchive)})
		if err != nil {
			return err
		}
		if status := <-ended; status.ExitStatus() == 0 {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("containerd takes no images:\n%s", n.cluster.logTail(n.name()+"-images"))
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// endContainers lets the containers finish: a Redis writes what it holds.
func (n *nodeProcess) endContainers() {
	deadline := time.Now().Add(8 * time.Second)
	for first := true; time.Now().Before(deadline); first = false {
		containers := containerProcesses()
		if len(containers) == 0 {
			return
		}
		if first {
			for _, pid := range containers {
				_ = syscall.Kill(pid, syscall.SIGTERM)
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// containerProcesses lists the first process of each container but the
// sandboxes', which end with the node: they hold only the pods' namespaces.
func containerProcesses() []int {
	shims := map[int]bool{}
	var found []int
	for _, pid := range processIDs() {
		if arguments := commandLine(pid); strings.HasPrefix(filepath.Base(arguments[0]), "containerd-shim") {
			shims[pid] = true
		}
	}
	for _, pid := range processIDs() {
		arguments := strings.Join(commandLine(pid), " ")
		if shims[parentOf(pid)] && arguments != strings.Join(pauseCommand, " ") {
			found = append(found, pid)
		}
	}
	return found
}

func parentOf(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(fields[1])
	return parent
}

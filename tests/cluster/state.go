package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// stateFormat is raised when a newer binary could not read an older folder.
const stateFormat = 1

// state is what one `up` must leave for the next `up` and for `down`. It is
// written before the thing it names is made, so that a kill at any moment
// leaves nothing that `down` does not know.
type state struct {
	Format int `json:"format"`
	// Boot is the kernel's boot id: after another boot neither the processes
	// nor the host's changes are there any more.
	Boot      string             `json:"boot"`
	Nodes     int                `json:"nodes"`
	Audit     bool               `json:"audit"`
	Ports     ports              `json:"ports"`
	Network   *network           `json:"network,omitempty"`
	Sysctls   map[string]string  `json:"sysctls,omitempty"`
	Images    []string           `json:"images,omitempty"`
	Processes map[string]process `json:"processes"`
}

// ports are the loopback ports of the control plane.
type ports struct {
	Etcd      int `json:"etcd"`
	EtcdPeer  int `json:"etcdPeer"`
	APIServer int `json:"apiServer"`
}

// cluster is one state folder, held under its lock.
type cluster struct {
	dir   string
	self  string
	state state
	lock  *os.File
	// claims hold the chosen ports against other clusters until this program ends.
	claims []net.Listener
}

func (c *cluster) path(parts ...string) string {
	return filepath.Join(append([]string{c.dir}, parts...)...)
}

// openCluster locks the folder and reads its state; a folder without one is an
// empty cluster.
func openCluster(dir string) (*cluster, error) {
	c, err := readCluster(dir)
	if err != nil && !errors.Is(err, errDamaged) {
		return nil, err
	}
	if err := os.MkdirAll(c.path("logs"), 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the state folder: %w", err)
	}
	c.lock, err = os.OpenFile(c.path("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open the lock of the state folder: %w", err)
	}
	if err := lockWithin(c.lock, 3*time.Minute); err != nil {
		return nil, fmt.Errorf("another `cluster up` or `down` has held %s for 3 minutes: %w", c.path("lock"), err)
	}
	// What was read before the lock was held may be old by now.
	return c, c.load()
}

// errDamaged is a state file that cannot be read; `down` goes on without it,
// by the marks on processes and links.
var errDamaged = errors.New("the state file is damaged")

// readCluster reads a folder without its lock, for the processes of the
// cluster itself, which run while `up` holds it.
func readCluster(dir string) (*cluster, error) {
	if dir == "" {
		return nil, errors.New("--state DIR is missing: name the folder that holds this cluster's state")
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot resolve the state folder %s: %w", dir, err)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot find this program's own file: %w", err)
	}
	c := &cluster{dir: absolute, self: self}
	return c, c.load()
}

func (c *cluster) load() error {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return fmt.Errorf("cannot read the kernel's boot id: %w", err)
	}
	c.state = state{Format: stateFormat, Boot: string(boot), Processes: map[string]process{}}
	text, err := os.ReadFile(c.path("state.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read the state: %w", err)
	}
	fresh := c.state
	if err := json.Unmarshal(text, &c.state); err != nil {
		c.state = fresh
		return fmt.Errorf("%w: %s: %w; run `cluster down --state %s --purge`", errDamaged, c.path("state.json"), err, c.dir)
	}
	if c.state.Format > stateFormat {
		return fmt.Errorf("%s has format %d and this program knows %d: use the newer program, or remove the folder after its `down`",
			c.path("state.json"), c.state.Format, stateFormat)
	}
	if c.state.Processes == nil || c.state.Boot != string(boot) {
		c.state.Processes = map[string]process{}
	}
	if c.state.Boot != string(boot) {
		c.state.Boot, c.state.Network, c.state.Sysctls = string(boot), nil, nil
	}
	return nil
}

func (c *cluster) save() error {
	text, err := json.MarshalIndent(c.state, "", "  ")
	if err != nil {
		return fmt.Errorf("cannot encode the state: %w", err)
	}
	return writeFile(c.path("state.json"), append(text, '\n'), 0o600)
}

// writeFile replaces a file in one step, with its folder.
func writeFile(path string, text []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("cannot make the folder of %s: %w", path, err)
	}
	next := path + ".next"
	if err := os.WriteFile(next, text, mode); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	if err := os.Rename(next, path); err != nil {
		return fmt.Errorf("cannot replace %s: %w", path, err)
	}
	return nil
}

func lockWithin(file *os.File, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

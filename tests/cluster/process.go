package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ownerVariable marks every process of a cluster with its state folder. It is
// how `down` finds what a killed `up` did not get to record, and why it never
// ends a process that only looks like ours.
const ownerVariable = "REDIS_GITOPS_CLUSTER_STATE"

// process is a process that outlives this program. A pid alone may have been
// given to another process since; with its start time it is unique.
type process struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"`
	// Began is the wall clock at its start.
	Began time.Time `json:"began"`
}

// alive is false for a zombie: its parent may be us, and it does no work.
func (p process) alive() bool {
	start, status, err := processStat(p.PID)
	return err == nil && start == p.Start && status != "Z" && status != "X"
}

// processStat gives the start time (clock ticks since boot) and the state letter.
func processStat(pid int) (start uint64, status string, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, "", err
	}
	// The second field is the name in brackets, which may hold anything.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	const statusField, startField = 0, 19
	if len(fields) <= startField {
		return 0, "", fmt.Errorf("/proc/%d/stat is short", pid)
	}
	start, err = strconv.ParseUint(fields[startField], 10, 64)
	return start, fields[statusField], err
}

// start runs a program in the background with its own session and log file,
// and records it. Namespaces are clone flags; 0 shares everything.
func (c *cluster) start(name string, argv []string, namespaces uintptr) error {
	log, err := os.OpenFile(c.logFile(name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("cannot open the log of %s: %w", name, err)
	}
	defer log.Close()
	command := exec.Command(argv[0], argv[1:]...)
	command.Dir = c.dir
	command.Env = c.environment()
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: namespaces}
	if err := command.Start(); err != nil {
		return fmt.Errorf("cannot start %s (%s): %w", name, argv[0], err)
	}
	// Nobody waits for it after this program; during it, this reaps it.
	go func() { _ = command.Wait() }()
	start, _, err := processStat(command.Process.Pid)
	if err != nil {
		return fmt.Errorf("%s ended at once:\n%s", name, c.logTail(name))
	}
	c.state.Processes[name] = process{PID: command.Process.Pid, Start: start, Began: time.Now()}
	return c.save()
}

// environment is the caller's without proxies, which must not see loopback
// traffic, and with the mark of ownership.
func (c *cluster) environment() []string {
	var kept []string
	for _, entry := range os.Environ() {
		key, _, _ := strings.Cut(entry, "=")
		switch {
		case strings.HasSuffix(strings.ToLower(key), "_proxy"), key == ownerVariable, key == "KUBECONFIG":
		default:
			kept = append(kept, entry)
		}
	}
	return append(kept, ownerVariable+"="+c.dir)
}

func (c *cluster) logFile(name string) string { return c.path("logs", name+".log") }

// logTail is the end of a log, for an error message.
func (c *cluster) logTail(name string) string {
	text, err := os.ReadFile(c.logFile(name))
	if err != nil {
		return "(its log cannot be read: " + err.Error() + ")"
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	if len(lines) > 15 {
		lines = lines[len(lines)-15:]
	}
	for i, line := range lines {
		if len(line) > 400 {
			line = line[:400] + "…"
		}
		lines[i] = "    " + line
	}
	return strings.Join(lines, "\n") + "\n  whole log: " + c.logFile(name)
}

func (c *cluster) running(name string) bool {
	p, ok := c.state.Processes[name]
	return ok && p.alive()
}

// waitFor polls a condition and fails early when the process behind it ends.
// A process may be "" where the condition belongs to none.
func (c *cluster) waitFor(name string, limit time.Duration, ready func() error) error {
	deadline := time.Now().Add(limit)
	for {
		err := ready()
		if err == nil {
			return nil
		}
		if name != "" && !c.running(name) {
			return fmt.Errorf("%s ended before it was ready:\n%s", name, c.logTail(name))
		}
		if time.Now().After(deadline) {
			message := fmt.Sprintf("not ready within %s: %v", limit, err)
			if name != "" {
				message = name + " is " + message + "\n" + c.logTail(name)
			}
			return fmt.Errorf("%s\n  remedy: `cluster down --state %s`, then `up` again", message, c.dir)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// stop asks, waits, then insists.
func (c *cluster) stop(name string, grace time.Duration) error {
	p, ok := c.state.Processes[name]
	if !ok {
		return nil
	}
	if err := p.end(grace); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	delete(c.state.Processes, name)
	return c.save()
}

func (p process) end(grace time.Duration) error {
	for _, try := range []struct {
		signal syscall.Signal
		limit  time.Duration
	}{{syscall.SIGTERM, grace}, {syscall.SIGKILL, 10 * time.Second}} {
		deadline := time.Now().Add(try.limit)
		for first := true; p.alive(); first = false {
			if first {
				if err := syscall.Kill(p.PID, try.signal); err != nil && err != syscall.ESRCH {
					return fmt.Errorf("cannot signal process %d: %w", p.PID, err)
				}
			}
			if time.Now().After(deadline) {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	if p.alive() {
		return fmt.Errorf("process %d survives SIGKILL (it may hang in the kernel)", p.PID)
	}
	return nil
}

// owned lists the living processes that carry this folder's mark, by pid.
func owned(dir string) []process {
	mark := []byte(ownerVariable + "=" + dir)
	var found []process
	for _, pid := range processIDs() {
		environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil || pid == os.Getpid() {
			continue
		}
		for _, entry := range bytes.Split(environment, []byte{0}) {
			if !bytes.Equal(entry, mark) {
				continue
			}
			if start, _, err := processStat(pid); err == nil {
				if p := (process{PID: pid, Start: start}); p.alive() {
					found = append(found, p)
				}
			}
		}
	}
	return found
}

func processIDs() []int {
	entries, _ := filepath.Glob("/proc/[0-9]*")
	var ids []int
	for _, entry := range entries {
		if pid, err := strconv.Atoi(filepath.Base(entry)); err == nil {
			ids = append(ids, pid)
		}
	}
	sort.Ints(ids)
	return ids
}

// commandLine is a process' arguments, empty for kernel threads.
func commandLine(pid int) []string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return strings.Split(strings.TrimRight(string(text), "\x00"), "\x00")
}

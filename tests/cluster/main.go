// Command cluster is the local Kubernetes of the demo and the tests: upstream's
// own programs in one binary, and the few sub-commands that run them together
// on one Linux machine. It touches nothing outside its state folder but what
// its README lists, and `down` gives all of that back.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"sort"
	"strings"
	"syscall"
)

const usage = `A local Kubernetes in one binary.

  cluster up --state DIR [--nodes 0|2] [--audit] [--redis-ref REF]...
      start what is not running, wait until it is ready, print the kubeconfig's path
      --nodes 0 is the control plane alone and needs no root; --nodes 2 adds two
      worker nodes, Services, DNS and storage, and needs root
  cluster down --state DIR [--purge]
      stop everything and give back what the host lent; --purge deletes DIR as well
  cluster snapshot [--state DIR]
      print processes, mounts, links, iptables, cgroups and sysctls in a stable form
  cluster git-server --root DIR --listen ADDRESS [--user NAME --password-file FILE]
      serve the bare repositories below DIR over smart HTTP, pushes included
  cluster kubectl ARGUMENT...
      kubectl of the same version; reads KUBECONFIG

Upstream's programs, with their own flags: `

// commands are this project's own sub-commands.
var commands = map[string]func(args []string) error{
	"up":         runUp,
	"down":       runDown,
	"snapshot":   runSnapshot,
	"git-server": runGitServer,
	// These are started by `up`.
	"node":        runNode,
	"provisioner": runProvisioner,
	"relay":       runRelay,
}

// errUsage ends the program with status 2 after the flag package has spoken.
var errUsage = errors.New("wrong usage")

func main() {
	if len(os.Args) < 2 || os.Args[1] == "help" || strings.HasPrefix(os.Args[1], "-") {
		fmt.Println(usage + strings.Join(componentNames(), ", "))
		return
	}
	// A plain user's PATH lacks the folders of iptables and its like.
	if err := os.Setenv("PATH", os.Getenv("PATH")+":/usr/local/sbin:/usr/sbin:/sbin"); err != nil {
		fmt.Fprintln(os.Stderr, "cluster: cannot extend PATH:", err)
		os.Exit(1)
	}
	if run, ok := components[os.Args[1]]; ok {
		if prebuilt, ok := prebuiltProgram(os.Args[1]); ok {
			err := syscall.Exec(prebuilt, append([]string{prebuilt}, os.Args[2:]...), os.Environ())
			fmt.Fprintf(os.Stderr, "cluster: cannot run %s: %v\n", prebuilt, err)
			os.Exit(1)
		}
		os.Args = os.Args[1:]
		os.Exit(run())
	}
	run, ok := commands[os.Args[1]]
	if !ok {
		fmt.Fprintf(os.Stderr, "cluster: no sub-command %q; `cluster help` lists them\n", os.Args[1])
		os.Exit(2)
	}
	err := run(os.Args[2:])
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2)
	case err != nil:
		fmt.Fprintf(os.Stderr, "cluster %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}

func componentNames() []string {
	names := make([]string, 0, len(components))
	for name := range components {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// repeated is a flag that may be given several times.
type repeated []string

func (r *repeated) String() string { return strings.Join(*r, ",") }

func (r *repeated) Set(value string) error {
	*r = append(*r, value)
	return nil
}

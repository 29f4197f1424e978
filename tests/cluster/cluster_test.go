package main

import (
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestRemovalDeletesOnlyOurRules(t *testing.T) {
	saved, err := os.ReadFile("testdata/iptables-save.txt")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/iptables-removal.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got := removal(string(saved), ownerComment+"/srv/state"); got != string(want) {
		t.Errorf("wanted:\n%s\ngot:\n%s", want, got)
	}
}

func TestRemovalOfAForeignRuleSetIsEmpty(t *testing.T) {
	const saved = "*filter\n:INPUT DROP [0:0]\n:DOCKER - [0:0]\n-A INPUT -j DOCKER\nCOMMIT\n"
	if got := removal(saved, ownerComment+"/srv/state"); got != "" {
		t.Errorf("wanted nothing, got:\n%s", got)
	}
}

func TestAddressRangeAvoidsTheHostsRoutes(t *testing.T) {
	route := func(cidr string) *net.IPNet {
		_, block, err := net.ParseCIDR(cidr)
		if err != nil {
			t.Fatal(err)
		}
		return block
	}
	for _, test := range []struct {
		name  string
		taken []*net.IPNet
		want  string
	}{
		{"nothing taken", nil, podRanges[0]},
		{"a part of the first", []*net.IPNet{route("10.244.7.0/24")}, podRanges[1]},
		{"all of the private tens", []*net.IPNet{route("10.0.0.0/8")}, podRanges[2]},
	} {
		if got, err := firstFree("pods", podRanges, test.taken); err != nil || got != test.want {
			t.Errorf("%s: wanted %s, got %s, %v", test.name, test.want, got, err)
		}
	}
	if got, err := firstFree("pods", podRanges, []*net.IPNet{route("10.0.0.0/8"), route("172.16.0.0/12")}); err == nil {
		t.Errorf("everything is taken, and yet got %s", got)
	}
}

func TestRedisReferenceIsFull(t *testing.T) {
	for reference, want := range map[string]bool{
		"docker.io/library/redis:7.2.13-alpine":  true,
		"registry.example.com:5000/a/redis:7":    true,
		"redis:7":                                false,
		"library/redis:7":                        false,
		"docker.io/library/redis":                false,
		"docker.io/library/redis@sha256:0123456": false,
	} {
		if got := checkReference(reference) == nil; got != want {
			t.Errorf("%s: accepted %t, wanted %t", reference, got, want)
		}
	}
}

func git(t *testing.T, folder string, arguments ...string) (string, error) {
	t.Helper()
	command := exec.Command("git", arguments...)
	command.Dir = folder
	command.Env = append(os.Environ(), "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	output, err := command.CombinedOutput()
	return strings.TrimSpace(string(output)), err
}

func TestGitServerTakesPushesFromItsUserOnly(t *testing.T) {
	root, work := t.TempDir(), t.TempDir()
	must := func(folder string, arguments ...string) string {
		t.Helper()
		output, err := git(t, folder, arguments...)
		if err != nil {
			t.Fatalf("git %s: %v\n%s", strings.Join(arguments, " "), err, output)
		}
		return output
	}
	must(root, "init", "--bare", "--initial-branch=main", "fleet.git")
	backend, err := gitBackend(root)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(requireUser("fleet", "s3cret:with colon", backend))
	defer server.Close()

	must(work, "init", "--initial-branch=main")
	// More than git's post buffer, so that it is sent as a chunked body.
	large := strings.Repeat("values: true\n", 200_000)
	if err := os.WriteFile(filepath.Join(work, "values.yaml"), []byte(large), 0o644); err != nil {
		t.Fatal(err)
	}
	must(work, "add", ".")
	must(work, "commit", "--message=first")
	plain := server.URL + "/fleet.git"
	if output, err := git(t, work, "push", plain, "main"); err == nil {
		t.Errorf("a push without a user was taken:\n%s", output)
	}
	allowed := strings.Replace(plain, "http://", "http://fleet:s3cret%3Awith%20colon@", 1)
	must(work, "-c", "core.compression=0", "-c", "http.postBuffer=65536", "push", allowed, "main")
	head := must(work, "rev-parse", "main")
	if got := must(work, "ls-remote", allowed, "refs/heads/main"); !strings.HasPrefix(got, head) {
		t.Errorf("the server's main is %q, wanted %s", got, head)
	}
	must(t.TempDir(), "-c", "protocol.version=2", "clone", allowed, "copy")
}

func TestPrebuiltProgramsComeFirst(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "etcd"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv(assetsVariable, folder)
	if path, ok := prebuiltProgram("etcd"); !ok || path != filepath.Join(folder, "etcd") {
		t.Errorf("etcd of %s was not taken: %q, %t", folder, path, ok)
	}
	if path, ok := prebuiltProgram("kube-apiserver"); ok {
		t.Errorf("%s does not exist and was taken", path)
	}
}

package main

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

// defaultRedisReferences are the names under which the nodes know the local
// Redis image. What it holds is the host's Redis, whatever the tag says.
var defaultRedisReferences = []string{
	"docker.io/library/redis:7-alpine",
	"docker.io/library/redis:7.2.13-alpine",
}

const (
	pauseReference = "registry.k8s.io/pause:3.10"
	imageArchive   = "images.tar"
	busybox        = "/bin/busybox"
	redisUser      = 999
	redisGroup     = 1000
)

// pauseCommand holds a pod's namespaces open. The sandbox is ended with
// SIGKILL, so it needs no handler.
var pauseCommand = []string{"/bin/sleep", "2147483647"}

// A short reference breaks look-ups of the container runtime, and a digest
// cannot be promised for an image that is made here.
var fullReference = regexp.MustCompile(`^[a-z0-9.-]+\.[a-z]+(:\d+)?/[a-z0-9._/-]+:[A-Za-z0-9._-]+$`)

func checkReference(reference string) error {
	if fullReference.MatchString(reference) {
		return nil
	}
	return fmt.Errorf("--redis-ref %s is no full reference with host and tag, such as docker.io/library/redis:7-alpine", reference)
}

// ensureImages writes the archive that the nodes import. Building it takes
// well under a second, so it is made anew for every node that starts.
func (c *cluster) ensureImages() error {
	if c.running("node1") && c.running("node2") {
		return nil
	}
	redis, err := redisImage()
	if err != nil {
		return fmt.Errorf("cannot build the Redis image: %w", err)
	}
	redis.references = c.state.Images
	pause, err := pauseImage()
	if err != nil {
		return fmt.Errorf("cannot build the pause image: %w", err)
	}
	archive, err := ociArchive([]image{pause, redis})
	if err != nil {
		return fmt.Errorf("cannot write the images: %w", err)
	}
	return writeFile(c.path("images", imageArchive), archive, 0o644)
}

func pauseImage() (image, error) {
	var layer layer
	layer.folder("bin", 0o755, 0, 0)
	if err := layer.copyFile("bin/busybox", busybox); err != nil {
		return image{}, err
	}
	layer.link("bin/sleep", "busybox")
	return image{references: []string{pauseReference}, layer: layer, config: imageConfig{Cmd: pauseCommand}}, nil
}

// redisImage has the shape of docker-library's Alpine image: its user, working
// folder, volume and entry point, busybox for the shell and its applets.
func redisImage() (image, error) {
	var layer layer
	for _, folder := range []string{"bin", "etc", "lib", "lib64", "proc", "root", "run", "sys", "dev", "usr", "usr/bin", "usr/lib", "usr/local", "usr/local/bin", "var", "var/run"} {
		layer.folder(folder, 0o755, 0, 0)
	}
	layer.folder("tmp", 0o1777, 0, 0)
	layer.folder("data", 0o755, redisUser, redisGroup)
	if err := layer.copyFile("bin/busybox", busybox); err != nil {
		return image{}, err
	}
	applets, err := exec.Command(busybox, "--list").Output()
	if err != nil {
		return image{}, fmt.Errorf("cannot list busybox' applets: %w", err)
	}
	for _, applet := range strings.Fields(string(applets)) {
		if applet != "busybox" {
			layer.link("bin/"+applet, "busybox")
		}
	}
	server, err := copyRedis(&layer)
	if err != nil {
		return image{}, err
	}
	version, err := exec.Command(server, "--version").Output()
	if err != nil {
		return image{}, fmt.Errorf("cannot ask %s for its version: %w", server, err)
	}
	layer.file("etc/passwd", 0o644, []byte(fmt.Sprintf("root:x:0:0:root:/root:/bin/sh\nredis:x:%d:%d::/data:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n", redisUser, redisGroup)))
	layer.file("etc/group", 0o644, []byte(fmt.Sprintf("root:x:0:\nredis:x:%d:redis\nnobody:x:65534:\n", redisGroup)))
	layer.file("etc/nsswitch.conf", 0o644, []byte("hosts: files dns\n"))
	layer.file("usr/local/bin/docker-entrypoint.sh", 0o755, []byte(entrypoint))
	return image{layer: layer, config: imageConfig{
		Entrypoint:   []string{"docker-entrypoint.sh"},
		Cmd:          []string{"redis-server"},
		WorkingDir:   "/data",
		Volumes:      map[string]struct{}{"/data": {}},
		ExposedPorts: map[string]struct{}{"6379/tcp": {}},
		Labels:       map[string]string{"redis-gitops.local/version": strings.TrimSpace(string(version))},
	}}, nil
}

// entrypoint does for a container what its users rely on: options alone mean
// the server, root becomes the user redis, files are private, and protected
// mode, which docker-library's build turns off, is off unless it is stated.
const entrypoint = `#!/bin/sh
set -e
case "$1" in
-*|*.conf) set -- redis-server "$@" ;;
esac
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
	chown -R redis:redis .
	exec su -s "$0" -- redis "$@"
fi
[ "$(umask)" != 0022 ] || umask 0077
[ "$1" = redis-server ] || exec "$@"
shift
case "$1" in
-v|--version|-h|--help) ;;
''|-*) set -- --protected-mode no "$@" ;;
*) grep -q '^ *protected-mode' "$1" 2>/dev/null || set -- "$@" --protected-mode no ;;
esac
exec redis-server "$@"
`

// redisPrograms are copied from the host. Some may be links to others there.
var redisPrograms = []string{"redis-server", "redis-cli", "redis-check-rdb", "redis-check-aof", "redis-benchmark"}

// copyRedis copies the programs with what they are linked against, and returns
// the server's path on the host.
func copyRedis(into *layer) (string, error) {
	copied := map[string]bool{}
	server := ""
	for _, name := range redisPrograms {
		path, err := exec.LookPath(name)
		if err != nil {
			return "", fmt.Errorf("%s is not installed: apt-get install redis-server redis-tools", name)
		}
		real, err := filepath.EvalSymlinks(path)
		if err != nil {
			return "", fmt.Errorf("cannot resolve %s: %w", path, err)
		}
		if name == "redis-server" {
			server = path
		}
		target := "usr/local/bin/" + filepath.Base(real)
		if !copied[target] {
			copied[target] = true
			if err := into.copyFile(target, real); err != nil {
				return "", err
			}
			if err := copyLibraries(into, real, copied); err != nil {
				return "", err
			}
		}
		if filepath.Base(real) != name {
			into.link("usr/local/bin/"+name, filepath.Base(real))
		}
	}
	// The server is a Sentinel under this name; Debian has a package for the link.
	into.link("usr/local/bin/redis-sentinel", "redis-server")
	return server, nil
}

// copyLibraries follows a program's dynamic section, as the loader would. The
// loader goes where the program names it, libraries where every loader looks.
func copyLibraries(into *layer, path string, copied map[string]bool) error {
	file, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", path, err)
	}
	defer file.Close()
	for _, program := range file.Progs {
		if program.Type != elf.PT_INTERP {
			continue
		}
		name := make([]byte, program.Filesz)
		if _, err := program.ReadAt(name, 0); err != nil {
			return fmt.Errorf("cannot read the loader's name in %s: %w", path, err)
		}
		loader := string(bytes.TrimRight(name, "\x00"))
		if target := strings.TrimPrefix(loader, "/"); !copied[target] {
			copied[target] = true
			if err := into.copyFile(target, loader); err != nil {
				return err
			}
		}
	}
	libraries, err := file.ImportedLibraries()
	if err != nil {
		return fmt.Errorf("cannot read the libraries of %s: %w", path, err)
	}
	for _, library := range libraries {
		target := "usr/lib/" + library
		if copied[target] || copied["lib64/"+library] || copied["lib/"+library] {
			continue
		}
		copied[target] = true
		source, err := findLibrary(library)
		if err != nil {
			return fmt.Errorf("%s needs %w", path, err)
		}
		if err := into.copyFile(target, source); err != nil {
			return err
		}
		if err := copyLibraries(into, source, copied); err != nil {
			return err
		}
	}
	return nil
}

func findLibrary(name string) (string, error) {
	triple := map[string]string{"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}[runtime.GOARCH]
	for _, folder := range []string{"/lib/" + triple, "/usr/lib/" + triple, "/lib64", "/usr/lib64", "/lib", "/usr/lib"} {
		path := filepath.Join(folder, name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", errors.New("the library " + name + ", which is in none of the usual folders")
}

func digestOf(blob []byte) string {
	sum := sha256.Sum256(blob)
	return "sha256:" + hex.EncodeToString(sum[:])
}

package main

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// runGitServer serves repositories over smart HTTP with git's own backend,
// until it is told to stop. It prints its address once it listens.
func runGitServer(args []string) error {
	flags := flag.NewFlagSet("cluster git-server", flag.ContinueOnError)
	root := flags.String("root", "", "`folder` of bare repositories")
	listen := flags.String("listen", "127.0.0.1:0", "`address`; port 0 takes a free one")
	user := flags.String("user", "", "user `name` that clients must give")
	passwordFile := flags.String("password-file", "", "`file` with that user's password")
	if err := flags.Parse(args); err != nil {
		return usageError(err)
	}
	if (*user == "") != (*passwordFile == "") {
		return errors.New("--user and --password-file belong together")
	}
	handler, err := gitBackend(*root)
	if err != nil {
		return err
	}
	if *user != "" {
		text, err := os.ReadFile(*passwordFile)
		if err != nil {
			return fmt.Errorf("cannot read the password: %w", err)
		}
		handler = requireUser(*user, strings.TrimSuffix(string(text), "\n"), handler)
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return fmt.Errorf("cannot listen at %s: %w", *listen, err)
	}
	fmt.Printf("http://%s/\n", listener.Addr())
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("the Git server ended: %w", err)
	}
	return nil
}

func gitBackend(root string) (http.Handler, error) {
	info, err := os.Stat(root)
	if err != nil || !info.IsDir() {
		return nil, fmt.Errorf("--root %q is no folder: name the one that holds the bare repositories", root)
	}
	absolute, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("cannot resolve --root: %w", err)
	}
	git, err := exec.LookPath("git")
	if err != nil {
		return nil, errors.New("git is not installed: apt-get install git")
	}
	backend := &cgi.Handler{
		Path: git,
		Args: []string{"http-backend"},
		Root: "/",
		Env: []string{
			"GIT_PROJECT_ROOT=" + absolute,
			"GIT_HTTP_EXPORT_ALL=1",
			// Given here rather than in each repository, so that any bare
			// repository below the root takes pushes, whoever owns it.
			"GIT_CONFIG_COUNT=2",
			"GIT_CONFIG_KEY_0=http.receivepack", "GIT_CONFIG_VALUE_0=true",
			"GIT_CONFIG_KEY_1=safe.directory", "GIT_CONFIG_VALUE_1=*",
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// CGI knows no chunked bodies, which Git clients send for large packs.
		if len(r.TransferEncoding) > 0 {
			done, err := spool(r)
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			defer done()
		}
		if protocol := r.Header.Get("Git-Protocol"); protocol != "" {
			copied := *backend
			copied.Env = append(append([]string{}, backend.Env...), "GIT_PROTOCOL="+protocol)
			copied.ServeHTTP(w, r)
			return
		}
		backend.ServeHTTP(w, r)
	}), nil
}

// spool gives a request a body of known length.
func spool(r *http.Request) (func(), error) {
	file, err := os.CreateTemp("", "git-request-")
	if err != nil {
		return nil, fmt.Errorf("cannot make a file for the request's body: %w", err)
	}
	done := func() {
		_ = file.Close()
		_ = os.Remove(file.Name())
	}
	length, err := io.Copy(file, r.Body)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		done()
		return nil, fmt.Errorf("cannot keep the request's body: %w", err)
	}
	r.TransferEncoding, r.ContentLength, r.Body = nil, length, file
	return done, nil
}

func requireUser(user, password string, next http.Handler) http.Handler {
	// Sums have one length, so the comparison tells nothing by its time.
	want := sha256.Sum256([]byte(user + "\x00" + password))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, given, _ := r.BasicAuth()
		got := sha256.Sum256([]byte(name + "\x00" + given))
		if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "a user and password are needed", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

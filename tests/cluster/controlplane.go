package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// assetsVariable names a folder of prebuilt etcd, kube-apiserver and kubectl,
// as envtest and kubebuilder use it.
const assetsVariable = "KUBEBUILDER_ASSETS"

// prebuiltProgram is honoured wherever one of those programs is run.
func prebuiltProgram(name string) (string, bool) {
	folder := os.Getenv(assetsVariable)
	if folder == "" {
		return "", false
	}
	path := filepath.Join(folder, name)
	info, err := os.Stat(path)
	return path, err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

func (c *cluster) startEtcd() error {
	client := fmt.Sprintf("https://127.0.0.1:%d", c.state.Ports.Etcd)
	peer := fmt.Sprintf("http://127.0.0.1:%d", c.state.Ports.EtcdPeer)
	return c.start("etcd", []string{c.self, "etcd",
		"--data-dir=" + c.path("etcd"),
		"--listen-client-urls=" + client,
		"--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer,
		"--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=default=" + peer,
		"--client-cert-auth",
		"--trusted-ca-file=" + c.path("pki", "ca.crt"),
		"--cert-file=" + c.path("pki", "server.crt"),
		"--key-file=" + c.path("pki", "server.key"),
		"--log-level=warn",
		// What is lost with the machine's power is a test's or a demo's cluster.
		"--unsafe-no-fsync",
	}, 0)
}

func (c *cluster) startAPIServer() error {
	flags := []string{c.self, "kube-apiserver",
		fmt.Sprintf("--etcd-servers=https://127.0.0.1:%d", c.state.Ports.Etcd),
		"--etcd-cafile=" + c.path("pki", "ca.crt"),
		"--etcd-certfile=" + c.path("pki", "client.crt"),
		"--etcd-keyfile=" + c.path("pki", "client.key"),
		"--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", c.state.Ports.APIServer),
		"--cert-dir=" + c.path("pki"),
		"--tls-cert-file=" + c.path("pki", "server.crt"),
		"--tls-private-key-file=" + c.path("pki", "server.key"),
		"--token-auth-file=" + c.path("pki", "tokens.csv"),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + c.path("pki", "service-account.key"),
		"--service-account-signing-key-file=" + c.path("pki", "service-account.key"),
		"--allow-privileged=true",
		"--profiling=false",
	}
	if n := c.state.Network; n == nil {
		// No pod will ever ask for the Service `kubernetes`, and the API server
		// refuses to publish a loopback address.
		flags = append(flags, "--service-cluster-ip-range="+serviceRanges[0],
			"--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none")
	} else {
		flags = append(flags, "--service-cluster-ip-range="+n.Services,
			"--advertise-address="+n.gateway(1).String(),
			"--kubelet-client-certificate="+c.path("pki", "client.crt"),
			"--kubelet-client-key="+c.path("pki", "client.key"),
			"--kubelet-certificate-authority="+c.path("pki", "ca.crt"),
			"--kubelet-preferred-address-types=InternalIP")
	}
	if c.state.Audit {
		const policy = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules:\n- level: Metadata\n"
		if err := writeFile(c.path("config", "audit.yaml"), []byte(policy), 0o644); err != nil {
			return err
		}
		flags = append(flags, "--audit-policy-file="+c.path("config", "audit.yaml"),
			"--audit-log-path="+c.path("logs", "audit.log"))
	}
	return c.start("kube-apiserver", flags, 0)
}

func (c *cluster) startControllerManager() error {
	return c.start("kube-controller-manager", []string{c.self, "kube-controller-manager",
		"--kubeconfig=" + c.kubeconfig("controller-manager"),
		"--service-account-private-key-file=" + c.path("pki", "service-account.key"),
		"--root-ca-file=" + c.path("pki", "ca.crt"),
		"--use-service-account-credentials=true",
		"--leader-elect=false",
		"--secure-port=0",
		"--profiling=false",
		// Its usual 20 requests a second would be most of the cluster's start.
		"--kube-api-qps=500",
		"--kube-api-burst=1000",
		// A node that stops must be noticed within a test's patience.
		"--node-monitor-period=2s",
		"--node-monitor-grace-period=16s",
	}, 0)
}

func (c *cluster) startScheduler() error {
	return c.start("kube-scheduler", []string{c.self, "kube-scheduler",
		"--kubeconfig=" + c.kubeconfig("scheduler"),
		"--leader-elect=false",
		"--secure-port=0",
		"--profiling=false",
	}, 0)
}

func (c *cluster) etcdReady() error {
	client, err := c.tlsClient()
	if err != nil {
		return err
	}
	return getOK(client, fmt.Sprintf("https://127.0.0.1:%d/health", c.state.Ports.Etcd))
}

func (c *cluster) apiServerReady() error {
	client, err := c.tlsClient()
	if err != nil {
		return err
	}
	return getOK(client, c.apiServerURL()+"/readyz")
}

// controllersReady is seen in their first visible work: the service account
// without which no pod can be created in the namespace.
func (c *cluster) controllersReady() error {
	client, err := c.admin()
	if err != nil {
		return err
	}
	_, err = client.CoreV1().ServiceAccounts("default").Get(context.Background(), "default", metav1.GetOptions{})
	return err
}

// tlsClient trusts the cluster's authority only and shows the certificate that
// etcd asks for.
func (c *cluster) tlsClient() (*http.Client, error) {
	authority, err := os.ReadFile(c.path("pki", "ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("cannot read the cluster's authority: %w", err)
	}
	pair, err := tls.LoadX509KeyPair(c.path("pki", "client.crt"), c.path("pki", "client.key"))
	if err != nil {
		return nil, fmt.Errorf("cannot read the cluster's client certificate: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	return &http.Client{
		Timeout: 2 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig:   &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}},
			DisableKeepAlives: true,
		},
	}, nil
}

func getOK(client *http.Client, url string) error {
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(response.Body, 300))
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s: %s", url, response.Status, strings.TrimSpace(string(body)))
	}
	return nil
}

// choosePorts picks free loopback ports below the kernel's usual range for
// outgoing connections, so that no client takes one between now and its use.
// A name in the kernel's abstract namespace claims each against other clusters
// that start at this moment.
func (c *cluster) choosePorts() error {
	const first, count, tries = 20000, 9000, 200
	var chosen []int
	for try := 0; try < tries && len(chosen) < 3; try++ {
		port := first + rand.Intn(count)
		claim, err := net.Listen("unix", fmt.Sprintf("@redis-gitops-cluster-port-%d", port))
		if err != nil {
			continue
		}
		listener, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			_ = claim.Close()
			continue
		}
		_ = listener.Close()
		c.claims = append(c.claims, claim)
		chosen = append(chosen, port)
	}
	if len(chosen) < 3 {
		return errors.New("cannot find three free loopback ports between 20000 and 29000")
	}
	c.state.Ports = ports{Etcd: chosen[0], EtcdPeer: chosen[1], APIServer: chosen[2]}
	return nil
}

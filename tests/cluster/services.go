package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// dnsProgram is built beside this one; CoreDNS and Kubernetes need different
// versions of the same modules.
const dnsProgram = "cluster-dns"

// startProxy runs one kube-proxy: both nodes share the host's network. Node
// ports answer only at the bridges, never at the host's own addresses.
func (c *cluster) startProxy() error {
	config := fmt.Sprintf(`apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
bindAddress: 127.0.0.1
healthzBindAddress: ""
metricsBindAddress: ""
clusterCIDR: %s
detectLocalMode: ClusterCIDR
nodePortAddresses: [%s]
clientConnection: {kubeconfig: %s}
iptables: {localhostNodePorts: false, minSyncPeriod: 100ms}
conntrack: {maxPerCore: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
`, c.state.Network.Pods, c.state.Network.Pods, c.kubeconfig("proxy"))
	if err := writeFile(c.path("config", "kube-proxy.yaml"), []byte(config), 0o644); err != nil {
		return err
	}
	if folder := c.state.Network.Iptables; folder != "" {
		if err := os.Setenv("PATH", folder+":"+os.Getenv("PATH")); err != nil {
			return fmt.Errorf("cannot put the working iptables first: %w", err)
		}
	}
	return c.start("kube-proxy", []string{c.self, "kube-proxy",
		"--config=" + c.path("config", "kube-proxy.yaml"), "--hostname-override=node1"}, 0)
}

// servicesReady dials the API server under its Service's address.
func (c *cluster) servicesReady() error {
	return tcpReady(net.JoinHostPort(c.state.Network.apiService().String(), "443"))()
}

// startRelay lets pods reach the API server, which itself listens on loopback
// only. Its port is the API server's, which the Service `kubernetes` publishes.
func (c *cluster) startRelay() error {
	return c.start("relay", []string{c.self, "relay",
		"--listen", fmt.Sprintf("%s:%d", c.state.Network.gateway(1), c.state.Ports.APIServer),
		"--to", fmt.Sprintf("127.0.0.1:%d", c.state.Ports.APIServer)}, 0)
}

func runRelay(args []string) error {
	flags := flag.NewFlagSet("cluster relay", flag.ContinueOnError)
	listen := flags.String("listen", "", "`address` to accept connections at")
	to := flags.String("to", "", "`address` to pass them on to")
	if err := flags.Parse(args); err != nil {
		return usageError(err)
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			return fmt.Errorf("cannot accept: %w", err)
		}
		go relayConnection(connection, *to)
	}
}

func relayConnection(client net.Conn, to string) {
	defer client.Close()
	server, err := net.Dial("tcp", to)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	done := make(chan struct{}, 2)
	pipe := func(into, from net.Conn) {
		_, _ = io.Copy(into, from)
		if half, ok := into.(*net.TCPConn); ok {
			_ = half.CloseWrite()
		}
		done <- struct{}{}
	}
	go pipe(server, client)
	go pipe(client, server)
	<-done
	<-done
}

// startDNS runs CoreDNS on the host and publishes it as the Service kube-dns.
func (c *cluster) startDNS() error {
	program := filepath.Join(filepath.Dir(c.self), dnsProgram)
	if _, err := os.Stat(program); err != nil {
		return fmt.Errorf("the DNS server %s is not beside this program: run tests/cluster/build.sh", program)
	}
	gateway := c.state.Network.gateway(1)
	corefile := fmt.Sprintf(`cluster.local:%[1]d in-addr.arpa:%[1]d {
	bind %[2]s
	errors
	cache 5 {
		denial 1000 1
	}
	kubernetes cluster.local in-addr.arpa {
		kubeconfig %[3]s
		pods insecure
		ttl 5
	}
}
`, dnsPort, gateway, c.kubeconfig("dns"))
	if strings.Contains(hostResolver(), "nameserver") {
		if err := writeFile(c.path("config", "resolv.conf"), []byte(hostResolver()), 0o644); err != nil {
			return err
		}
		corefile += fmt.Sprintf(".:%d {\n\tbind %s\n\terrors\n\tcache 30\n\tforward . %s\n}\n", dnsPort, gateway, c.path("config", "resolv.conf"))
	}
	if err := writeFile(c.path("config", "Corefile"), []byte(corefile), 0o644); err != nil {
		return err
	}
	if err := c.publishDNS(); err != nil {
		return err
	}
	return c.start("dns", []string{program, "-conf", c.path("config", "Corefile")}, 0)
}

// publishDNS makes the endpoints by hand: they are no pod.
func (c *cluster) publishDNS() error {
	client, err := c.admin()
	if err != nil {
		return err
	}
	ctx := context.Background()
	protocols := []corev1.Protocol{corev1.ProtocolUDP, corev1.ProtocolTCP}
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "kube-dns", Namespace: "kube-system", Labels: map[string]string{"k8s-app": "kube-dns"}},
		Spec:       corev1.ServiceSpec{ClusterIP: c.state.Network.dnsService().String()},
	}
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Name: "kube-dns-host", Namespace: "kube-system", Labels: map[string]string{
			discoveryv1.LabelServiceName: "kube-dns", discoveryv1.LabelManagedBy: "redis-gitops-cluster"}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{c.state.Network.gateway(1).String()}}},
	}
	for i := range protocols {
		name, port := "dns-"+strings.ToLower(string(protocols[i])), int32(dnsPort)
		service.Spec.Ports = append(service.Spec.Ports, corev1.ServicePort{Name: name, Port: 53, Protocol: protocols[i], TargetPort: intstr.FromInt32(dnsPort)})
		slice.Ports = append(slice.Ports, discoveryv1.EndpointPort{Name: &name, Port: &port, Protocol: &protocols[i]})
	}
	_, err = client.CoreV1().Services("kube-system").Get(ctx, service.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = client.CoreV1().Services("kube-system").Create(ctx, service, metav1.CreateOptions{})
	}
	if err != nil {
		return fmt.Errorf("cannot publish the Service kube-dns: %w", err)
	}
	_, err = client.DiscoveryV1().EndpointSlices("kube-system").Create(ctx, slice, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		// A stopped cluster may have come up with other addresses.
		_, err = client.DiscoveryV1().EndpointSlices("kube-system").Update(ctx, slice, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("cannot publish the endpoints of kube-dns: %w", err)
	}
	return nil
}

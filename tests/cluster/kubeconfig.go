package main

import (
	"fmt"
	"os"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

func (c *cluster) apiServerURL() string {
	return fmt.Sprintf("https://127.0.0.1:%d", c.state.Ports.APIServer)
}

func (c *cluster) writeKubeconfig(path, user, token string) error {
	authority, err := os.ReadFile(c.path("pki", "ca.crt"))
	if err != nil {
		return fmt.Errorf("cannot read the cluster's authority: %w", err)
	}
	const name = "redis-gitops-local"
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: c.apiServerURL(), CertificateAuthorityData: authority}
	config.AuthInfos[user] = &clientcmdapi.AuthInfo{Token: token}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: user}
	config.CurrentContext = name
	text, err := clientcmd.Write(*config)
	if err != nil {
		return fmt.Errorf("cannot encode %s: %w", path, err)
	}
	return writeFile(path, text, 0o600)
}

// restConfig reads a kubeconfig. The agent is who wrote, in managedFields and in
// the audit log. Requests are not throttled on the client's
// side: the server is local and the clients are few.
func restConfig(path, agent string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return nil, fmt.Errorf("cannot use the kubeconfig %s: %w", path, err)
	}
	config.QPS = -1
	config.UserAgent = agent
	return config, nil
}

// admin is a client with the administrator's rights and a deadline per request.
func (c *cluster) admin() (kubernetes.Interface, error) {
	config, err := restConfig(c.kubeconfig("admin"), "redis-gitops-cluster")
	if err != nil {
		return nil, err
	}
	config.Timeout = 5 * time.Second
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("cannot make a client for the API server: %w", err)
	}
	return client, nil
}

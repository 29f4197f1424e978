package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"strings"
	"time"
)

// certificates live ten years: a state folder outlives nobody's patience first.
const certificateLife = 10 * 365 * 24 * time.Hour

// identities are the users of the API server; each gets a random token.
var identities = []struct{ name, user, groups string }{
	{"admin", "cluster-admin", "system:masters"},
	{"controller-manager", "system:kube-controller-manager", ""},
	{"scheduler", "system:kube-scheduler", ""},
	{"proxy", "system:kube-proxy", ""},
	{"node1", "system:node:node1", "system:nodes"},
	{"node2", "system:node:node2", "system:nodes"},
	{"dns", "redis-gitops:dns", "system:masters"},
	{"provisioner", "redis-gitops:provisioner", "system:masters"},
}

// ensurePKI makes what is missing and renews the server certificate, whose
// addresses depend on the network. Authorities, keys and tokens are kept.
func (c *cluster) ensurePKI(addresses []net.IP) error {
	authority, key, err := c.authority()
	if err != nil {
		return err
	}
	if _, err := os.Stat(c.path("pki", "service-account.key")); errors.Is(err, os.ErrNotExist) {
		if err := c.writeServiceAccountKey(); err != nil {
			return err
		}
	}
	server := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "redis-gitops cluster server"},
		IPAddresses: append([]net.IP{net.IPv4(127, 0, 0, 1)}, addresses...),
		DNSNames: []string{"localhost", "node1", "node2", "kubernetes", "kubernetes.default",
			"kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if err := c.issue("server", server, authority, key); err != nil {
		return err
	}
	client := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "redis-gitops cluster client"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if err := c.issue("client", client, authority, key); err != nil {
		return err
	}
	return c.ensureTokens()
}

func (c *cluster) authority() (*x509.Certificate, *ecdsa.PrivateKey, error) {
	certificateText, err := os.ReadFile(c.path("pki", "ca.crt"))
	if errors.Is(err, os.ErrNotExist) {
		template := &x509.Certificate{
			Subject:               pkix.Name{CommonName: "redis-gitops cluster"},
			IsCA:                  true,
			BasicConstraintsValid: true,
			KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		}
		if err := c.issue("ca", template, nil, nil); err != nil {
			return nil, nil, err
		}
		certificateText, err = os.ReadFile(c.path("pki", "ca.crt"))
	}
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the cluster's authority: %w", err)
	}
	keyText, err := os.ReadFile(c.path("pki", "ca.key"))
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the authority's key: %w", err)
	}
	certificateBlock, _ := pem.Decode(certificateText)
	keyBlock, _ := pem.Decode(keyText)
	if certificateBlock == nil || keyBlock == nil {
		return nil, nil, fmt.Errorf("%s holds no PEM: run `cluster down --purge`", c.path("pki"))
	}
	certificate, err := x509.ParseCertificate(certificateBlock.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot parse the cluster's authority: %w", err)
	}
	key, err := x509.ParseECPrivateKey(keyBlock.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot parse the authority's key: %w", err)
	}
	return certificate, key, nil
}

// issue writes NAME.crt and NAME.key; without an authority it signs itself.
func (c *cluster) issue(name string, template, authority *x509.Certificate, authorityKey *ecdsa.PrivateKey) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("cannot make the key of %s: %w", name, err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return fmt.Errorf("cannot make the serial number of %s: %w", name, err)
	}
	template.SerialNumber = serial
	template.NotBefore = time.Now().Add(-time.Hour)
	template.NotAfter = template.NotBefore.Add(certificateLife)
	if template.KeyUsage == 0 {
		template.KeyUsage = x509.KeyUsageDigitalSignature
	}
	if authority == nil {
		authority, authorityKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, authority, &key.PublicKey, authorityKey)
	if err != nil {
		return fmt.Errorf("cannot sign the certificate of %s: %w", name, err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return fmt.Errorf("cannot encode the key of %s: %w", name, err)
	}
	if err := c.writePEM(name+".key", "EC PRIVATE KEY", keyDER); err != nil {
		return err
	}
	return c.writePEM(name+".crt", "CERTIFICATE", der)
}

func (c *cluster) writeServiceAccountKey() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("cannot make the service account key: %w", err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return fmt.Errorf("cannot encode the service account key: %w", err)
	}
	return c.writePEM("service-account.key", "EC PRIVATE KEY", der)
}

func (c *cluster) writePEM(file, kind string, der []byte) error {
	return writeFile(c.path("pki", file), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// ensureTokens writes the API server's token file and a kubeconfig for each identity.
func (c *cluster) ensureTokens() error {
	if _, err := os.Stat(c.path("pki", "tokens.csv")); errors.Is(err, os.ErrNotExist) {
		var table strings.Builder
		for _, identity := range identities {
			secret := make([]byte, 24)
			if _, err := rand.Read(secret); err != nil {
				return fmt.Errorf("cannot make a token: %w", err)
			}
			fmt.Fprintf(&table, "%s,%s,%s,%q\n", hex.EncodeToString(secret), identity.user, identity.user, identity.groups)
		}
		if err := writeFile(c.path("pki", "tokens.csv"), []byte(table.String()), 0o600); err != nil {
			return err
		}
	}
	table, err := os.ReadFile(c.path("pki", "tokens.csv"))
	if err != nil {
		return fmt.Errorf("cannot read the tokens: %w", err)
	}
	rows := strings.Split(strings.TrimSpace(string(table)), "\n")
	if len(rows) != len(identities) {
		return fmt.Errorf("%s does not fit this program: run `cluster down --purge`", c.path("pki", "tokens.csv"))
	}
	for i, identity := range identities {
		token, _, _ := strings.Cut(rows[i], ",")
		if err := c.writeKubeconfig(c.kubeconfig(identity.name), identity.name, token); err != nil {
			return err
		}
	}
	return nil
}

// kubeconfig is the file of one identity; the administrator's is for people.
func (c *cluster) kubeconfig(identity string) string {
	if identity == "admin" {
		return c.path("kubeconfig")
	}
	return c.path("config", identity+".kubeconfig")
}

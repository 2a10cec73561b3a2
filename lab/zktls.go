package lab

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// zkTLSPort is where the servers take TLS if they are asked to.
const zkTLSPort = 2281

// TLSFiles are key stores in PEM: the servers' own key and certificate, and what
// clients trust.
type TLSFiles struct{ KeyStore, TrustStore string }

// writeTLS makes one certificate for all servers, which is its own authority.
func writeTLS(dir string, ips []string) (*TLSFiles, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "zookeeper"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, ip := range ips {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(ip))
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	files := &TLSFiles{KeyStore: filepath.Join(dir, "key.pem"), TrustStore: filepath.Join(dir, "trust.pem")}
	for file, content := range map[string][]byte{
		files.KeyStore:   append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), certificate...),
		files.TrustStore: certificate,
	} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			return nil, fmt.Errorf("write key store: %w", err)
		}
	}
	return files, nil
}

// tlsLines are a server's settings for TLS beside plain connections.
func (f *TLSFiles) tlsLines() []string {
	return []string{
		fmt.Sprintf("secureClientPort=%d", zkTLSPort),
		"serverCnxnFactory=org.apache.flink.shaded.zookeeper3.org.apache.zookeeper.server.NettyServerCnxnFactory",
		"ssl.keyStore.location=" + f.KeyStore, "ssl.keyStore.type=PEM",
		"ssl.trustStore.location=" + f.TrustStore, "ssl.trustStore.type=PEM", "ssl.clientAuth=need",
	}
}

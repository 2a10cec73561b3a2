package daemon

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"
)

// zookeeperTLS reads the Java system properties by which ZooKeeper's client turns
// to TLS (ZooKeeper's administrator guide, "Encryption, Authentication,
// Authorization Options"); nil for plain connections. Key stores in PEM can be
// read, others are refused by name.
func zookeeperTLS(properties map[string]string) (*tls.Config, error) {
	const prefix = "zookeeper.ssl."
	if !strings.EqualFold(properties["zookeeper.client.secure"], "true") {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	for _, store := range []string{"keyStore", "trustStore"} {
		file := properties[prefix+store+".location"]
		if file == "" {
			continue
		}
		kind := properties[prefix+store+".type"]
		if !strings.EqualFold(kind, "PEM") && (kind != "" || !strings.HasSuffix(file, ".pem")) {
			return nil, refuse("%s%s.location: %s: only key stores in PEM can be read; convert it, and set %s%s.type=PEM", prefix, store, file, prefix, store)
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			return nil, refuse("read %s%s.location: %w", prefix, store, err)
		}
		if store == "keyStore" {
			certificate, err := tls.X509KeyPair(raw, raw)
			if err != nil {
				return nil, refuse("read %s%s.location %s: %w", prefix, store, file, err)
			}
			config.Certificates = []tls.Certificate{certificate}
			continue
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(raw) {
			return nil, refuse("read %s%s.location %s: it holds no certificate", prefix, store, file)
		}
	}
	if strings.EqualFold(properties[prefix+"hostnameVerification"], "false") {
		withoutHostname(config)
	}
	return config, nil
}

// withoutHostname checks the server's certificate but not that it names the host:
// what zookeeper.ssl.hostnameVerification=false means.
func withoutHostname(config *tls.Config) {
	config.InsecureSkipVerify = true // VerifyConnection does all but the name
	config.VerifyConnection = func(state tls.ConnectionState) error {
		intermediates := x509.NewCertPool()
		for _, c := range state.PeerCertificates[1:] {
			intermediates.AddCert(c)
		}
		_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: config.RootCAs, Intermediates: intermediates})
		return err
	}
}

package daemon

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"flink-ha-sidecar/internal/flinkconf"
	"flink-ha-sidecar/lab"
	"flink-ha-sidecar/lab/labtest"
	"flink-ha-sidecar/leader"
	"flink-ha-sidecar/leader/zookeeper"
)

// effective is what Flink makes of these keys, with ZooKeeper HA.
func effective(t *testing.T, keys map[string]string) flinkconf.Config {
	t.Helper()
	file := flinkconf.File{Values: map[string]flinkconf.Value{"high-availability.type": {Text: "zookeeper", From: "config.yaml:1"}}}
	for key, text := range keys {
		file.Values[key] = flinkconf.Value{Text: text, From: "config.yaml:2"}
	}
	conf, err := flinkconf.Effective(file, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return conf
}

const quorumKey = "high-availability.zookeeper.quorum"

func TestZooKeeperIsReachedAsFlinksOptionsSay(t *testing.T) {
	for name, row := range map[string]struct {
		keys map[string]string
		want zookeeper.Options
	}{
		"the defaults": {
			map[string]string{quorumKey: "a:1,b"},
			zookeeper.Options{Servers: []string{"a:1", "b:2181"}, Path: "/flink/id", SessionTimeout: time.Minute},
		},
		"a chroot, a root and long sessions": {
			map[string]string{quorumKey: "a:1/prod", "high-availability.zookeeper.path.root": "/f", "high-availability.zookeeper.client.session-timeout": "2 min"},
			zookeeper.Options{Servers: []string{"a:1"}, Path: "/prod/f/id", SessionTimeout: 2 * time.Minute},
		},
		"an identity in one text": {
			map[string]string{quorumKey: "a:1", zkAuthorization: "digest:'flink:it''s'", "high-availability.zookeeper.client.acl": "creator"},
			zookeeper.Options{Servers: []string{"a:1"}, Path: "/flink/id", SessionTimeout: time.Minute, Auth: []zookeeper.Auth{{Scheme: "digest", Data: "flink:it's"}}},
		},
		"an identity in a nested key": {
			map[string]string{quorumKey: "a:1", zkAuthorization + ".digest": "flink:secret"},
			zookeeper.Options{Servers: []string{"a:1"}, Path: "/flink/id", SessionTimeout: time.Minute, Auth: []zookeeper.Auth{{Scheme: "digest", Data: "flink:secret"}}},
		},
		"SASL that is switched off": {
			map[string]string{quorumKey: "a:1", "zookeeper.sasl.disable": "true", "zookeeper.sasl.service-name": "zk", loginContexts: "Client"},
			zookeeper.Options{Servers: []string{"a:1"}, Path: "/flink/id", SessionTimeout: time.Minute},
		},
		"Kerberos for others": {
			map[string]string{quorumKey: "a:1", loginContexts: "KafkaClient"},
			zookeeper.Options{Servers: []string{"a:1"}, Path: "/flink/id", SessionTimeout: time.Minute},
		},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := zookeeperOptions(effective(t, row.keys), "id")
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(o.Servers, row.want.Servers) || o.Path != row.want.Path || o.SessionTimeout != row.want.SessionTimeout ||
				!slices.Equal(o.Auth, row.want.Auth) || o.TLS != nil {
				t.Errorf("got %+v, want %+v", o, row.want)
			}
		})
	}
}

func TestWhatZooKeeperCannotHaveIsRefusedByName(t *testing.T) {
	secure := "-Xmx1g -Dzookeeper.client.secure=true -Dzookeeper.ssl.trustStore.location="
	for name, row := range map[string]struct {
		keys map[string]string
		says string
	}{
		"no quorum":              {map[string]string{}, quorumKey},
		"a quorum that is none":  {map[string]string{quorumKey: "a:b"}, quorumKey},
		"SASL":                   {map[string]string{quorumKey: "a:1", "zookeeper.sasl.service-name": "zk"}, "zookeeper.sasl.service-name: zk (config.yaml:2)"},
		"Kerberos":               {map[string]string{quorumKey: "a:1", loginContexts: "KafkaClient, Client"}, loginContexts},
		"creator without a name": {map[string]string{quorumKey: "a:1", "high-availability.zookeeper.client.acl": "creator"}, zkAuthorization},
		"an ACL that is none":    {map[string]string{quorumKey: "a:1", "high-availability.zookeeper.client.acl": "closed"}, "neither open nor creator"},
		"scheme sasl":            {map[string]string{quorumKey: "a:1", zkAuthorization + ".sasl": "x"}, "scheme sasl"},
		"no scheme":              {map[string]string{quorumKey: "a:1", zkAuthorization: "secret"}, "not scheme:credentials"},
		"a Java key store":       {map[string]string{quorumKey: "a:1", "env.java.opts.all": secure + "/x/trust.jks"}, "/x/trust.jks: only key stores in PEM"},
		"a store that is absent": {map[string]string{quorumKey: "a:1", "env.java.opts": secure + "/x/trust.pem"}, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := zookeeperOptions(effective(t, row.keys), "id")
			if !errors.Is(err, ErrConfiguration) || !strings.Contains(err.Error(), row.says) {
				t.Errorf("got %v, want a refusal with %q", err, row.says)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the refusal tells a secret: %v", err)
			}
		})
	}
}

func TestZooKeeperTLSIsReadFromTheJavaProperties(t *testing.T) {
	file := filepath.Join(t.TempDir(), "store.pem")
	writePEM(t, file)
	config, err := zookeeperTLS(map[string]string{
		"zookeeper.client.secure": "true", "zookeeper.ssl.keyStore.location": file, "zookeeper.ssl.trustStore.location": file,
	})
	if err != nil || config == nil || len(config.Certificates) != 1 || config.RootCAs == nil || config.InsecureSkipVerify {
		t.Fatalf("got %+v, %v; want a certificate, roots and the host's name checked", config, err)
	}
	config, err = zookeeperTLS(map[string]string{
		"zookeeper.client.secure": "true", "zookeeper.ssl.trustStore.location": file, "zookeeper.ssl.hostnameVerification": "false",
	})
	if err != nil || config.VerifyConnection == nil {
		t.Errorf("got %+v, %v; want the certificate checked without the name", config, err)
	}
	if config, err := zookeeperTLS(map[string]string{"zookeeper.ssl.trustStore.location": file}); config != nil || err != nil {
		t.Errorf("TLS although zookeeper.client.secure is not set: %+v, %v", config, err)
	}
}

func TestBackendIsFlinksUnlessTheFlagSaysTheSame(t *testing.T) {
	set := func(ha flinkconf.HA) flinkconf.Setting[flinkconf.HA] {
		return flinkconf.Setting[flinkconf.HA]{Value: ha, Key: "high-availability.type", Text: ha.String(), From: "config.yaml:1"}
	}
	for name, row := range map[string]struct {
		flag string
		ha   flinkconf.Setting[flinkconf.HA]
		want string
		says string
	}{
		"ZooKeeper HA":             {"", set(flinkconf.HAZooKeeper), backendZooKeeper, ""},
		"Kubernetes HA":            {"", set(flinkconf.HAKubernetes), backendKubernetes, ""},
		"the same by flag":         {backendZooKeeper, set(flinkconf.HAZooKeeper), backendZooKeeper, ""},
		"a flag alone":             {backendZooKeeper, flinkconf.Setting[flinkconf.HA]{}, backendZooKeeper, ""},
		"a flag that contradicts":  {backendZooKeeper, set(flinkconf.HAKubernetes), "", "contradicts"},
		"a flag that nobody knows": {"etcd", set(flinkconf.HAKubernetes), "", "knows kubernetes, zookeeper and vvp-kubernetes"},
		"sidecars that elect":      {"", set(flinkconf.HAVVP), backendVVP, ""},
		"they by flag, none else":  {backendVVP, set(flinkconf.HANone), backendVVP, ""},
		"they beside Flink's own":  {backendVVP, set(flinkconf.HAKubernetes), "", "contradicts"},
		"another HA service":       {"", set(flinkconf.HAOther), "", "high-availability.type"},
		"none":                     {"", flinkconf.Setting[flinkconf.HA]{}, "", "not set"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := chooseBackend(row.flag, row.ha)
			if got != row.want || (err != nil) != (row.says != "") || err != nil && !strings.Contains(err.Error(), row.says) {
				t.Errorf("got %q, %v; want %q or %q", got, err, row.want, row.says)
			}
		})
	}
}

// writePEM writes a key with a certificate of its own.
func writePEM(t *testing.T, file string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "lab"}, NotAfter: time.Now().Add(time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})...)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestIntegrationZooKeeperOverTLS reaches a real server as the Java properties say.
func TestIntegrationZooKeeperOverTLS(t *testing.T) {
	z := labtest.ZooKeeper(t, lab.ZooKeeperOptions{TLS: true})
	secure := "-Dzookeeper.client.secure=true -Dzookeeper.clientCnxnSocket=org.apache.zookeeper.ClientCnxnSocketNetty -Dzookeeper.ssl.trustStore.location="
	for name, row := range map[string]struct {
		java string
		says string // part of the error; empty if it works
	}{
		"with the servers' authority and a key": {secure + z.TLS.TrustStore + " -Dzookeeper.ssl.keyStore.location=" + z.TLS.KeyStore, ""},
		"without a key":                         {secure + z.TLS.TrustStore, z.Servers[0].TLSAddress},
		"with another authority":                {"-Dzookeeper.client.secure=true", "certificate"},
		"without TLS":                           {"", z.Servers[0].TLSAddress},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := zookeeperOptions(effective(t, map[string]string{quorumKey: z.Servers[0].TLSAddress, "env.java.opts.jobmanager": row.java}), "id")
			if err != nil {
				t.Fatal(err)
			}
			b, err := zookeeper.New(o)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			v, err := b.Read(ctx)
			if (err == nil) != (row.says == "") || err == nil && v.Lock != leader.LockAbsent || err != nil && !strings.Contains(err.Error(), row.says) {
				t.Errorf("read %v, %v; want %q", v.Lock, err, row.says)
			}
		})
	}
}

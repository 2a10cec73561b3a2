package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"flink-ha-sidecar/health"
	"flink-ha-sidecar/internal/status"
	"flink-ha-sidecar/leader"
)

// serve runs a server until the test ends.
func serve(t *testing.T, o Options) *Server {
	t.Helper()
	o.Address, o.Metrics = "127.0.0.1:0", prometheus.NewRegistry()
	o.Health = func() health.Inputs {
		return health.Inputs{Snapshot: &leader.Snapshot{}, Beat: time.Now(), PulseBeat: time.Now()}
	}
	o.Document = func() status.Document { return status.Document{Format: status.Format} }
	s, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestThePortOnlyReads(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{})
	for _, path := range []string{"/startupz", "/livez", "/readyz", "/leader", "/standby", "/metrics", "/v1/status"} {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			if code := ask(t, http.DefaultClient, method, "http://"+s.Address()+path); code != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: status %d", method, path, code)
			}
		}
		if code := ask(t, http.DefaultClient, http.MethodGet, "http://"+s.Address()+path); code != http.StatusOK && code != http.StatusServiceUnavailable {
			t.Errorf("GET %s: status %d", path, code)
		}
	}
	if code := ask(t, http.DefaultClient, http.MethodGet, "http://"+s.Address()+"/v1/jobmanager/check"); code != http.StatusNotFound {
		t.Errorf("a path of the socket: status %d", code)
	}
}

func ask(t *testing.T, client *http.Client, method, url string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

func TestALongHeaderIsRefused(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{})
	conn := dial(t, s.Address())
	fmt.Fprintf(conn, "GET /livez HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", strings.Repeat("x", 64<<10))
	answer, _ := io.ReadAll(conn)
	if !strings.Contains(string(answer), "431") {
		t.Errorf("the answer is %q", answer)
	}
}

func TestAClientThatSaysNothingIsSentAway(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{})
	conn := dial(t, s.Address())
	begun := time.Now()
	if _, err := io.ReadAll(conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("it is never sent away")
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it is sent away after %v", took)
	}
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestOneAddressCannotTakeEveryConnection(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	bounded := limit(l, 3, 2)
	accepted := make(chan net.Conn, 8)
	go func() {
		for {
			c, err := bounded.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	from := func(ip string) net.Conn {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
		conn, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	refused := func(what string, conn net.Conn) {
		if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s is not closed: %v", what, err)
		}
	}
	from("127.0.0.2")
	first := <-accepted
	from("127.0.0.2")
	<-accepted
	refused("a third from one address", from("127.0.0.2"))
	from("127.0.0.3")
	<-accepted
	refused("a fourth of all", from("127.0.0.4"))
	first.Close()
	first.Close() // gives one place back, not two
	from("127.0.0.4")
	<-accepted
	refused("a fourth of all again", from("127.0.0.3"))
}

// pair writes a certificate for 127.0.0.1 with a serial number, and its key.
func pair(t *testing.T, certFile, keyFile string, serial int64, at time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: raw}} {
		write(t, file, pem.EncodeToMemory(block), at)
	}
}

func write(t *testing.T, file string, content []byte, at time.Time) {
	t.Helper()
	if err := errors.Join(os.WriteFile(file, content, 0o600), os.Chtimes(file, at, at)); err != nil {
		t.Fatal(err)
	}
}

func TestTheCertificateIsReadAgainWhenItChanges(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile, at := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"), time.Now()
	if _, err := NewCertificate(certFile, keyFile, zap.NewNop()); err == nil {
		t.Error("files that are not there are taken")
	}
	pair(t, certFile, keyFile, 1, at)
	c, err := NewCertificate(certFile, keyFile, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, Options{Certificate: c.Get})
	shows := func(want int64) {
		t.Helper()
		var serial int64
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
			InsecureSkipVerify: true, // which certificate it is is the test
			VerifyConnection: func(state tls.ConnectionState) error {
				serial = state.PeerCertificates[0].SerialNumber.Int64()
				return nil
			},
		}}}
		if code := ask(t, client, http.MethodGet, "https://"+s.Address()+"/livez"); code != http.StatusOK || serial != want {
			t.Errorf("status %d with certificate %d, want %d", code, serial, want)
		}
	}
	shows(1)
	pair(t, certFile, keyFile, 2, at.Add(time.Second))
	shows(2)
	write(t, keyFile, []byte("half a key"), at.Add(2*time.Second))
	shows(2)
	if err := os.Remove(certFile); err != nil {
		t.Fatal(err)
	}
	shows(2)
	pair(t, certFile, keyFile, 3, at.Add(3*time.Second))
	shows(3)
	if res, err := http.Get("http://" + s.Address() + "/livez"); err == nil {
		res.Body.Close()
		if res.StatusCode != http.StatusBadRequest {
			t.Errorf("plain HTTP: %s", res.Status)
		}
	}
}

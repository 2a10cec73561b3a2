package pulse_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"flink-ha-sidecar/jobmanager/pulse"
	"flink-ha-sidecar/jobmanager/rest"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// closes accepts and closes what has nothing to say, as Flink's RPC system does.
func closes(l net.Listener, conn func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		conn(c)
	}
}

func TestPort(t *testing.T) {
	t.Parallel()
	live, reset, stopped, closed := listen(t), listen(t), listen(t), listen(t)
	go closes(live, func(c net.Conn) {
		var b [1]byte
		c.Read(b[:]) //nolint:errcheck // it ends with the other side
		c.Close()
	})
	go closes(reset, func(c net.Conn) {
		c.(*net.TCPConn).SetLinger(0) //nolint:errcheck // no matter
		c.Close()
	})
	closed.Close()
	for _, tt := range []struct {
		name string
		l    net.Listener
		ok   bool
		says string
	}{
		{"a process that closes", live, true, ""},
		{"a process that resets", reset, true, ""},
		{"a process that is stopped: the kernel takes the connection", stopped, false, "no answer in time"},
		{"nobody listens", closed, false, "connection refused"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		begun := time.Now()
		a := pulse.Port(ctx, tt.l.Addr().String())
		cancel()
		if !a.Asked || a.OK != tt.ok || a.Detail != tt.says {
			t.Errorf("%s: %+v, want OK %t, %q", tt.name, a, tt.ok, tt.says)
		}
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("%s: it took %v", tt.name, took)
		}
	}
}

// api asks base with the bound that a round has.
func api(t *testing.T, roots *x509.CertPool, base string) (pulse.Answer, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), rules.AskFor())
	defer cancel()
	begun := time.Now()
	defer func() {
		if took := time.Since(begun); took > rules.AskFor()+time.Second {
			t.Errorf("asking %s took %v", base, took)
		}
	}()
	return pulse.API(ctx, rest.New(roots, zap.NewNop()), base)
}

func TestAPI(t *testing.T) {
	t.Parallel()
	answer := func(status int, body string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			w.Write([]byte(body)) //nolint:errcheck // shows in the test
		})
	}
	for _, tt := range []struct {
		name    string
		handler http.Handler
		version string
		detail  string
	}{
		{"a JobManager", answer(200, `{"refresh-interval":3000,"flink-version":"1.20.3"}`), "1.20.3", ""},
		{"a standby while nobody leads", answer(503, `{"errors":["Service temporarily unavailable"]}`), "", ""},
		{"one that answers nonsense", answer(200, `<html>`), "", "not as it should"},
		{"a redirect is not followed", http.RedirectHandler("http://127.0.0.1:1/", http.StatusTemporaryRedirect), "", ""},
	} {
		s := httptest.NewServer(tt.handler)
		a, version := api(t, nil, s.URL)
		s.Close()
		if !a.OK || version != tt.version || !strings.Contains(a.Detail, tt.detail) || (a.Detail == "") != (tt.detail == "") {
			t.Errorf("%s: %+v, version %q", tt.name, a, version)
		}
	}
	stopped := listen(t)
	if a, _ := api(t, nil, "http://"+stopped.Addr().String()); a.OK || a.Detail != "no answer in time" {
		t.Errorf("a stopped process: %+v", a)
	}
	stopped.Close()
	if a, _ := api(t, nil, "http://"+stopped.Addr().String()); a.OK || a.Detail != "connection refused" {
		t.Errorf("nobody listens: %+v", a)
	}
}

// TestACertificateThatDoesNotVerifyIsAnAnswerAndIsNotBelieved: nothing is read of
// what comes under it.
func TestACertificateThatDoesNotVerifyIsAnAnswerAndIsNotBelieved(t *testing.T) {
	t.Parallel()
	tell := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{"flink-version":"2.3.0"}`)) }) //nolint:errcheck // shows below
	s := httptest.NewTLSServer(tell)
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	if a, version := api(t, roots, s.URL); !a.OK || a.Detail != "" || version != "2.3.0" {
		t.Errorf("trusted: %+v, version %q", a, version)
	}
	if a, version := api(t, x509.NewCertPool(), s.URL); !a.OK || !strings.Contains(a.Detail, "certificate") || version != "" {
		t.Errorf("not trusted: %+v, version %q", a, version)
	}
	mutual := httptest.NewUnstartedServer(tell)
	mutual.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	mutual.StartTLS()
	t.Cleanup(mutual.Close)
	mutualRoots := x509.NewCertPool()
	mutualRoots.AddCert(mutual.Certificate())
	if a, version := api(t, mutualRoots, mutual.URL); !a.OK || !strings.Contains(a.Detail, "certificate required") || version != "" {
		t.Errorf("it wants a certificate of ours: %+v, version %q", a, version)
	}
	plain := httptest.NewServer(tell)
	t.Cleanup(plain.Close)
	if a, _ := api(t, nil, strings.Replace(plain.URL, "http:", "https:", 1)); !a.OK || a.Detail == "" {
		t.Errorf("it speaks no TLS: %+v", a)
	}
}

package e2e

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/rest"

	"flink-ha-sidecar/lab"
)

// gate stands between sidecars and the API server and knows their requests, so
// that a test can hold up exactly one of them.
type gate struct {
	proxy *httputil.ReverseProxy

	mu      sync.Mutex
	barrier map[string]*barrier // by method
}

// barrier holds up requests of one method.
type barrier struct {
	arrived chan struct{} // closed with the first request
	once    sync.Once
	opened  chan struct{}
	// mute lets a request pass and breaks the connection instead of answering.
	mute bool
}

// newGate opens a gate, and returns it with a kubeconfig that leads through it.
func newGate(t *testing.T, p *parts) (*gate, string) {
	t.Helper()
	g := &gate{proxy: toAPIServer(t, p), barrier: map[string]*barrier{}}
	return g, kubeConfigThrough(t, p, g)
}

// toAPIServer passes requests on as they come; Rewrite may be replaced by one that
// calls it.
func toAPIServer(t *testing.T, p *parts) *httputil.ReverseProxy {
	t.Helper()
	config := p.control.Config()
	config.BearerToken = "" // the sidecar's own passes through
	transport, err := rest.TransportFor(config)
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	return &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1, // a watch is a response without end
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
}

// kubeConfigThrough serves h until the test ends, and returns a kubeconfig of the
// shared user that leads there.
func kubeConfigThrough(t *testing.T, p *parts, h http.Handler) string {
	t.Helper()
	server := httptest.NewTLSServer(h)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return kubeConfigFor(t, p, server)
}

// hold holds up requests of a method until open is called; arrived is closed as
// soon as one has come.
func (g *gate) hold(method string) (arrived <-chan struct{}, open func()) {
	b := g.set(method, false)
	return b.arrived, func() { close(b.opened) }
}

// mute lets requests of a method through and loses the replies.
func (g *gate) mute(method string) { close(g.set(method, true).opened) }

func (g *gate) set(method string, mute bool) *barrier {
	b := &barrier{arrived: make(chan struct{}), opened: make(chan struct{}), mute: mute}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.barrier[method] = b
	return b
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	b := g.barrier[r.Method]
	g.mu.Unlock()
	if b == nil {
		g.proxy.ServeHTTP(w, r)
		return
	}
	b.once.Do(func() { close(b.arrived) })
	select {
	case <-b.opened:
	case <-r.Context().Done():
		return
	}
	if b.mute {
		g.proxy.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}
	g.proxy.ServeHTTP(w, r)
}

// throughProxy opens a TCP proxy to the API server, for faults of the network,
// and returns it with a kubeconfig that leads through it.
func throughProxy(t *testing.T, p *parts) (*lab.Proxy, string) {
	t.Helper()
	server, err := url.Parse(p.control.URL())
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := lab.StartProxy(server.Hostname(), server.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	content, err := os.ReadFile(p.kubeConfig)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	through := strings.ReplaceAll(string(content), p.control.URL(), "https://"+proxy.Address())
	if err := os.WriteFile(file, []byte(through), 0o600); err != nil {
		t.Fatal(err)
	}
	return proxy, file
}

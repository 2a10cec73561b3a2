package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
)

// The lab's JobManagers live at 127.0.0.0/8, which the API server refuses in an
// EndpointSlice. On the way to it, and for EndpointSlices alone, they are moved to
// another network: both texts have the same length.
const (
	labNetwork   = "127."
	shownNetwork = "126."
)

// natted returns a kubeconfig of the shared user that leads through the move.
func natted(t *testing.T, p *parts) string {
	t.Helper()
	concerns := func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/endpointslices") }
	proxy := toAPIServer(t, p)
	pass := proxy.Rewrite
	proxy.Rewrite = func(r *httputil.ProxyRequest) {
		pass(r)
		if concerns(r.Out) && r.Out.Body != nil {
			r.Out.Body = moved{r.Out.Body, labNetwork, shownNetwork}
		}
	}
	proxy.ModifyResponse = func(r *http.Response) error {
		if concerns(r.Request) {
			r.Body = moved{r.Body, shownNetwork, labNetwork}
		}
		return nil
	}
	return kubeConfigThrough(t, p, proxy)
}

// kubeConfigFor is the shared user's way through server.
func kubeConfigFor(t *testing.T, p *parts, server *httptest.Server) string {
	t.Helper()
	user, err := clientcmd.BuildConfigFromFlags("", p.kubeConfig)
	if err != nil {
		t.Fatal(err)
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	file := filepath.Join(t.TempDir(), "kubeconfig")
	content := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: gate
contexts:
- name: gate
  context: {cluster: gate, user: gate}
clusters:
- name: gate
  cluster: {server: %q, certificate-authority-data: %q}
users:
- name: gate
  user: {token: %q}
`, server.URL, base64.StdEncoding.EncodeToString(ca), user.BearerToken)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// moved replaces one network by the other in all that is read.
type moved struct {
	io.ReadCloser
	from, to string
}

func (m moved) Read(b []byte) (int, error) {
	n, err := m.ReadCloser.Read(b)
	copy(b, bytes.ReplaceAll(b[:n], []byte(m.from), []byte(m.to)))
	return n, err
}

package lab

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
)

// ControlPlane is a real etcd and kube-apiserver, with RBAC on. By itself it has
// a loopback address of its own and nothing else of Kubernetes runs: no
// scheduler, no controllers, no kubelet, so that pods can be written but never
// start. A [Node] has the rest.
type ControlPlane struct {
	dir       string
	subnet    *Subnet // nil on a node
	seat      seat
	binary    struct{ etcd, apiServer string }
	progress  *Progress
	adminPath string
	tokens    []string // of admin, then of the users lab-user-0, lab-user-1, ...

	mu        sync.Mutex
	users     int // given out so far
	etcd      *Process
	apiServer *Process
}

// seat is where a control plane is and how it is reached.
type seat struct {
	site      *site  // nil: this machine as it is
	host      string // address of the API server, as its clients know it
	port      int
	etcd      string // address of etcd
	bind      string // address that the API server listens on
	advertise string // address that it gives for the Service "kubernetes"
	endpoints string // how it publishes that (--endpoint-reconciler-type)
}

// Users without any right until [ControlPlane.UserKubeConfig] gives one out. The
// API server reads its token file only at its start, so they are made beforehand.
const userCount = 32

// startTimeout bounds the start of each part: 5 s with an idle machine.
const startTimeout = 90 * time.Second

// StartControlPlane starts a control plane that keeps everything below dir, a
// folder that exists. ctx bounds the start alone; the control plane then runs
// until [ControlPlane.Stop].
func StartControlPlane(ctx context.Context, cache *Cache, dir string) (_ *ControlPlane, err error) {
	subnet, err := ReserveSubnet()
	if err != nil {
		return nil, err
	}
	host := subnet.IP(controlPlaneHost)
	c := &ControlPlane{dir: dir, subnet: subnet, seat: seat{
		host: host, port: 6443, etcd: host, bind: host, advertise: host,
		endpoints: "none", // it refuses to publish a loopback address
	}}
	return c, c.start(ctx, cache)
}

// start starts both parts; if it fails neither runs.
func (c *ControlPlane) start(ctx context.Context, cache *Cache) (err error) {
	c.progress = cache.progress
	defer func() {
		if err != nil {
			c.Stop()
		}
	}()
	if c.binary.etcd, err = cache.tool(ctx, etcd); err != nil {
		return err
	}
	if c.binary.apiServer, err = cache.tool(ctx, kubeAPIServer); err != nil {
		return err
	}
	done := c.progress.Step("start etcd and kube-apiserver")
	defer func() { done(err) }()
	if err := c.writeFiles(); err != nil {
		return err
	}
	if err := c.startEtcd(ctx); err != nil {
		return err
	}
	if err := c.StartAPIServer(ctx); err != nil {
		return err
	}
	return c.makeServiceAccount(ctx)
}

func (c *ControlPlane) path(name string) string { return filepath.Join(c.dir, name) }

func (c *ControlPlane) etcdURL() string { return "http://" + c.seat.etcd + ":2379" }

// URL is the API server's, as in "https://127.77.5.1:6443". It stays the same
// when the API server is started again.
func (c *ControlPlane) URL() string { return fmt.Sprintf("https://%s:%d", c.seat.host, c.seat.port) }

// writeFiles writes the key that signs service-account tokens, the tokens and
// the kubeconfig of the admin.
func (c *ControlPlane) writeFiles() error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	if err := os.WriteFile(c.path("sa.key"), pem.EncodeToMemory(block), 0o600); err != nil {
		return fmt.Errorf("write key: %w", err)
	}
	var lines strings.Builder
	for i := range userCount + 1 {
		raw := make([]byte, 16)
		if _, err := rand.Read(raw); err != nil {
			return fmt.Errorf("make token: %w", err)
		}
		token := hex.EncodeToString(raw)
		c.tokens = append(c.tokens, token)
		if i == 0 {
			fmt.Fprintf(&lines, "%s,lab-admin,lab-admin,\"system:masters\"\n", token)
		} else {
			fmt.Fprintf(&lines, "%s,%s,%s\n", token, userName(i-1), userName(i-1))
		}
	}
	if err := os.WriteFile(c.path("tokens.csv"), []byte(lines.String()), 0o600); err != nil {
		return fmt.Errorf("write tokens: %w", err)
	}
	c.adminPath = c.path("kubeconfig")
	return c.writeKubeConfig(c.adminPath, "lab-admin", "default", c.tokens[0])
}

func (c *ControlPlane) startEtcd(ctx context.Context) error {
	peer := "http://" + c.seat.etcd + ":2380"
	p, err := start(spec{name: "etcd", path: c.binary.etcd, log: c.path("etcd.log"), site: c.seat.site, args: []string{
		"--data-dir", c.path("etcd"),
		"--unsafe-no-fsync", // a lab's data need not survive a power cut
		"--listen-client-urls", c.etcdURL(), "--advertise-client-urls", c.etcdURL(),
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default=" + peer,
	}})
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.etcd = p
	c.mu.Unlock()
	return c.waitUntil(ctx, p, func(ctx context.Context) error {
		client := &http.Client{Transport: &http.Transport{DialContext: c.seat.site.dial, DisableKeepAlives: true}}
		return getOK(ctx, client, c.etcdURL()+"/health")
	})
}

// StartAPIServer starts the API server, again on the same address and with the
// same data if it ran before, and waits until it is ready.
func (c *ControlPlane) StartAPIServer(ctx context.Context) error {
	p, err := start(spec{name: "kube-apiserver", path: c.binary.apiServer, log: c.path("kube-apiserver.log"), site: c.seat.site, args: []string{
		"--etcd-servers=" + c.etcdURL(),
		"--bind-address=" + c.seat.bind, "--advertise-address=" + c.seat.advertise, fmt.Sprintf("--secure-port=%d", c.seat.port),
		"--endpoint-reconciler-type=" + c.seat.endpoints,
		"--cert-dir=" + c.path("certs"),
		"--service-account-key-file=" + c.path("sa.key"), "--service-account-signing-key-file=" + c.path("sa.key"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--token-auth-file=" + c.path("tokens.csv"),
		"--authorization-mode=RBAC",
		"--service-cluster-ip-range=" + serviceRange,
		"--shutdown-delay-duration=0s",
	}})
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.apiServer = p
	c.mu.Unlock()
	return c.waitUntil(ctx, p, c.apiServerReady)
}

// apiServerReady asks for more than /readyz: the namespace that everything lives
// in is made a moment later.
func (c *ControlPlane) apiServerReady(ctx context.Context) error {
	config := c.Config() // read again each time: the first start makes the certificate
	config.Timeout = 2 * time.Second
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	if err := getOK(ctx, client, c.URL()+"/readyz"); err != nil {
		return err
	}
	return getOK(ctx, client, c.URL()+"/api/v1/namespaces/default")
}

// waitUntil asks ready until it is, p has ended, or the time is up.
func (c *ControlPlane) waitUntil(ctx context.Context, p *Process, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	retry := time.NewTicker(100 * time.Millisecond)
	defer retry.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-retry.C:
		case <-p.Done():
			return fmt.Errorf("start %s: it ended; the end of %s:\n%s", p.Name(), p.Log(), tail(p.Log(), 10))
		case <-ctx.Done():
			return fmt.Errorf("start %s: %w; last answer: %w", p.Name(), ctx.Err(), err)
		}
	}
}

// KillAPIServer ends the API server by SIGKILL; etcd and the data stay.
func (c *ControlPlane) KillAPIServer() { c.apiServerProcess().Kill() }

// RenewCertificate takes the API server's certificate away while it does not run;
// the next start makes another one, which no earlier CA file vouches for.
func (c *ControlPlane) RenewCertificate() error {
	if err := os.RemoveAll(c.path("certs")); err != nil {
		return fmt.Errorf("remove certificate: %w", err)
	}
	return nil
}

// FreezeAPIServer stops the API server by SIGSTOP: connections stay open and
// nothing answers.
func (c *ControlPlane) FreezeAPIServer() error {
	return c.apiServerProcess().Freeze()
}

// ContinueAPIServer ends what [ControlPlane.FreezeAPIServer] began.
func (c *ControlPlane) ContinueAPIServer() error {
	_, err := c.apiServerProcess().Signal(syscall.SIGCONT)
	return err
}

func (c *ControlPlane) apiServerProcess() *Process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.apiServer
}

// Stop ends both parts and gives the addresses back. The data need not survive,
// so they are killed. It may be called twice.
func (c *ControlPlane) Stop() {
	c.apiServerProcess().Kill()
	c.mu.Lock()
	etcd := c.etcd
	c.mu.Unlock()
	etcd.Kill()
	_ = c.subnet.Close()
}

// Config is the admin's configuration for client-go, without its rate limit.
func (c *ControlPlane) Config() *rest.Config {
	config := &rest.Config{
		Host:            c.URL(),
		BearerToken:     c.tokens[0],
		TLSClientConfig: rest.TLSClientConfig{CAFile: c.caFile()},
		QPS:             -1,
	}
	if c.seat.site != nil {
		config.Dial = c.seat.site.dial
	}
	return config
}

// ConfigMaps is the admin's client for a namespace's ConfigMaps.
func (c *ControlPlane) ConfigMaps(namespace string) (corev1.ConfigMapInterface, error) {
	client, err := corev1.NewForConfig(c.Config())
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	return client.ConfigMaps(namespace), nil
}

// caFile is the API server's own certificate, which signs itself.
func (c *ControlPlane) caFile() string { return c.path("certs/apiserver.crt") }

func getOK(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}

// tail is the end of a file, for error messages.
func tail(file string, lines int) string {
	content, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return lastLines(string(content), lines)
}

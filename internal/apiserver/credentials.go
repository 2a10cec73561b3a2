package apiserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"
)

const (
	dialFor      = 5 * time.Second
	handshakeFor = 5 * time.Second
	// idleFor outlasts the pause between the regular reads, which keep a connection
	// open for the release.
	idleFor = 3 * time.Minute
)

// fresh replaces what client-go keeps of credentials files, a token for up to a
// minute (transport.NewCachedFileTokenSource) and a CA for up to five
// (transport.atomicTransportHolder), by reading them when they are used: a
// sidecar makes about one request a minute, and the one that counts must not fail
// because of what was true a minute ago. Credentials that client-go gets from a
// program or a plugin stay with it.
func fresh(c *rest.Config) error {
	if c.ExecProvider != nil || c.AuthProvider != nil || c.Transport != nil || c.Dial != nil {
		return nil
	}
	if path := c.BearerTokenFile; path != "" {
		t := &tokenFile{path: path}
		if _, err := t.read(); err != nil && c.BearerToken == "" {
			return err
		}
		if t.last == "" {
			t.last = c.BearerToken
		}
		c.BearerToken, c.BearerTokenFile = "", ""
		c.Wrap(func(rt http.RoundTripper) http.RoundTripper { t.next = rt; return t })
	}
	d := &dialer{config: rest.CopyConfig(c)}
	settled, err := d.tls()
	if err != nil {
		return err
	}
	// Without TLS settings client-go would take a host that names no scheme for HTTP.
	host, _, err := rest.DefaultServerUrlFor(c)
	if err != nil {
		return err
	}
	c.Host = host.String()
	proxy := c.Proxy
	if proxy == nil {
		proxy = http.ProxyFromEnvironment
	}
	c.Transport = &http.Transport{
		Proxy: proxy, DialContext: d.tcp.DialContext, DialTLSContext: d.dial,
		TLSClientConfig: settled, // beyond a proxy, where DialTLSContext is not asked
		// One watch for each object, and one connection for all else.
		MaxIdleConnsPerHost: 2, IdleConnTimeout: idleFor, TLSHandshakeTimeout: handshakeFor,
		ReadBufferSize: 4 << 10, WriteBufferSize: 4 << 10,
	}
	c.TLSClientConfig, c.NextProtos, c.Proxy = rest.TLSClientConfig{}, nil, nil
	return nil
}

// tokenFile sends the token that its file holds when a request is made, or the
// last one read if the file cannot be read just then.
type tokenFile struct {
	path string
	next http.RoundTripper

	mu   sync.Mutex
	last string
}

func (t *tokenFile) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := t.read()
	if token == "" {
		return nil, err
	}
	r = r.Clone(r.Context()) // a RoundTripper must not change the caller's
	r.Header.Set("Authorization", "Bearer "+token)
	return t.next.RoundTrip(r)
}

func (t *tokenFile) read() (string, error) {
	raw, err := os.ReadFile(t.path)
	token := strings.TrimSpace(string(raw))
	if err == nil && token == "" {
		err = errors.New("it is empty")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		return t.last, fmt.Errorf("read token file %s: %w", t.path, err)
	}
	t.last = token
	return token, nil
}

// dialer begins each connection with the CA and the client certificate that the
// files hold at that time, or with the last ones that could be loaded.
type dialer struct {
	config *rest.Config
	tcp    net.Dialer

	mu   sync.Mutex
	last *tls.Config
}

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	settings, err := d.tls()
	if settings == nil {
		return nil, err
	}
	settings = settings.Clone()
	if settings.ServerName == "" {
		if settings.ServerName, _, err = net.SplitHostPort(address); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, dialFor+handshakeFor)
	defer cancel()
	return (&tls.Dialer{NetDialer: &d.tcp, Config: settings}).DialContext(ctx, network, address)
}

func (d *dialer) tls() (*tls.Config, error) {
	loaded, err := rest.TLSConfigFor(rest.CopyConfig(d.config)) // loading fills in what it is given
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		return d.last, fmt.Errorf("load the credentials for %s: %w", d.config.Host, err)
	}
	d.last = loaded
	return loaded, nil
}

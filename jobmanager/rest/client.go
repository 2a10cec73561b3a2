// Package rest asks a JobManager over its REST API. Every question has a small
// bound, and nobody is believed whose certificate does not verify.
package rest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	"go.uber.org/zap"
)

const (
	// attempts is how often a question is put whose connection fails. An answer
	// is never asked for again, whatever it says.
	attempts = 2
	// attemptFor bounds one attempt where the caller's context does not.
	attemptFor = time.Second
	waitMin    = 20 * time.Millisecond
	waitMax    = 100 * time.Millisecond
	// maxAnswer bounds what is read of an answer.
	maxAnswer = 256 << 10
)

// Client asks one JobManager after the other; it keeps no connections.
type Client struct{ http *retryablehttp.Client }

// New returns a client that trusts roots where a JobManager speaks TLS; the
// system's if nil. There is no way to make it trust anything else.
func New(roots *x509.CertPool, log *zap.Logger) *Client {
	c := retryablehttp.NewClient()
	c.HTTPClient = &http.Client{
		Timeout: attemptFor,
		Transport: &http.Transport{
			// No proxy: the JobManager is in this very pod.
			Proxy:                  nil,
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	c.RetryMax, c.RetryWaitMin, c.RetryWaitMax = attempts-1, waitMin, waitMax
	c.CheckRetry = func(ctx context.Context, _ *http.Response, err error) (bool, error) {
		return err != nil && ctx.Err() == nil && !Answered(err), nil
	}
	c.ErrorHandler = retryablehttp.PassthroughErrorHandler
	c.Logger = leveled{log}
	return &Client{http: c}
}

// StatusError is an answer other than 200.
type StatusError struct{ Status string }

func (e *StatusError) Error() string { return "it answers " + e.Status }

// Get reads the document at base+path into out. Where Answered holds for the
// error, somebody is there all the same.
func (c *Client) Get(ctx context.Context, base, path string, out any) error {
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(base, "/")+path, nil)
	if err != nil {
		return fmt.Errorf("ask the JobManager: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask the JobManager: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return &StatusError{res.Status}
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(out); err != nil {
		return fmt.Errorf("read the JobManager's answer: %w", &answeredError{err})
	}
	return nil
}

// Config is what /config of Flink 1.18 to 2.3 tells, as far as it is used.
type Config struct {
	Version string `json:"flink-version"`
}

// Config asks for /config, which the REST endpoint answers out of its own memory.
// A standby answers as well, with 503 while nobody leads.
func (c *Client) Config(ctx context.Context, base string) (Config, error) {
	var config Config
	err := c.Get(ctx, base, "/config", &config)
	return config, err
}

// answeredError is trouble with an answer that has come.
type answeredError struct{ error }

func (e *answeredError) Unwrap() error { return e.error }

// Answered reports whether err came from somebody at the other end who lives: an
// answer that is no use, a certificate that does not verify, a connection that was
// closed. The kernel alone refuses connections, and completes those to a process
// that is stopped; then nothing comes.
func Answered(err error) bool {
	var status *StatusError
	var read *answeredError
	if err == nil || errors.As(err, &status) || errors.As(err, &read) {
		return true
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	var network net.Error
	if errors.As(err, &network) && network.Timeout() {
		return false
	}
	var op *net.OpError
	return !errors.As(err, &op) || op.Op != "dial"
}

// leveled gives the library's messages to zap: they are all details of an outcome
// that the caller hears of.
type leveled struct{ log *zap.Logger }

func (l leveled) Error(msg string, pairs ...any) { l.log.Sugar().Debugw(msg, pairs...) }
func (l leveled) Info(msg string, pairs ...any)  { l.log.Sugar().Debugw(msg, pairs...) }
func (l leveled) Debug(msg string, pairs ...any) { l.log.Sugar().Debugw(msg, pairs...) }
func (l leveled) Warn(msg string, pairs ...any)  { l.log.Sugar().Debugw(msg, pairs...) }

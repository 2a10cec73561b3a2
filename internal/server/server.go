// Package server composes the sidecar's one network port. Everything on it is
// read-only.
package server

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"flink-ha-sidecar/discovery"
	"flink-ha-sidecar/health"
	"flink-ha-sidecar/internal/status"
)

// Server serves the probes, /v1/status, followers and /metrics.
type Server struct {
	listener net.Listener
	http     *http.Server
}

// Options say what is served and where.
type Options struct {
	// Address is host:port.
	Address string
	// Certificate is asked at each handshake; nil for plain HTTP.
	Certificate func() (*tls.Certificate, error)
	Health      func() health.Inputs
	Document    func() status.Document
	Metrics     prometheus.Gatherer
	// Followers, if not nil, serves those who wait for the next leader; as many as it
	// takes may be connected beside all others.
	Followers *discovery.Handler
}

// Listen opens the port, so that a busy one is told before anything runs.
func Listen(o Options) (*Server, error) {
	l, err := net.Listen("tcp", o.Address)
	if err != nil {
		return nil, fmt.Errorf("listen for probes and metrics: %w (--listen takes another address)", err)
	}
	l = limit(l, maxConnections+o.followers(), maxFromOne)
	if o.Certificate != nil {
		l = tls.NewListener(l, &tls.Config{
			MinVersion:     tls.VersionTLS12,
			NextProtos:     []string{"http/1.1"},
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return o.Certificate() },
		})
	}
	s := &Server{listener: l, http: &http.Server{
		Handler:           o.routes(),
		ReadHeaderTimeout: 2 * time.Second,
		ReadTimeout:       5 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       30 * time.Second,
		MaxHeaderBytes:    8 << 10,
	}}
	if o.Followers != nil { // they are let go before the server ends
		s.http.RegisterOnShutdown(o.Followers.Feed.Close)
	}
	return s, nil
}

// followers is how many connections they may need.
func (o Options) followers() int {
	if o.Followers == nil {
		return 0
	}
	return o.Followers.Limit()
}

func (o Options) routes() http.Handler {
	mux := http.NewServeMux()
	for path, probe := range map[string]health.Probe{
		"/startupz": health.Started, "/livez": health.Live, "/readyz": health.Ready,
		"/leader": health.Leader, "/standby": health.Standby,
	} {
		mux.Handle(path, health.Handler(o.Health, probe))
	}
	mux.Handle("GET "+status.Path, Status(o.Document))
	if o.Followers != nil {
		o.Followers.Register(mux.Handle)
	}
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.Metrics, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 5 * time.Second}))
	return mux
}

// Status serves the status document.
func Status(document func() status.Document) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		json.NewEncoder(w).Encode(document()) //nolint:errcheck // who asked has gone, nobody to tell
	})
}

// Address is where it listens.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Run serves until ctx is done; it never waits longer than a second for
// requests that are still being answered.
func (s *Server) Run(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- s.http.Serve(s.listener) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve probes and metrics: %w", err)
	case <-ctx.Done():
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := s.http.Shutdown(bounded); err != nil {
		s.http.Close() // on the way out, and Shutdown has closed what could be
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve probes and metrics: %w", err)
	}
	return nil
}

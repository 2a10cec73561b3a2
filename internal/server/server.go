// Package server composes the sidecar's one network port. Everything on it is
// read-only.
package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"flink-ha-sidecar/health"
	"flink-ha-sidecar/internal/status"
)

// Server serves /startupz, /livez, /readyz, /v1/status and /metrics.
type Server struct {
	listener net.Listener
	http     *http.Server
}

// Listen opens the port, so that a busy one is told before anything runs.
func Listen(address string, inputs func() health.Inputs, document func() status.Document, metrics prometheus.Gatherer) (*Server, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for probes and metrics: %w (--listen takes another address)", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/startupz", health.Handler(inputs, health.Started))
	mux.Handle("/livez", health.Handler(inputs, health.Live))
	mux.Handle("/readyz", health.Handler(inputs, health.Ready))
	mux.HandleFunc("GET "+status.Path, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		json.NewEncoder(w).Encode(document()) //nolint:errcheck // who asked has gone, nobody to tell
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 5 * time.Second}))
	return &Server{listener: l, http: &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 2 * time.Second,
		ReadTimeout:       5 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    8 << 10,
	}}, nil
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

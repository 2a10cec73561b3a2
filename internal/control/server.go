// Package control is the pod's own socket: what may be asked of a sidecar from
// within its pod, over HTTP on a unix socket. Everybody in the pod may ask what
// only reads; what changes something is for this sidecar's user and root.
package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// DefaultPath is in an emptyDir that the pod's containers share.
	DefaultPath = "/run/flink-ha/control.sock"
	// maxBody bounds a request.
	maxBody = 64 << 10
	// maxPath is the size of sockaddr_un.sun_path with its final zero.
	maxPath = 107
)

// Server is the socket. Handle what is to be answered before Run.
type Server struct {
	path     string
	listener net.Listener
	mux      *http.ServeMux
	uid      uint32
}

// Listen makes the socket, and its folder if that is missing. A socket that nobody
// listens at any more is replaced; one that somebody does is an error.
func Listen(path string) (*Server, error) {
	if len(path) > maxPath {
		return nil, fmt.Errorf("listen at %s: a socket's path has at most %d bytes, this one has %d", path, maxPath, len(path))
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
	// The JobManager's container may run as another user: who may do what is
	// settled by the peer's identity, not by the file's mode.
	if err := os.Chmod(path, 0o666); err != nil {
		return nil, errors.Join(fmt.Errorf("listen at %s: %w", path, err), l.Close())
	}
	return &Server{path: path, listener: l, mux: http.NewServeMux(), uid: uint32(os.Geteuid())}, nil
}

// removeStale removes what a sidecar that was killed has left.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("listen at %s: %w", path, err)
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("listen at %s: there is a file that is no socket", path)
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		conn.Close()
		return fmt.Errorf("listen at %s: another sidecar listens there", path)
	}
	if !errors.Is(err, unix.ECONNREFUSED) {
		return fmt.Errorf("listen at %s: %w", path, err)
	}
	return os.Remove(path)
}

// Path is where it listens.
func (s *Server) Path() string { return s.path }

// Handle answers pattern (as http.ServeMux has it) for everybody in the pod. It is
// for what only reads.
func (s *Server) Handle(pattern string, h http.Handler) { s.mux.Handle(pattern, h) }

// HandleOwn answers pattern for peers that run as this process's user or as root,
// and 403 for others. It is for what changes something.
func (s *Server) HandleOwn(pattern string, h http.Handler) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		peer, known := r.Context().Value(peerKey{}).(unix.Ucred)
		if !known || peer.Uid != s.uid && peer.Uid != 0 {
			http.Error(w, fmt.Sprintf("this is for user %d, as which the sidecar runs, and root; the caller is user %d", s.uid, peer.Uid), http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

type peerKey struct{}

// withPeer notes who is at the other end, by the kernel's word (SO_PEERCRED).
func withPeer(ctx context.Context, conn net.Conn) context.Context {
	u, ok := conn.(*net.UnixConn)
	if !ok {
		return ctx
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return ctx
	}
	var peer *unix.Ucred
	if err := raw.Control(func(fd uintptr) {
		peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil || peer == nil {
		return ctx
	}
	return context.WithValue(ctx, peerKey{}, *peer)
}

// Run answers until ctx is done, and removes the socket.
func (s *Server) Run(ctx context.Context) error {
	h := &http.Server{
		Handler:           http.MaxBytesHandler(s.mux, maxBody),
		ConnContext:       withPeer,
		ReadHeaderTimeout: 2 * time.Second,
		ReadTimeout:       5 * time.Second,
		IdleTimeout:       5 * time.Second,
		MaxHeaderBytes:    8 << 10,
	}
	done := make(chan error, 1)
	go func() { done <- h.Serve(s.listener) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve %s: %w", s.path, err)
	case <-ctx.Done():
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := h.Shutdown(bounded); err != nil {
		h.Close() // on the way out, and Shutdown has closed what could be
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", s.path, err)
	}
	return nil
}

// Close gives the socket back where Run was never called.
func (s *Server) Close() error { return s.listener.Close() }

// Answer writes v as the JSON of an answer.
func Answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v) //nolint:errcheck // who asked has gone, nobody to tell
}

package follow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"time"

	"go.uber.org/zap"

	"flink-ha-sidecar/discovery"
)

// Output does something with what a follower is told.
type Output interface {
	// Tell must not block; Run works until ctx is done.
	Tell(Told)
	Run(ctx context.Context) error
}

// output is a worker as an Output.
type output struct{ worker }

func (o *output) Tell(t Told) { o.tell(t) }

func (o *output) Run(ctx context.Context) error {
	o.run(ctx)
	return nil
}

// NewFile keeps the address in a file, which is replaced as a whole. While none is
// known there is no file.
func NewFile(path, format string, log *zap.Logger) Output {
	return &output{worker{last: true, do: func(_ context.Context, t Told) {
		if err := writeFile(path, format, t); err != nil {
			log.Error("the leader's address is not in the file", zap.Error(err))
		}
	}}}
}

func writeFile(path, format string, t Told) error {
	if !t.Known {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	text, err := Write(t.Leader, format)
	if err != nil {
		return err
	}
	return discovery.ReplaceFile(path, []byte(text))
}

// NewLines writes a line for each change; an empty one when no address is known.
func NewLines(w io.Writer, format string) Output {
	return &output{worker{last: true, do: func(_ context.Context, t Told) {
		text := "\n"
		if t.Known {
			text, _ = Write(t.Leader, format) // the format was checked
		}
		fmt.Fprint(w, text)
	}}}
}

// endWithin is how long a command may go on when the follower ends.
const endWithin = 5 * time.Second

// NewExec runs a command line with /bin/sh for each change, with Variables in its
// environment. Two are never run at once: of the changes that come meanwhile the
// newest is run after it.
func NewExec(line string, stdout, stderr io.Writer, log *zap.Logger) Output {
	return &output{worker{do: func(ctx context.Context, t Told) {
		cmd := exec.CommandContext(ctx, "/bin/sh", "-c", line)
		cmd.Env = append(os.Environ(), Variables(t.Leader)...)
		cmd.Stdout, cmd.Stderr = stdout, stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
		cmd.WaitDelay = endWithin
		if err := cmd.Run(); err != nil && ctx.Err() == nil {
			log.Warn("the command for a change has failed", zap.Error(err))
		}
	}}}
}

// Server serves what is known at discovery's paths, to other processes of the pod.
type Server struct {
	listener net.Listener
	feed     *discovery.Feed
	http     *http.Server
}

// NewServer listens, so that a busy port is told before anything runs.
func NewServer(address string) (*Server, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for followers: %w", err)
	}
	s := &Server{listener: l, feed: discovery.NewFeed()}
	mux := http.NewServeMux()
	(&discovery.Handler{Feed: s.feed}).Register(mux.Handle)
	s.http = &http.Server{
		Handler: mux, ReadHeaderTimeout: 2 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 8 << 10,
	}
	s.http.RegisterOnShutdown(s.feed.Close)
	return s, nil
}

// Address is where it listens.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Tell hands on what is known.
func (s *Server) Tell(t Told) {
	s.feed.Tell(discovery.State{Leader: t.Leader, Reason: t.Reason, Out: t.Out})
}

// Run serves until ctx is done.
func (s *Server) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() {
		s.feed.Close()
		s.http.Close() // its streams have ended
	})()
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve followers: %w", err)
	}
	return nil
}

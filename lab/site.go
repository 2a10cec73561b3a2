package lab

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// site is where processes start: one thread of this program that stands in the
// namespaces its children are to live in. It is kept for as long as they live,
// since the kernel sends a child its death signal when the thread that started
// it ends, not the process, and Go ends threads at will.
type site struct {
	requests chan func()
	network  *os.File // the network namespace, nil for this program's own
}

// namespace is one that a site enters: a file below /proc/PID/ns or /run/netns,
// and the kind that it must be of.
type namespace struct {
	path string
	kind int
}

// here is this machine as it is.
var here = sync.OnceValue(func() *site {
	s, err := newSite()
	if err != nil {
		panic(err) // nothing to enter, nothing to fail
	}
	return s
})

// newSite enters namespaces, in the order given. A PID namespace is that of the
// children alone.
func newSite(namespaces ...namespace) (*site, error) {
	s := &site{requests: make(chan func())}
	entered := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: nobody else could use this thread
		err := s.enter(namespaces)
		entered <- err
		if err != nil {
			return
		}
		for f := range s.requests {
			f()
		}
	}()
	if err := <-entered; err != nil {
		return nil, err
	}
	return s, nil
}

func (s *site) enter(namespaces []namespace) error {
	for _, n := range namespaces {
		file, err := os.Open(n.path)
		if err != nil {
			return fmt.Errorf("enter namespace: %w", err)
		}
		if n.kind == unix.CLONE_NEWNS {
			// Threads share root and working directory, and with those nobody may
			// change its mounts (setns(2)).
			if err := unix.Unshare(unix.CLONE_FS); err != nil {
				return fmt.Errorf("enter namespace: %w", err)
			}
		}
		if err := unix.Setns(int(file.Fd()), n.kind); err != nil {
			return fmt.Errorf("enter namespace %s: %w", n.path, err)
		}
		if n.kind == unix.CLONE_NEWNET {
			s.network = file
			continue
		}
		file.Close()
	}
	return nil
}

// start starts a command there.
func (s *site) start(cmd *exec.Cmd) error {
	result := make(chan error, 1)
	s.requests <- func() { result <- cmd.Start() }
	return <-result
}

// run runs a short command there to its end; an error has its last words.
func (s *site) run(ctx context.Context, name string, args ...string) error {
	_, err := s.output(ctx, name, args...)
	return err
}

func (s *site) output(ctx context.Context, name string, args ...string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", err
	}
	var text bytes.Buffer
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdout, cmd.Stderr = &text, &text
	if err := s.start(cmd); err != nil {
		return "", fmt.Errorf("run %s: %w", name, err)
	}
	if err := cmd.Wait(); err != nil {
		return "", fmt.Errorf("run %s %v: %w\n%s", name, args, err, lastLines(text.String(), 10))
	}
	return text.String(), nil
}

// dial connects from there. A socket belongs to the network namespace that it
// was made in, wherever it is used later.
func (s *site) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var dialer net.Dialer
	if s == nil || s.network == nil {
		return dialer.DialContext(ctx, network, address)
	}
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() {
		runtime.LockOSThread() // the thread ends with this goroutine
		if err := unix.Setns(int(s.network.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- result{err: fmt.Errorf("enter network namespace: %w", err)}
			return
		}
		conn, err := dialer.DialContext(ctx, network, address)
		done <- result{conn, err}
	}()
	r := <-done
	return r.conn, r.err
}

// close gives the namespaces up. The kernel kills what was started there.
func (s *site) close() {
	close(s.requests)
	if s.network != nil {
		s.network.Close()
	}
}

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"time"
)

// Process is one process of the lab, with its output in a file. It dies with
// this program, by SIGKILL from the kernel, however this program ends.
type Process struct {
	name string
	log  string
	cmd  *exec.Cmd
	done chan struct{}
	// startedAt is just before the process came to be.
	startedAt time.Time
	// killedAt is just before the first SIGKILL of this program; nil without one.
	killedAt atomic.Pointer[time.Time]

	// Both are written before done is closed and read after.
	endedAt time.Time
	err     error
}

// spec is what to start.
type spec struct {
	name string   // for people, and in errors
	path string   // the program
	args []string // without the program's name
	env  []string // added to this program's environment
	log  string   // file that gets both outputs, appended
	// site is where it starts, nil for this machine as it is; clone are further
	// namespaces that are made for it (CLONE_NEW...).
	site  *site
	clone uintptr
}

// start starts a process in a group of its own, so that a Ctrl-C on the
// terminal reaches this program alone and the lab ends its parts in order.
func start(s spec) (*Process, error) {
	out, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", s.name, err)
	}
	defer out.Close()
	cmd := exec.Command(s.path, s.args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append(os.Environ(), s.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Cloneflags: s.clone}
	if s.site == nil {
		// On a machine of the lab its first process has this signal, and takes all
		// others with it; there a child could not tell that its parent still lives.
		s.site, cmd.SysProcAttr.Pdeathsig = here(), syscall.SIGKILL
	}
	p := &Process{name: s.name, log: s.log, cmd: cmd, done: make(chan struct{}), startedAt: time.Now()}
	if err := s.site.start(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", s.name, err)
	}
	go p.wait()
	return p, nil
}

// wait reaps the process; it ends with it.
func (p *Process) wait() {
	err := p.cmd.Wait()
	p.endedAt, p.err = time.Now(), err
	// What it may have started itself goes too.
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	close(p.done)
}

// PID is the process ID.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Name is the process's name for people, as in "jobmanager-1".
func (p *Process) Name() string { return p.name }

// Log is the path of the file with the process's output.
func (p *Process) Log() string { return p.log }

// Done is closed when the process has ended and been reaped.
func (p *Process) Done() <-chan struct{} { return p.done }

// Alive tells whether the process has not ended yet; a stopped one is alive.
func (p *Process) Alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// EndedAt is when the end of the process was seen, zero while it is alive.
func (p *Process) EndedAt() time.Time {
	if p.Alive() {
		return time.Time{}
	}
	return p.endedAt
}

// Signal sends a signal and returns the time just before it was sent. Signalling
// a process that has ended is an error, [os.ErrProcessDone]; no other process is
// ever hit, since the kernel is told by pidfd.
func (p *Process) Signal(s syscall.Signal) (time.Time, error) {
	at := time.Now()
	if s == syscall.SIGKILL {
		p.killedAt.CompareAndSwap(nil, &at)
	}
	if err := p.cmd.Process.Signal(s); err != nil {
		return at, fmt.Errorf("signal %s: %w", p.name, err)
	}
	return at, nil
}

// Wait waits for the end of the process and returns its exit status as
// [exec.Cmd.Wait] does, or ctx's error if that is done first.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return fmt.Errorf("wait for the end of %s: %w", p.name, ctx.Err())
	}
}

// Kill sends SIGKILL and waits until the process is gone.
func (p *Process) Kill() {
	if p == nil {
		return
	}
	_, _ = p.Signal(syscall.SIGKILL)
	<-p.done
}

// Stop sends SIGTERM, and SIGKILL after grace; it returns when the process is gone.
func (p *Process) Stop(grace time.Duration) {
	if p == nil {
		return
	}
	if _, err := p.Signal(syscall.SIGTERM); err == nil {
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-p.done:
			return
		case <-timer.C:
		}
	}
	p.Kill()
}

// ExitCode is the status the process ended with: -1 while it is alive and if a
// signal ended it.
func (p *Process) ExitCode() int {
	var exit *exec.ExitError
	switch {
	case p.Alive():
		return -1
	case errors.As(p.err, &exit):
		return exit.ExitCode()
	case p.err != nil:
		return -1
	}
	return 0
}

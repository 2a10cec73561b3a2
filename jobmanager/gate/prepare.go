package gate

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Runner runs a program to its end and returns what it has written to its standard
// output. Only the keeper may start programs, since it collects all that end.
type Runner func(ctx context.Context, argv, env []string) (output []byte, err error)

// maxOutput bounds what is taken of a program's output.
const maxOutput = 64 << 10

// helper is a program that a preparation runs.
type helper struct {
	argv, env []string
	stdout    *os.File
	started   chan error // its PID, or why not
	pid       int
	ended     chan unix.WaitStatus
}

// prepare finds out in the background what the next command is started with.
func (k *keeper) prepare() {
	ctx, cancel := context.WithCancel(context.Background())
	k.abandon = cancel
	k.preparation++
	p := prepared{number: k.preparation, command: k.Command, env: k.Env}
	go func() {
		defer cancel()
		if k.Prepare != nil {
			p.command, p.env, p.err = k.Prepare(ctx, k.runHelper)
		}
		select {
		case k.prepared <- p:
		case <-ctx.Done(): // nobody waits for it any more
		}
	}()
}

// ready takes the result of a preparation.
func (k *keeper) ready(p prepared) Event {
	if k.state.Phase() != Preparing || p.number != k.preparation {
		return Event{} // abandoned as it was being sent
	}
	if p.err != nil {
		k.failed, k.code = p.err, 1
		return Event{Kind: Leave}
	}
	k.next = p
	return Event{Kind: Prepared}
}

// runHelper is the keeper's Runner; it is called by a preparation.
func (k *keeper) runHelper(ctx context.Context, argv, env []string) ([]byte, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", argv[0], err)
	}
	defer r.Close()
	h := &helper{argv: argv, env: env, stdout: w, started: make(chan error, 1), ended: make(chan unix.WaitStatus, 1)}
	select {
	case k.helpers <- h:
	case <-ctx.Done():
		w.Close()
		return nil, ctx.Err()
	}
	if err := <-h.started; err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() {
		_ = unix.Kill(-h.pid, unix.SIGKILL)
		_ = r.SetReadDeadline(time.Now())
	})
	defer stop()
	var output bytes.Buffer
	_, err = io.Copy(&output, io.LimitReader(r, maxOutput))
	var status unix.WaitStatus
	select {
	case status = <-h.ended:
	case <-ctx.Done():
	}
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("run %s: %w", argv[0], context.Cause(ctx))
	case err != nil:
		return nil, fmt.Errorf("run %s: %w", argv[0], err)
	case exitCode(status) != 0:
		return nil, fmt.Errorf("run %s: it ended with status %d", argv[0], exitCode(status))
	}
	return output.Bytes(), nil
}

// startHelper starts a program that a preparation has asked for.
func (k *keeper) startHelper(h *helper) {
	defer h.stdout.Close()
	pid, err := syscall.ForkExec(h.argv[0], h.argv, &syscall.ProcAttr{
		Env:   h.env,
		Files: []uintptr{0, h.stdout.Fd(), 2},
		Sys:   &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		h.started <- fmt.Errorf("start %s: %w", h.argv[0], err)
		return
	}
	if k.helper == nil {
		k.helper = map[int]*helper{}
	}
	k.helper[pid], h.pid = h, pid
	h.started <- nil
}

package gate

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// Child is the command as its parent knows it.
type Child struct {
	// Number counts the commands of this gate from 1.
	Number int
	PID    int
	// Epoch is that of the permit under which it was started.
	Epoch string
	// Started is just before it came to be; EndedAt is when the kernel had said that
	// it and all that it had started are gone.
	Started, EndedAt Instant
	Ended            bool
	// Exit is its status as a shell tells it: 128 and the signal's number if a
	// signal ended it.
	Exit int
}

// Statuses with which a shell says that a command could not be started.
const (
	cannotExecute = 126
	notFound      = 127
)

// command is the process, and what is left of it.
type command struct {
	Child
	reaped bool // the process itself; others of its tree may still live
}

// startCommand starts argv in a process group of its own. It is killed by the kernel
// when this thread ends.
func startCommand(argv, env []string) (*command, error) {
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return nil, fmt.Errorf("start the command: %w", err)
	}
	c := &command{Child: Child{Started: Now()}}
	c.PID, err = syscall.ForkExec(path, argv, &syscall.ProcAttr{
		Env:   env,
		Files: []uintptr{0, 1, 2},
		Sys:   &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	return c, nil
}

// signal reaches the process group, since a shell passes nothing on to what it has
// started. A group outlives its first process under the same number only while that
// is not reaped; later nothing is sent.
func (c *command) signal(s syscall.Signal) {
	if c != nil && !c.reaped {
		_ = unix.Kill(-c.PID, s) // it is ours and not reaped: no error is possible
	}
}

// kill ends the command and all that it has started, as far as that is there now.
func (c *command) kill(log *zap.Logger) {
	c.signal(unix.SIGKILL)
	if _, err := killBelow(os.Getpid()); err != nil {
		log.Error("end what the command has started", zap.Error(err))
	}
}

package gate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// scanAgain is how often the guard looks for what the command may have left while
// its time is over.
const scanAgain = 20 * 1000 * 1000 // ns

// forwarded are the signals that are passed on: those that end a program or that
// programs give a meaning of their own.
var forwarded = []os.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH}

// Guard is the outer process of a gate. It starts this program with args as its keeper,
// which has to call [Keep], and returns the keeper's exit status when that and all that it has started
// have ended. ctx done at the begin says that it has been told to end already.
func Guard(ctx context.Context, args []string, log *zap.Logger) (status int, err error) {
	// The death signal of a child is sent when the thread that made it ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	g := guard{log: log, signals: make(chan os.Signal, 16), ended: make(chan os.Signal, 1)}
	signal.Notify(g.signals, forwarded...)
	defer signal.Stop(g.signals)
	signal.Notify(g.ended, unix.SIGCHLD)
	defer signal.Stop(g.ended)
	defer ignoreBrokenPipes()()
	if err := becomeSubreaper(); err != nil {
		return 0, err
	}
	if g.link, err = newLink(); err != nil {
		return 0, err
	}
	defer g.link.close()
	if g.alarm, err = newAlarm(); err != nil {
		return 0, err
	}
	defer g.alarm.close()
	go g.alarm.run()
	if ctx.Err() != nil {
		return 0, nil
	}
	if err := g.start(args); err != nil {
		return 0, err
	}
	go g.link.run()
	return g.watch()
}

// ignoreBrokenPipes keeps a reader of the log that has gone from ending the gate, and
// the JobManager with it. An ignored signal would stay ignored in the command, so it
// is caught. It returns what undoes it.
func ignoreBrokenPipes() func() {
	pipes := make(chan os.Signal, 1) // never read: more of them are dropped
	signal.Notify(pipes, unix.SIGPIPE)
	return func() { signal.Stop(pipes) }
}

type guard struct {
	link           *link
	alarm          *alarm
	signals, ended chan os.Signal
	keeper         int // PID
	log            *zap.Logger
}

// start starts the keeper. Its death signal is no kill: it has to end what it has
// started first, and where it is stopped it must be continued for that.
func (g *guard) start(args []string) error {
	// By argv[0] processes of this project are told from JobManagers.
	argv := append([]string{os.Args[0]}, args...)
	pid, err := syscall.ForkExec("/proc/self/exe", argv, &syscall.ProcAttr{
		Env:   os.Environ(),
		Files: []uintptr{0, 1, 2, g.link.memory.Fd(), g.link.peer.Fd()},
		Sys:   &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGCONT},
	})
	if err != nil {
		return fmt.Errorf("start the gate's keeper: %w", err)
	}
	g.keeper = pid
	return g.link.peer.Close()
}

// watch returns when nothing is left.
func (g *guard) watch() (status int, err error) {
	for {
		// What has ended, and the time, come before all else.
		ended, code, left := g.reap()
		if ended {
			status = code
			if left {
				g.log.Error("the gate's keeper has ended before its command: SIGKILL", zap.Int("status", code))
			}
			return status, g.killAll()
		}
		if err := g.enforce(); err != nil {
			g.log.Error("enforce the permit's end", zap.Error(err))
		}
		select {
		case s := <-g.signals:
			if n, ok := s.(syscall.Signal); ok {
				_ = unix.Kill(g.keeper, n) // not reaped, so it is nobody else's PID
			}
		case <-g.ended:
		case <-g.alarm.C:
		case _, open := <-g.link.C:
			if !open {
				g.link.C = nil // the keeper ends; SIGCHLD follows
			}
		}
	}
}

// reap collects what has ended, and says whether the keeper was among it.
func (g *guard) reap() (keeper bool, code int, left bool) {
	for {
		pid, status, more := reap()
		if pid == 0 {
			return keeper, code, more
		}
		if pid == g.keeper {
			keeper, code = true, exitCode(status)
		}
	}
}

// enforce kills the command, and not the keeper, once its time is over, and sets the
// alarm.
func (g *guard) enforce() error {
	at, now := g.link.killAt(), Now()
	if at == 0 || now < at {
		return g.alarm.set(at)
	}
	found, err := killBelow(g.keeper)
	if found > 0 {
		g.log.Warn("the permit is over and its keeper has not acted: SIGKILL", zap.Int("processes", found))
	}
	return errors.Join(err, g.alarm.set(now+scanAgain))
}

// killAll kills all that descends from this process until the kernel says that
// nothing is left.
func (g *guard) killAll() error {
	for {
		if _, err := killBelow(os.Getpid()); err != nil {
			g.log.Error("end what the gate has started", zap.Error(err))
		}
		for {
			pid, _, left := reap()
			if !left {
				return nil
			}
			if pid == 0 {
				break
			}
		}
		if err := g.alarm.set(Now() + killAgain); err != nil {
			return err
		}
		select {
		case <-g.ended:
		case <-g.alarm.C:
		}
	}
}

package gate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// Request is what a gate says of itself when it asks for a permit.
type Request struct {
	// Gate is this gate's name, drawn at its start.
	Gate    string
	Observe bool
	// Child is the command that was started last; nil before the first.
	Child *Child
}

// Answer is a permit whose times count from the moment at which the gate began to
// ask.
type Answer struct {
	Run        bool
	Epoch      string
	Stop, Kill time.Duration
	Reason     string
}

// Config is what a keeper needs.
type Config struct {
	// Command is what to run: the program and its arguments.
	Command []string
	Env     []string
	// Name is this gate's own.
	Name string
	// Observe: the command runs without a permit.
	Observe bool
	// Ask asks for a permit; ctx bounds it.
	Ask func(ctx context.Context, r Request) (Answer, error)
	// Prepare, if not nil, is called before each start, with ctx done when the start
	// is off, and returns what to start in place of Command and Env. Its error ends
	// the gate: the command must then not be started at all.
	Prepare func(ctx context.Context, run Runner) (command, env []string, err error)
	Log     *zap.Logger
}

// Timing of the questions.
const (
	// askWaiting and askRunning are how long after an answer the next question
	// follows.
	askWaiting = 100 * time.Millisecond
	askRunning = 250 * time.Millisecond
	// askFor bounds one question.
	askFor = time.Second
	// reportFor bounds how long the gate stays to tell of the command's end.
	reportFor = 2 * time.Second
)

// Keep is the inner process of a gate, started by [Guard]. It returns the exit status
// for the gate: the command's own, 0 if it was told to end while there was none.
// ctx is done when the gate was told to end.
func Keep(ctx context.Context, c Config) (status int, err error) {
	// The command is killed by the kernel when the thread that made it ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	k := keeper{
		Config: c, state: NewState(c.Observe),
		signals: make(chan os.Signal, 16), sigchld: make(chan os.Signal, 1),
		answers: make(chan answer, 1), prepared: make(chan prepared), helpers: make(chan *helper),
	}
	if k.link, err = keeperLink(); err != nil {
		return 0, err
	}
	defer k.link.close()
	signal.Notify(k.signals, forwarded...)
	defer signal.Stop(k.signals)
	signal.Notify(k.sigchld, unix.SIGCHLD)
	defer signal.Stop(k.sigchld)
	defer ignoreBrokenPipes()()
	if err := becomeSubreaper(); err != nil {
		return 0, err
	}
	if k.alarm, err = newAlarm(); err != nil {
		return 0, err
	}
	defer k.alarm.close()
	go k.alarm.run()
	go k.link.run()
	return k.run(ctx.Done())
}

// keeper is one goroutine, which owns all of this. Questions and preparations are
// others, which only send what they have found out.
type keeper struct {
	Config
	state   State
	link    *link
	alarm   *alarm
	signals chan os.Signal
	sigchld chan os.Signal

	answers     chan answer
	asking      context.CancelFunc // of the question on its way; nil: none is
	askAt       Instant            // when to ask next, if none is on its way
	told        bool               // an answer to the end of the present child has come
	trouble     string             // what was last logged about permits
	prepared    chan prepared
	abandon     context.CancelFunc // of the preparation under way
	preparation int
	helpers     chan *helper // programs that the preparation wants to have run
	helper      map[int]*helper

	child  *command
	next   prepared // what the next command is started with
	failed error    // ends the gate
	code   int      // exit status where there was no command
	leave  Instant  // by when to end, told or not
}

// answer is what came of a question.
type answer struct {
	permit Permit
	err    error
	ended  bool // the end of the present child was in the question
}

// prepared is what came of a preparation.
type prepared struct {
	number       int
	command, env []string
	err          error
}

// run is the loop. Whatever wakes it, the clock is looked at first.
func (k *keeper) run(told <-chan struct{}) (int, error) {
	k.ask()
	for {
		if err := k.alarm.set(k.wake()); err != nil {
			return 0, k.endAll(err)
		}
		var e Event
		select {
		case <-k.alarm.C:
		case <-k.sigchld:
			e = k.reap()
		case s := <-k.signals:
			e = k.signalled(s)
		case <-told: // by a signal that came before this listened for them, or one of those
			told, e = nil, Event{Kind: Leave}
		case a := <-k.answers:
			e = k.answered(a)
		case p := <-k.prepared:
			e = k.ready(p)
		case h := <-k.helpers:
			k.startHelper(h)
		case _, open := <-k.link.C:
			if !open {
				return 0, k.endAll(errors.New("the gate's other process has ended"))
			}
		}
		if done := k.step(e); done {
			return k.code, k.failed
		}
	}
}

// wake is when to look at the clock again.
func (k *keeper) wake() Instant {
	at := k.state.Wake(Now())
	for _, other := range []Instant{k.askAt, k.leave} {
		if other != 0 && (at == 0 || other < at) {
			at = other
		}
	}
	return at
}

// step tells the state, and does what it says; true: the gate ends.
func (k *keeper) step(e Event) bool {
	for {
		was := k.state.Phase()
		var act Action
		k.state, act = k.state.Step(e, Now())
		// Before a start: the guard must know the time before there is a command.
		k.link.setKillAt(k.state.KillAt())
		switch act {
		case Prepare:
			k.prepare()
		case Abandon:
			k.abandon()
		case Start:
			e = k.start()
			continue
		case Terminate:
			k.Log.Warn("permit is over, JobManager gets SIGTERM", zap.String("reason", k.why()))
			k.child.signal(unix.SIGTERM)
		case Kill:
			if was != Killing {
				k.Log.Warn("time is over, JobManager gets SIGKILL", zap.String("reason", k.why()))
			}
			k.child.kill(k.Log)
		case Exit:
			return k.leaving()
		}
		if k.askAt != 0 && Now() >= k.askAt {
			k.ask()
		}
		return false
	}
}

// why says what was last heard of the permit.
func (k *keeper) why() string {
	if k.trouble != "" {
		return k.trouble
	}
	return "no newer permit was heard of in time"
}

// leaving says whether the gate may end: the sidecar has heard of the command's end,
// or had its time.
func (k *keeper) leaving() bool {
	if k.child == nil || k.told {
		return true
	}
	now := Now()
	if k.leave == 0 {
		k.leave = now.Add(reportFor)
	}
	if now >= k.leave {
		k.Log.Warn("the sidecar could not be told of the JobManager's end", zap.String("reason", k.trouble))
		return true
	}
	if k.askAt != 0 && now >= k.askAt {
		k.ask()
	}
	return false
}

// signalled passes a signal on, and notes that the gate is to end.
func (k *keeper) signalled(s os.Signal) Event {
	n, ok := s.(syscall.Signal)
	if !ok {
		return Event{}
	}
	if k.child != nil && !k.child.Ended {
		k.Log.Info("signal passed on to the JobManager", zap.String("signal", unix.SignalName(n)))
		k.child.signal(n)
	}
	if n == unix.SIGTERM || n == unix.SIGINT {
		return Event{Kind: Leave}
	}
	return Event{}
}

// start starts the command. What cannot be started has ended.
func (k *keeper) start() Event {
	number := 1
	if k.child != nil {
		number = k.child.Number + 1
	}
	child, err := startCommand(k.next.command, k.next.env)
	if err != nil {
		k.failed, k.code = err, cannotExecute
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
			k.code = notFound
		}
		k.child = nil
		return Event{Kind: Ended}
	}
	child.Number, child.Epoch = number, k.state.Epoch()
	k.child, k.told = child, false
	k.Log.Info("JobManager started", zap.Int("pid", child.PID), zap.Int("number", number), zap.String("epoch", child.Epoch))
	k.askNow()
	return Event{}
}

// reap collects what has ended. The command has when nothing is left of what it has
// started either.
func (k *keeper) reap() Event {
	for {
		pid, status, left := reap()
		switch {
		case pid != 0 && k.helper[pid] != nil:
			k.helper[pid].ended <- status
			delete(k.helper, pid)
		case pid != 0 && k.child != nil && pid == k.child.PID && !k.child.reaped:
			k.child.reaped, k.child.Exit = true, exitCode(status)
		case pid == 0 && k.child != nil && k.child.reaped && !k.child.Ended:
			if !left {
				return k.ended()
			}
			// SIGCHLD comes again for each that this ends.
			k.child.kill(k.Log)
			return Event{}
		case pid == 0:
			return Event{}
		}
	}
}

// ended notes the end of the command, and tells it at once.
func (k *keeper) ended() Event {
	k.child.Ended, k.child.EndedAt = true, Now()
	k.code = 0
	if k.state.Phase() == Running { // by itself
		k.code = k.child.Exit
	}
	k.Log.Info("JobManager ended", zap.Int("pid", k.child.PID), zap.Int("number", k.child.Number), zap.Int("status", k.child.Exit))
	k.askNow()
	return Event{Kind: Ended}
}

// endAll kills everything, for a gate that cannot go on.
func (k *keeper) endAll(why error) error {
	k.Log.Error("the gate ends, and its JobManager with it", zap.Error(why))
	for {
		k.child.kill(k.Log)
		for {
			pid, _, left := reap()
			if !left {
				return fmt.Errorf("the gate ends: %w", why)
			}
			if pid == 0 {
				break
			}
		}
		_ = k.alarm.set(Now() + killAgain) // only an alarm more or less
		select {
		case <-k.sigchld:
		case <-k.alarm.C:
		}
	}
}

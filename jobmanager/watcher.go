// Package jobmanager witnesses the life and the death of the JobManager process
// beside this sidecar.
//
// Promised: a death is reported only after the kernel said through a pidfd that
// exactly this process has ended, or that a process whose identity was recorded
// (boot, PID namespace, PID, start time) no longer exists. A stopped process, a
// PID that was used again, a command line that vanished are no deaths. The time
// of a death is never before the death.
//
// Not promised: that every short-lived process is seen, and anything about a
// process in a PID namespace that is not visible here.
package jobmanager

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"flink-ha-sidecar/leader"
)

// Options says which process is the JobManager.
type Options struct {
	// Match replaces Flink's entry-point classes: every value must be one whole
	// argument of the JobManager's command line. Empty means EntryPoints, any of
	// them. (--jobmanager-match)
	Match []string
	// PIDFile names a file that holds the JobManager's PID. Only that process
	// counts, and it has to match too. (--jobmanager-pid-file)
	PIDFile string

	// procRoot replaces /proc and kernel the system calls, for tests.
	procRoot string
	kernel   *kernel
	// forkGrace replaces the constant of that name, for tests.
	forkGrace time.Duration
}

// Watcher holds a pidfd on every JobManager process it has seen alive. Its
// methods may be called concurrently, also from the callbacks of Run.
type Watcher struct {
	opts      Options
	log       *zap.Logger
	match     matcher
	proc      procfs
	kernel    kernel
	forkGrace time.Duration
	self      int
	bootID    string
	namespace string
	wakeFD    int
	scanNow   chan struct{}
	notify    chan struct{}

	// looking is a mutex over one look at /proc that can be given up; buf belongs
	// to its owner.
	looking chan struct{}
	buf     []byte

	// mu covers the fields below, and the closing of their descriptors: a
	// descriptor is polled without waiting only under mu, so that it cannot be a
	// different one by then.
	mu       sync.Mutex
	handles  map[key]*handle
	deaths   []leader.Death
	evidence *leader.Evidence // not yet told
	last     *leader.Evidence // told or about to be
	closed   bool
}

var _ leader.Processes = (*Watcher)(nil)

// New prepares a Watcher; it starts nothing. It refuses a /proc that is missing
// or belongs to another PID namespace. Close gives its descriptors back.
func New(opts Options, log *zap.Logger) (*Watcher, error) {
	match, err := newMatcher(opts.Match)
	if err != nil {
		return nil, err
	}
	w := &Watcher{
		opts:      opts,
		log:       log,
		match:     match,
		proc:      procfs{root: orDefault(opts.procRoot, "/proc")},
		kernel:    linux(),
		forkGrace: forkGrace,
		self:      os.Getpid(),
		scanNow:   make(chan struct{}, 1),
		notify:    make(chan struct{}, 1),
		looking:   make(chan struct{}, 1),
		handles:   make(map[key]*handle),
	}
	if opts.kernel != nil {
		w.kernel = *opts.kernel
	}
	if opts.forkGrace != 0 {
		w.forkGrace = opts.forkGrace
	}
	if w.bootID, w.namespace, err = w.proc.identity(); err != nil {
		return nil, err
	}
	if w.wakeFD, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, fmt.Errorf("create eventfd: %w", err)
	}
	return w, nil
}

// Run watches until ctx is done and returns its cause; another error means that
// the kernel would not poll. It calls changed when the JobManager processes, or
// the reason why there is not exactly one, have changed (only the newest evidence
// waits for a busy receiver), and ended once for each process that was held and
// has ended (none is ever dropped). Both are called from one goroutine, a death
// before the evidence that follows from it. A slow callback delays what is told,
// not the times that stand in it.
func (w *Watcher) Run(ctx context.Context, changed func(leader.Evidence), ended func(leader.Death)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	group.Go(func() {
		if err := w.pollLoop(ctx); err != nil {
			cancel(err)
		}
	})
	group.Go(func() { w.scanLoop(ctx) })
	defer group.Wait()
	// The poller sleeps in the kernel, where no context reaches it.
	defer w.wake()

	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-w.notify:
			w.tell(changed, ended)
		}
	}
}

// tell empties the queue.
func (w *Watcher) tell(changed func(leader.Evidence), ended func(leader.Death)) {
	w.mu.Lock()
	deaths, evidence := w.deaths, w.evidence
	w.deaths, w.evidence = nil, nil
	w.mu.Unlock()
	for _, death := range deaths {
		ended(death)
	}
	if evidence != nil {
		changed(*evidence)
	}
}

// pollLoop sleeps in poll(2) on all held processes and reports each end.
func (w *Watcher) pollLoop(ctx context.Context) error {
	for ctx.Err() == nil {
		fds, held := w.pollSet()
		_, err := w.kernel.poll(fds, -1)
		at := time.Now()
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("poll processes: %w", err)
		}
		if fds[0].Revents != 0 {
			w.drainWake()
		}
		w.settle(fds[1:], held, at)
	}
	return nil
}

// pollSet is the wake descriptor followed by the pidfd of each held process.
func (w *Watcher) pollSet() ([]unix.PollFd, []*handle) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fds := make([]unix.PollFd, 1, len(w.handles)+1)
	fds[0] = unix.PollFd{Fd: int32(w.wakeFD), Events: unix.POLLIN}
	held := make([]*handle, 0, len(w.handles))
	for _, h := range w.handles {
		fds = append(fds, unix.PollFd{Fd: int32(h.fd), Events: unix.POLLIN})
		held = append(held, h)
	}
	return fds, held
}

// settle asks once more, under the lock, about each process that poll told of:
// its descriptor may have been closed and used again meanwhile.
func (w *Watcher) settle(fds []unix.PollFd, held []*handle, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, h := range held {
		if fds[i].Revents != 0 && !h.gone {
			w.checkLocked(h, at)
		}
	}
}

// wake makes the poller read the set of processes and its context again.
func (w *Watcher) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wakeLocked()
}

func (w *Watcher) wakeLocked() {
	if w.closed {
		return
	}
	// A full counter wakes the poller just as well.
	_, _ = unix.Write(w.wakeFD, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}

func (w *Watcher) drainWake() {
	var counter [8]byte
	_, _ = unix.Read(w.wakeFD, counter[:])
}

// Close gives up every pidfd. Call it after Run has returned; a look after it
// finds nothing.
func (w *Watcher) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	w.closed = true
	var errs []error
	for _, h := range w.handles {
		errs = append(errs, w.forgetLocked(h))
	}
	errs = append(errs, unix.Close(w.wakeFD))
	return errors.Join(errs...)
}

// kick leaves a note for a loop that may be busy; one note is enough.
func kick(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

package lab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// seen is a process as the kernel shows it.
type seen struct {
	pid     int
	started int64 // after the boot, in ticks of 10 ms, cut off
	args    []string
}

// has says whether one of its arguments is word, or a path below it.
func (s seen) has(word string) bool {
	return slices.ContainsFunc(s.args, func(a string) bool { return a == word || strings.HasPrefix(a, word+"/") })
}

// isOurs says whether it is a process of this project's program.
func (s seen) isOurs() bool { return len(s.args) > 0 && filepath.Base(s.args[0]) == "flink-ha" }

// readProcesses reads the process table; what ends meanwhile is left out.
func readProcesses() ([]seen, error) {
	names, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("read process table: %w", err)
	}
	var table []seen
	for _, name := range names {
		if pid, err := strconv.Atoi(name.Name()); err == nil {
			if one, ok := readProcess(pid); ok {
				table = append(table, one)
			}
		}
	}
	return table, nil
}

func readProcess(pid int) (seen, bool) {
	dir := "/proc/" + strconv.Itoa(pid)
	cmdline, err := os.ReadFile(dir + "/cmdline")
	if err != nil || len(cmdline) == 0 {
		return seen{}, false
	}
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return seen{}, false
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	const startTime = 22 - 3
	if len(fields) <= startTime {
		return seen{}, false
	}
	started, err := strconv.ParseInt(string(fields[startTime]), 10, 64)
	if err != nil {
		return seen{}, false
	}
	return seen{pid: pid, started: started, args: strings.Split(strings.TrimSuffix(string(cmdline), "\x00"), "\x00")}, true
}

// Lifespan is from when to when a process was there, after the boot.
type Lifespan struct {
	PID        int
	Name       string
	Born, Gone time.Duration
	// Exact: by the kernel's own times of fork and exit. Else Born is cut off to 10 ms
	// and Gone is when the end was seen, so that it was there for no longer.
	Exact bool
}

// Lifespans watches processes from outside, by the process table and pidfds: it takes
// nobody's word for when one was forked and when it was gone.
type Lifespans struct {
	marks map[string][]string // by name: paths of which one is in the command line
	stop  chan struct{}
	wg    sync.WaitGroup
	// events is nil where the kernel does not tell.
	events *procEvents

	mu    sync.Mutex
	spans []Lifespan
	live  map[int]bool
	err   error
}

// WatchLifespans watches all processes that have one of the marks of a name as an
// argument, or a path below it, and are none of this project's program.
func WatchLifespans(marks map[string][]string) *Lifespans {
	l := &Lifespans{marks: marks, stop: make(chan struct{}), live: map[int]bool{}}
	if events, err := listenProcEvents(); err == nil {
		l.events = events
		l.wg.Go(func() { events.run(l.stop) })
	}
	l.wg.Go(l.watch)
	return l
}

// watch looks for processes that are new. One that was seen and is none of them is
// looked at again: it may be before its exec.
func (l *Lifespans) watch() {
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	settled := map[int]int64{} // by PID, the start of a process that will not become one
	for {
		names, err := os.ReadDir("/proc")
		if err != nil {
			l.fail(err)
			return
		}
		for _, entry := range names {
			pid, err := strconv.Atoi(entry.Name())
			if err != nil || l.known(pid) {
				continue
			}
			one, ok := readProcess(pid)
			if !ok || settled[pid] == one.started {
				continue
			}
			if name := l.nameOf(one); name != "" {
				l.follow(one, name)
			} else if boottime()-time.Duration(one.started)*10*time.Millisecond > time.Second {
				settled[pid] = one.started // a fork reaches its exec within milliseconds
			}
		}
		select {
		case <-look.C:
		case <-l.stop:
			return
		}
	}
}

func (l *Lifespans) nameOf(one seen) string {
	if one.isOurs() {
		return ""
	}
	for name, marks := range l.marks {
		if slices.ContainsFunc(marks, one.has) {
			return name
		}
	}
	return ""
}

// follow waits for the end of a process in the background.
func (l *Lifespans) follow(one seen, name string) {
	fd, err := unix.PidfdOpen(one.pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return
	}
	if err != nil {
		l.fail(fmt.Errorf("open pidfd of PID %d: %w", one.pid, err))
		return
	}
	if again, ok := readProcess(one.pid); !ok || again.started != one.started {
		unix.Close(fd)
		return // the next look finds what is there now
	}
	l.mu.Lock()
	l.live[one.pid] = true
	l.mu.Unlock()
	l.wg.Go(func() {
		defer unix.Close(fd)
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		for {
			n, err := unix.Poll(fds, 50)
			if n == 1 {
				break
			}
			if err != nil && !errors.Is(err, unix.EINTR) {
				l.fail(fmt.Errorf("poll pidfd: %w", err))
				return
			}
			select {
			case <-l.stop:
				return
			default:
			}
		}
		span := Lifespan{PID: one.pid, Name: name, Born: time.Duration(one.started) * 10 * time.Millisecond, Gone: boottime()}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.spans = append(l.spans, span)
		delete(l.live, one.pid)
	})
}

func (l *Lifespans) known(pid int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.live[pid]
}

func (l *Lifespans) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = errors.Join(l.err, err)
}

// Seen is what has ended so far, by birth, and how many are there now.
func (l *Lifespans) Seen() (ended []Lifespan, live int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.spans {
		ended = append(ended, l.events.exact(s))
	}
	slices.SortFunc(ended, func(a, b Lifespan) int { return int(a.Born - b.Born) })
	return ended, len(l.live)
}

// Of is the lifespan of a process of which somebody has told, and which was there for too
// short to be seen in the process table; false if the kernel has not told of it either.
func (l *Lifespans) Of(pid int, name string) (Lifespan, bool) {
	return l.events.of(pid, name)
}

// Stop ends the watch. The error says that something went unseen.
func (l *Lifespans) Stop() error {
	close(l.stop)
	l.wg.Wait()
	if l.events != nil {
		return errors.Join(l.err, l.events.lost)
	}
	return l.err
}

// uncertain is by how much lifespans that are not exact may overlap: a busy machine tells
// so much later of an end.
const uncertain = 50 * time.Millisecond

// Overlap returns two lifespans that have an instant in common, if there are any.
func Overlap(spans []Lifespan) (a, b Lifespan, found bool) {
	sorted := slices.SortedFunc(slices.Values(spans), func(a, b Lifespan) int { return int(a.Born - b.Born) })
	for i := 1; i < len(sorted); i++ {
		// The longest of those before may be any of them.
		last := slices.MaxFunc(sorted[:i], func(a, b Lifespan) int { return int(a.Gone - b.Gone) })
		allowed := uncertain
		if sorted[i].Exact && last.Exact {
			allowed = 0
		}
		if sorted[i].Born+allowed < last.Gone {
			return last, sorted[i], true
		}
	}
	return a, b, false
}

// boottime is CLOCK_BOOTTIME, by which the process table dates.
func boottime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

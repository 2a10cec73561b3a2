package jobmanager

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"flink-ha-sidecar/leader"
)

// fakeProc is a /proc and the matching system calls, in which a test decides
// when a process ends and who gets its PID next. A pidfd is the reading end of a
// pipe that becomes readable when the process ends.
type fakeProc struct {
	t     testing.TB
	dir   string
	ticks uint64
	live  map[int]*fakeProcess
	// opening and opened are called around pidfd_open: the moments for a race.
	opening, opened func(pid int)
}

type fakeProcess struct {
	pid       int
	startTime uint64
	read      int
	write     int
}

func newFakeProc(t testing.TB) *fakeProc {
	t.Helper()
	f := &fakeProc{t: t, dir: t.TempDir(), ticks: 1000, live: make(map[int]*fakeProcess), opening: func(int) {}, opened: func(int) {}}
	self := strconv.Itoa(os.Getpid())
	f.write("sys/kernel/random/boot_id", "some-boot\n")
	f.write(self+"/stat", self+" (test) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1 0 0\n")
	f.write(self+"/cmdline", "test\x00")
	f.link("pid:[1234]", self+"/ns/pid")
	f.link(self, "self")
	return f
}

func (f *fakeProc) write(name, content string) {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fakeProc) link(target, name string) {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		f.t.Fatal(err)
	}
}

// spawn starts a process with a later start time than all before.
func (f *fakeProc) spawn(pid, parent int, argv ...string) leader.Process {
	f.t.Helper()
	f.ticks++
	ends := make([]int, 2)
	if err := unix.Pipe2(ends, unix.O_CLOEXEC); err != nil {
		f.t.Fatal(err)
	}
	f.live[pid] = &fakeProcess{pid: pid, startTime: f.ticks, read: ends[0], write: ends[1]}
	f.t.Cleanup(func() { _, _ = unix.Close(ends[0]), unix.Close(ends[1]) })
	f.write(fmt.Sprintf("%d/stat", pid), fmt.Sprintf("%d (java) S %d 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 %d 0 0\n", pid, parent, f.ticks))
	f.write(fmt.Sprintf("%d/cmdline", pid), string(raw(argv...)))
	return leader.Process{BootID: "some-boot", PIDNamespace: "pid:[1234]", PID: pid, StartTime: f.ticks}
}

// end ends a process and reaps it.
func (f *fakeProc) end(pid int) {
	f.t.Helper()
	if _, err := unix.Write(f.live[pid].write, []byte{1}); err != nil {
		f.t.Fatal(err)
	}
	delete(f.live, pid)
	if err := os.RemoveAll(filepath.Join(f.dir, strconv.Itoa(pid))); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fakeProc) kernel() *kernel {
	k := linux()
	k.uptime = func() time.Duration { return 1000 * time.Hour }
	k.pidfdOpen = func(pid int) (int, error) {
		f.opening(pid)
		p := f.live[pid]
		if p == nil {
			return -1, unix.ESRCH
		}
		fd, err := unix.FcntlInt(uintptr(p.read), unix.F_DUPFD_CLOEXEC, 0)
		f.opened(pid)
		return fd, err
	}
	return &k
}

func (f *fakeProc) watcher() *Watcher {
	return newWatcher(f.t, Options{procRoot: f.dir, kernel: f.kernel()})
}

func TestRecycledPIDIsNeverTheEarlierProcess(t *testing.T) {
	jm := []string{"java", EntryPoints[0]}
	const pid = 100
	for name, tt := range map[string]struct {
		recycle   func(f *fakeProc, again func())
		argv      []string // of the process that gets the PID
		wantAlive bool     // in the first look
		wantDeath bool
	}{
		"before the pidfd is opened, by another JobManager": {func(f *fakeProc, again func()) { f.opening = func(int) { again() } }, jm, false, false},
		"before the pidfd is opened, by a shell":            {func(f *fakeProc, again func()) { f.opening = func(int) { again() } }, []string{"sh"}, false, false},
		"after the pidfd was opened, by another JobManager": {func(f *fakeProc, again func()) { f.opened = func(int) { again() } }, jm, false, false},
		"after the pidfd was opened, by a shell":            {func(f *fakeProc, again func()) { f.opened = func(int) { again() } }, []string{"sh"}, false, false},
		"after the look, by another JobManager":             {nil, jm, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeProc(t)
			first := f.spawn(pid, 1, jm...)
			var second leader.Process
			done := false
			again := func() {
				if !done {
					done = true
					f.end(pid)
					second = f.spawn(pid, 1, tt.argv...)
				}
			}
			if tt.recycle != nil {
				tt.recycle(f, again)
			}
			w := f.watcher()
			e := w.Look(t.Context())
			if p, ok := e.Sole(); ok != tt.wantAlive || (ok && p != first) {
				t.Fatalf("first look: %+v, want alive %t", e, tt.wantAlive)
			}
			again()
			e = w.Look(t.Context())
			p, ok := e.Sole()
			if wantSecond := len(tt.argv) > 1; ok != wantSecond || (ok && p != second) {
				t.Errorf("second look: %+v, want the second process: %t", e, wantSecond)
			}
			if (len(w.deaths) == 1) != tt.wantDeath || len(w.deaths) > 1 {
				t.Fatalf("deaths = %+v, want one: %t", w.deaths, tt.wantDeath)
			}
			if tt.wantDeath && w.deaths[0].Process != first {
				t.Errorf("death of %+v, want %+v", w.deaths[0].Process, first)
			}
			// A sidecar that starts now and has the first one on record.
			w = f.watcher()
			if alive, err := w.Hold(first); alive || err != nil || len(w.deaths) != 1 {
				t.Errorf("Hold(first) = %t, %v with deaths %+v, want it dead", alive, err, w.deaths)
			}
		})
	}
}

// A random history of starts, ends and PIDs used again, also in the middle of a
// look: what is said to be alive was alive at that time, and what is said to be
// dead is dead.
func TestPropertyIdentityIsNeverMixedUp(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	f := newFakeProc(t)
	argvs := [][]string{{"java", EntryPoints[0]}, {"java", EntryPoints[1], "--configDir", "/c"}, {"sh"}}
	everLived := map[leader.Process]bool{}
	step := func() {
		pid := 100 + rng.IntN(4)
		if f.live[pid] != nil && rng.IntN(2) == 0 {
			f.end(pid)
		} else if f.live[pid] == nil {
			everLived[f.spawn(pid, 1, argvs[rng.IntN(len(argvs))]...)] = true
		}
	}
	race := func(int) {
		if rng.IntN(3) == 0 {
			step()
			step()
		}
	}
	f.opening, f.opened = race, race
	w := f.watcher()
	lives := func(p leader.Process) bool {
		return f.live[p.PID] != nil && f.live[p.PID].startTime == p.StartTime
	}
	alive, dead := 0, map[leader.Process]int{}
	for range 3000 {
		step()
		// Nothing moves between the end of a look and here.
		for _, p := range w.Look(t.Context()).Alive {
			alive++
			if !lives(p) || !everLived[p] {
				t.Fatalf("seed %d: %+v is told alive", seed, p)
			}
		}
		for _, d := range w.deaths {
			dead[d.Process]++
			if lives(d.Process) || !everLived[d.Process] {
				t.Fatalf("seed %d: %+v is told dead", seed, d.Process)
			}
			if dead[d.Process] > 1 {
				t.Fatalf("seed %d: %+v died %d times", seed, d.Process, dead[d.Process])
			}
		}
		w.deaths = nil
	}
	if alive < 500 || len(dead) < 100 {
		t.Errorf("seed %d: only %d sightings and %d deaths: this test shows too little", seed, alive, len(dead))
	}
}

func TestProblemWhenNoneIsSeen(t *testing.T) {
	for name, tt := range map[string]struct {
		prepare func(f *fakeProc)
		want    string
	}{
		"a container on its own": {func(f *fakeProc) {
			f.spawn(1, 0, "tini", "--", "flink-ha", "run")
		}, "shareProcessNamespace: true"},
		"a container on its own with a child": {func(f *fakeProc) {
			f.spawn(1, 0, "tini", "--", "flink-ha", "run")
			f.spawn(7, os.Getpid(), "child")
		}, "shareProcessNamespace: true"},
		"a pod without a JobManager so far": {func(f *fakeProc) {
			f.spawn(1, 0, "/pause")
			f.spawn(7, 0, "bash", "/docker-entrypoint.sh")
		}, "no JobManager process is running"},
		"processes of other users are hidden": {func(f *fakeProc) {
			f.spawn(1, 0, "init")
			f.spawn(7, 1, "sh")
			f.write(strconv.Itoa(os.Getpid())+"/mountinfo", "22 1 0:21 / /proc rw,relatime shared:14 - proc proc rw,hidepid=invisible\n")
		}, "hidepid=invisible"},
		"a command line that cannot be read": {func(f *fakeProc) {
			f.spawn(1, 0, "init")
			f.spawn(7, 1, "sh")
			_ = os.Remove(filepath.Join(f.dir, "7/cmdline"))
			_ = os.Mkdir(filepath.Join(f.dir, "7/cmdline"), 0o700)
		}, "1 of 3 command lines cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeProc(t)
			tt.prepare(f)
			e := f.watcher().Look(t.Context())
			if len(e.Alive) != 0 || !strings.Contains(e.Problem, tt.want) || strings.Contains(e.Problem, "\n") {
				t.Errorf("evidence = %+v, want one line with %q", e, tt.want)
			}
		})
	}
}

package gate

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"flink-ha-sidecar/internal/control"
)

// late is what a kill may come after its time on a busy machine.
const late = 2 * time.Second

func TestStartsWithAPermitAndTellsTheEnd(t *testing.T) {
	s := startSidecar(t)
	s.say(control.Permit{Reason: "another pod leads"})
	g := startGate(t, s)
	g.until("it has asked five times", func() bool { return s.asked() >= 5 })
	if s.last() != nil {
		t.Fatal("a command without a permit")
	}
	s.permit("a", 5*time.Second, 8*time.Second)
	g.commands(1)
	g.until("its sidecar hears of it", func() bool { c := s.last(); return c != nil && c.Number == 1 && c.Epoch == "a" && !c.Ended })
	g.signal(s.last().PID, unix.SIGKILL)
	if got := g.status(); got != 137 {
		t.Errorf("status %d, want 137", got)
	}
	c := s.last()
	if !c.Ended || c.Exit != 137 || c.EndedAt < c.Started {
		t.Errorf("told %+v, want the end with 137", c)
	}
}

func TestKeepsTheStatus(t *testing.T) {
	for words, want := range map[string]int{"exit=0": 0, "exit=7": 7} {
		s := startSidecar(t)
		s.permit("a", 5*time.Second, 8*time.Second)
		g := startGate(t, s, words)
		if got := g.status(); got != want {
			t.Errorf("%s: status %d", words, got)
		}
		if c := s.last(); c == nil || !c.Ended || c.Exit != want {
			t.Errorf("%s: told %+v", words, c)
		}
	}
}

func TestACommandThatIsNotThere(t *testing.T) {
	s := startSidecar(t)
	s.permit("a", 5*time.Second, 8*time.Second)
	g := &gate{t: t, done: make(chan struct{}), seen: map[int]int{}}
	g.run("guard", s.socket, "/no/such/program")
	if got := g.status(); got != notFound {
		t.Errorf("status %d, want %d", got, notFound)
	}
}

// TestSignals: SIGTERM reaches the command, and its status becomes the gate's. While it
// ends, the gate goes on asking.
func TestSignals(t *testing.T) {
	s := startSidecar(t)
	s.permit("a", 5*time.Second, 8*time.Second)
	g := startGate(t, s)
	g.commands(1)
	g.signal(g.cmd.Process.Pid, unix.SIGTERM)
	if got := g.status(); got != 143 {
		t.Errorf("status %d, want 143", got)
	}

	s.say(control.Permit{Reason: "no"})
	g = startGate(t, s)
	asked := s.asked()
	g.until("it asks", func() bool { return s.asked() > asked })
	g.signal(g.cmd.Process.Pid, unix.SIGTERM)
	if got := g.status(); got != 0 {
		t.Errorf("status %d without a command, want 0", got)
	}
}

// TestAPermitThatIsOver ends the command, and the gate starts it again under the next.
func TestAPermitThatIsOver(t *testing.T) {
	s := startSidecar(t)
	s.permit("a", 5*time.Second, 8*time.Second)
	g := startGate(t, s)
	g.commands(1)
	s.say(control.Permit{Reason: "the lease is lost"})
	g.gone(3 * time.Second)
	g.until("the end is told", func() bool { c := s.last(); return c.Ended && c.Exit == 143 })
	s.permit("b", 5*time.Second, 8*time.Second)
	g.commands(2)
	g.until("the second is told", func() bool { c := s.last(); return c.Number == 2 && c.Epoch == "b" && !c.Ended })
	s.permit("c", 5*time.Second, 8*time.Second)
	g.commands(3) // another tenure: ended and started again
	g.until("the third is told", func() bool { c := s.last(); return c.Number == 3 && c.Epoch == "c" })
}

// TestFaults: whatever fails, none of what the command has started outlives its last
// permit, in its own process group or out of it.
func TestFaults(t *testing.T) {
	const stop, kill = 900 * time.Millisecond, 1500 * time.Millisecond
	// Counted from the fault, the last permit gives no more than kill.
	byThen := kill + late
	for _, c := range []struct {
		name   string
		fault  func(g *gate, s *sidecar)
		within time.Duration
		status int // of the gate; -1: it goes on
	}{
		{"sidecar gone silent, JobManager deaf", func(_ *gate, s *sidecar) { s.silence() }, byThen, -1},
		{"sidecar refuses, JobManager deaf", func(_ *gate, s *sidecar) { s.say(control.Permit{Reason: "no"}) }, byThen, -1},
		{"keeper killed", func(g *gate, _ *sidecar) { g.signal(g.keeper, unix.SIGKILL) }, late, 137},
		{"guard killed", func(g *gate, _ *sidecar) { g.signal(g.cmd.Process.Pid, unix.SIGKILL) }, late, 137},
		{"keeper stopped", func(g *gate, _ *sidecar) { g.signal(g.keeper, unix.SIGSTOP) }, byThen, -1},
		{"guard stopped, sidecar silent", func(g *gate, s *sidecar) {
			g.signal(g.cmd.Process.Pid, unix.SIGSTOP)
			s.silence()
		}, byThen, -1},
		{"keeper stopped, then killed", func(g *gate, _ *sidecar) {
			g.signal(g.keeper, unix.SIGSTOP)
			g.signal(g.keeper, unix.SIGKILL)
		}, late, 137},
		{"keeper stopped, guard killed", func(g *gate, _ *sidecar) {
			g.signal(g.keeper, unix.SIGSTOP)
			g.signal(g.cmd.Process.Pid, unix.SIGKILL)
		}, late, 137},
		{"both stopped, continued past the time", func(g *gate, s *sidecar) {
			g.signal(g.cmd.Process.Pid, unix.SIGSTOP)
			g.signal(g.keeper, unix.SIGSTOP)
			time.Sleep(kill + late) // the passing of that time is what is tested
			g.alive()               // the documented limit
			g.signal(g.keeper, unix.SIGCONT)
			g.signal(g.cmd.Process.Pid, unix.SIGCONT)
		}, late, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := startSidecar(t)
			s.permit("a", stop, kill)
			g := startGate(t, s, "tree", "deaf")
			g.commands(3)
			g.until("its sidecar hears of it", func() bool { return s.last() != nil })
			g.alive()
			c.fault(g, s)
			begun := Now()
			t.Logf("gone after %v", time.Duration(g.gone(c.within)-begun))
			if c.status >= 0 {
				if got := g.status(); got != c.status {
					t.Errorf("status %d, want %d", got, c.status)
				}
			}
		})
	}
}

// TestTheKernelKillsTheCommand: with the guard stopped nobody of ours is left when the
// keeper is killed. What the command itself has started outlives it, until the guard is
// continued: the limit that the package comment tells.
func TestTheKernelKillsTheCommand(t *testing.T) {
	s := startSidecar(t)
	s.permit("a", 5*time.Second, 8*time.Second)
	g := startGate(t, s, "deaf")
	g.commands(1)
	g.signal(g.cmd.Process.Pid, unix.SIGSTOP)
	g.signal(g.keeper, unix.SIGKILL)
	g.gone(late)
}

// TestAStoppedKeeperGoesOn: the guard has killed the command, and the keeper finds that
// out when it is continued.
func TestAStoppedKeeperGoesOn(t *testing.T) {
	s := startSidecar(t)
	s.permit("a", 500*time.Millisecond, 800*time.Millisecond)
	g := startGate(t, s, "deaf")
	g.commands(1)
	g.until("its sidecar hears of it", func() bool { return s.last() != nil })
	g.signal(g.keeper, unix.SIGSTOP)
	g.gone(800*time.Millisecond + late)
	s.permit("b", 5*time.Second, 8*time.Second)
	g.signal(g.keeper, unix.SIGCONT)
	g.commands(2)
	g.until("the second is told", func() bool { c := s.last(); return c.Number == 2 && c.Epoch == "b" })
}

func TestZombiesAreReaped(t *testing.T) {
	s := startSidecar(t)
	s.permit("a", 5*time.Second, 8*time.Second)
	g := startGate(t, s, "orphans")
	g.commands(1)
	g.until("the command alone is left", func() bool {
		all, err := processes()
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, p := range all {
			if p.parent == g.keeper {
				n++ // zombies too
			}
		}
		return n == 1
	})
}

// TestObserve: no permit, no deadline, and the end is told all the same.
func TestObserve(t *testing.T) {
	s := startSidecar(t)
	s.say(control.Permit{Reason: "this pod does not lead"})
	g := startGate(t, s, "observe")
	g.commands(1)
	g.until("it is told of", func() bool { return s.last() != nil })
	g.alive()
	s.silence()
	asked := s.asked()
	g.until("it has asked in vain", func() bool { return s.asked() >= asked+2 })
	g.alive()
	s.resume()
	g.signal(s.last().PID, unix.SIGKILL)
	if got := g.status(); got != 137 {
		t.Errorf("status %d, want 137", got)
	}
	if c := s.last(); !c.Ended {
		t.Errorf("told %+v, want the end", c)
	}
}

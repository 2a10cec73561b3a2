package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"flink-ha-sidecar/internal/control"
	"flink-ha-sidecar/lab"
	"flink-ha-sidecar/lab/labtest"
)

// oneLock gives permits to one pod at a time, by a lease that is over when the last
// permit's JobManager must be gone, as sidecars do, without a network in between.
type oneLock struct {
	mu     sync.Mutex
	holder int // of pods, from 1; 0: nobody
	epoch  int
	until  time.Time
}

const (
	gateStop, gateKill = 600 * time.Millisecond, 1000 * time.Millisecond
	// killTime is what is left between the last SIGKILL and the next permit.
	killTime = 2 * time.Second
)

func (l *oneLock) permit(pod int, r control.PermitRequest, now time.Time) control.Permit {
	l.mu.Lock()
	defer l.mu.Unlock()
	mine := l.holder == pod && now.Before(l.until)
	if mine && r.Child != nil && r.Child.Ended && r.Child.Epoch == fmt.Sprint(l.epoch) {
		l.holder = 0
		return control.Permit{Format: control.PermitFormat, Reason: "it has ended"}
	}
	if !mine && l.holder != 0 && now.Before(l.until) {
		return control.Permit{Format: control.PermitFormat, Reason: "the other one leads"}
	}
	if !mine {
		l.holder, l.epoch = pod, l.epoch+1
	}
	l.until = now.Add(gateKill + killTime)
	return control.Permit{Format: control.PermitFormat, Run: true, Epoch: fmt.Sprint(l.epoch), StopMS: gateStop.Milliseconds(), KillMS: gateKill.Milliseconds()}
}

// TestGatesUnderOneLock: the gates of two pods under a lock, and whatever may befall a
// gate, again and again: the observer never sees two JobManagers at one instant.
func TestGatesUnderOneLock(t *testing.T) {
	p := shared(t)
	dir := filepath.Join(labtest.Dir(t), "cluster")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	c, err := lab.NewGatedCluster(lab.GatedOptions{Binary: p.sidecar, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	lock := &oneLock{}
	for n, pod := range c.Pods {
		serveLock(t, lock, n+1, pod)
	}
	watch := lab.WatchLifespans(c.Marks())
	faults := []struct {
		name string
		on   func(guard, keeper, jobManager int) []hit
	}{
		{"JobManager killed", func(_, _, jm int) []hit { return []hit{{jm, syscall.SIGKILL}} }},
		{"keeper killed", func(_, keeper, _ int) []hit { return []hit{{keeper, syscall.SIGKILL}} }},
		{"guard killed", func(guard, _, _ int) []hit { return []hit{{guard, syscall.SIGKILL}} }},
		{"keeper stopped", func(_, keeper, _ int) []hit { return []hit{{keeper, syscall.SIGSTOP}} }},
		{"guard stopped, JobManager killed", func(guard, _, jm int) []hit { return []hit{{guard, syscall.SIGSTOP}, {jm, syscall.SIGKILL}} }},
		{"keeper stopped, guard killed", func(guard, keeper, _ int) []hit {
			return []hit{{keeper, syscall.SIGSTOP}, {guard, syscall.SIGKILL}}
		}},
		{"JobManager stopped, keeper stopped", func(_, keeper, jm int) []hit { return []hit{{jm, syscall.SIGSTOP}, {keeper, syscall.SIGSTOP}} }},
	}
	slowest := map[string]time.Duration{}
	for round := range rounds() {
		fault := faults[round%len(faults)]
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		startTogether(t, c)
		leader, err := c.WaitForLeader(ctx)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		gates, jobManager, err := leader.Processes()
		if err != nil || len(gates) != 2 || jobManager == 0 {
			t.Fatalf("round %d: gates %v, JobManager %d, %v", round, gates, jobManager, err)
		}
		guard, keeper := leader.Gate().PID(), gates[0]
		if keeper == guard {
			keeper = gates[1]
		}
		begun := time.Now()
		for _, s := range fault.on(guard, keeper, jobManager) {
			if err := syscall.Kill(s.pid, s.signal); err != nil {
				t.Fatalf("round %d: %s: %v", round, fault.name, err)
			}
		}
		at, err := c.WaitForStart(ctx, c.Other(leader), begun)
		if err != nil {
			t.Fatalf("round %d: %s: %v", round, fault.name, err)
		}
		slowest[fault.name] = max(slowest[fault.name], at.Sub(begun).Round(time.Millisecond))
		for _, pod := range c.Pods {
			pod.Stop()
		}
		lock.mu.Lock()
		lock.holder = 0
		lock.mu.Unlock()
		cancel()
	}
	labtest.Until(t, "no JobManager is left", func() bool { _, live := watch.Seen(); return live == 0 })
	spans := allSeen(t, c, watch)
	if err := watch.Stop(); err != nil {
		t.Fatal(err)
	}
	if a, b, found := lab.Overlap(spans); found {
		t.Errorf("two JobManagers at once: %+v and %+v", a, b)
	}
	t.Logf("%d rounds, %d JobManagers, none at the same time as another; slowest takeovers %v", rounds(), len(spans), slowest)
}

type hit struct {
	pid    int
	signal syscall.Signal
}

// serveLock answers at a pod's socket.
func serveLock(t *testing.T, lock *oneLock, n int, pod *lab.GatedPod) {
	t.Helper()
	server, err := control.Listen(pod.Socket)
	if err != nil {
		t.Fatal(err)
	}
	server.HandlePermit(func(r control.PermitRequest, now time.Time) control.Permit { return lock.permit(n, r, now) })
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// rounds is how often the races are run: they take 2 s each.
func rounds() int {
	if os.Getenv("FLINK_HA_LAB_SLOW") == "1" {
		return 100
	}
	return 8
}

// startTogether starts all gates at one instant.
func startTogether(t *testing.T, c *lab.GatedCluster) {
	t.Helper()
	gun := make(chan struct{})
	errs := make(chan error, len(c.Pods))
	var wg sync.WaitGroup
	for _, pod := range c.Pods {
		wg.Go(func() {
			<-gun
			errs <- pod.Start()
		})
	}
	close(gun)
	wg.Wait()
	for range c.Pods {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
}

// allSeen returns the lifespans of all JobManagers, and fails the test unless each that
// says that it was started is among them.
func allSeen(t *testing.T, c *lab.GatedCluster, watch *lab.Lifespans) []lab.Lifespan {
	t.Helper()
	spans, _ := watch.Seen()
	seen := map[string]bool{}
	for _, s := range spans {
		seen[fmt.Sprint(s.Name, " ", s.PID)] = true
	}
	for _, p := range c.Pods {
		for _, line := range strings.Fields(labtest.Read(t, p.Starts())) {
			pid, err := strconv.Atoi(line)
			if err != nil {
				t.Fatalf("%s: %q", p.Starts(), line)
			}
			if seen[p.Name+" "+line] {
				continue
			}
			span, told := watch.Of(pid, p.Name)
			if !told {
				t.Errorf("%s, PID %s: the observer has not seen it", p.Name, line)
			}
			spans = append(spans, span)
		}
	}
	exact := 0
	for _, s := range spans {
		if s.Exact {
			exact++
		}
	}
	t.Logf("%d of %d lifespans by the kernel's own times", exact, len(spans))
	return spans
}

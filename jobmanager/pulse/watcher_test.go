package pulse_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"flink-ha-sidecar/jobmanager/pulse"
	"flink-ha-sidecar/leader"
)

// standIn is a JobManager that can be stopped: then every question waits for its
// time to be over.
type standIn struct {
	stopped, dead atomic.Bool
	pid           atomic.Int64
}

func (j *standIn) ask(ctx context.Context) pulse.Answer {
	if j.stopped.Load() {
		<-ctx.Done()
		return pulse.Answer{Asked: true, Detail: "no answer in time"}
	}
	return pulse.Answer{Asked: true, OK: true}
}

// watch runs a watcher over it until the test ends.
func watch(t *testing.T, j *standIn) *pulse.Watcher {
	t.Helper()
	j.pid.Store(1)
	w := &pulse.Watcher{
		Rules: rules,
		Subject: func() (leader.Process, pulse.Target) {
			if j.dead.Load() {
				return leader.Process{}, pulse.Target{}
			}
			return process(int(j.pid.Load())), both
		},
		REST: func(ctx context.Context, _ string) (pulse.Answer, string) { return j.ask(ctx), "2.3.0" },
		Port: func(ctx context.Context, _ string) pulse.Answer { return j.ask(ctx) },
		Lock: func(context.Context, leader.Process, bool) pulse.Lock { return pulse.Lock{Counts: true, Mark: "same"} },
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		w.Run(ctx)
		close(ended)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	synctest.Wait()
	return w
}

// until lets fake time pass until ok, and returns how long that took.
func until(t *testing.T, bound time.Duration, ok func() bool) time.Duration {
	t.Helper()
	begun := time.Now()
	for !ok() {
		if time.Since(begun) > bound {
			t.Fatalf("not within %v", bound)
		}
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
	}
	return time.Since(begun)
}

func TestAStoppedJobManagerIsStuckSoonAfterTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &standIn{}
		w := watch(t, j)
		if v := w.Verdict(); !v.Serving || v.Stuck {
			t.Fatalf("verdict %+v, want that it serves", v)
		}
		j.stopped.Store(true)
		took := until(t, time.Minute, func() bool { return w.Verdict().Stuck })
		if took <= rules.HungAfter || took > rules.HungAfter+3*rules.AskFor()+rules.Every(true) {
			t.Errorf("stuck after %v", took)
		}
		j.stopped.Store(false)
		if took := until(t, time.Minute, func() bool { return !w.Verdict().Stuck }); took > 2*rules.AskFor()+rules.Every(true) {
			t.Errorf("well again after %v", took)
		}
	})
}

func TestAPauseBelowTheLimitChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &standIn{}
		w := watch(t, j)
		for range 5 {
			j.stopped.Store(true)
			for begun := time.Now(); time.Since(begun) < rules.HungAfter-3*time.Second; time.Sleep(time.Second) {
				if v := w.Verdict(); v.Stuck || !v.Serving {
					t.Fatalf("verdict %+v in a pause of %v", v, time.Since(begun))
				}
			}
			j.stopped.Store(false)
			until(t, time.Minute, func() bool { return w.Verdict().Silence() == 0 })
		}
	})
}

func TestVerdictsAreAboutOneProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &standIn{}
		w := watch(t, j)
		j.stopped.Store(true)
		until(t, time.Minute, func() bool { return w.Verdict().Stuck })
		j.dead.Store(true)
		until(t, 10*time.Second, func() bool { return w.Verdict().Process == leader.Process{} })
		if v := w.Verdict(); v.Stuck || v.At.IsZero() {
			t.Errorf("verdict %+v of nobody", v)
		}
		j.pid.Store(2)
		j.dead.Store(false)
		until(t, 10*time.Second, func() bool { return w.Verdict().Process == process(2) })
		if v := w.Verdict(); v.Stuck || v.Serving {
			t.Errorf("verdict %+v of a JobManager that has not answered yet", v)
		}
		if age := time.Since(w.Beat()); age > 5*time.Second {
			t.Errorf("the last round began %v ago", age)
		}
	})
}

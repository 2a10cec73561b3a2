package leader

import (
	"testing"
	"time"
)

func TestSnapshotKnowsALeaderThatLostTheLockAndLives(t *testing.T) {
	x := newScript(t)
	x.leads("A", 1)
	snapshot := func() *Snapshot { return x.state.snapshot(x.d, x.now) }
	if s := snapshot(); s.Own != "A" || s.Demoted {
		t.Errorf("leading: own holder %q, demoted %t", s.Own, s.Demoted)
	}
	x.vacate().shows()
	if s := snapshot(); s.Own != "" || !s.Demoted {
		t.Errorf("the lock is vacant: own holder %q, demoted %t", s.Own, s.Demoted)
	}
	x.acquire("B").publish(Dispatcher, "s", theirDispatcher).shows()
	if s := snapshot(); s.Own != "" || !s.Demoted {
		t.Errorf("another leads: own holder %q, demoted %t", s.Own, s.Demoted)
	}
	x.vacate().shows()
	x.acquire("A").shows() // one JVM keeps its name
	if s := snapshot(); s.Own != "A" || s.Demoted {
		t.Errorf("leading again: own holder %q, demoted %t", s.Own, s.Demoted)
	}
	x.vacate().shows()
	x.dies(1)
	if snapshot().Demoted {
		t.Error("a dead JobManager is told as demoted")
	}
}

func TestSnapshotSaysSinceWhenTheLockIsOutOfSight(t *testing.T) {
	x := newScript(t)
	x.leads("A", 1)
	x.step(Interrupted{"connection refused"})
	lost := x.now
	x.now = x.now.Add(time.Minute)
	x.step(Interrupted{"timeout"})
	if s := x.state.snapshot(x.d, x.now); !s.LostAt.Equal(lost) || s.Lost != "timeout" {
		t.Errorf("lost at %v (%s), want %v and the newest reason", s.LostAt, s.Lost, lost)
	}
	x.renew().shows()
	if s := x.state.snapshot(x.d, x.now); !s.LostAt.IsZero() || s.Lost != "" {
		t.Errorf("seen again: lost at %v (%s)", s.LostAt, s.Lost)
	}
}

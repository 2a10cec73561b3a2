package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"time"

	"flink-ha-sidecar/lab"
)

// slow skips a test that repeats what others do once, unless it is asked for.
func slow(t *testing.T) {
	t.Helper()
	if os.Getenv("FLINK_HA_LAB_SLOW") != "1" {
		t.Skip("takes minutes; FLINK_HA_LAB_SLOW=1 runs it")
	}
}

// versions are the Flinks for a test. All of them take minutes, so that without
// FLINK_HA_LAB_SLOW=1 there are only the first few.
func versions(few int, all ...string) []string {
	if os.Getenv("FLINK_HA_LAB_SLOW") != "1" {
		return all[:few]
	}
	return all
}

// A fault hits the sidecar at some moment around its JobManager's death. Whatever
// moment that is, the lock is taken by expiry at the latest, and is freed only
// after a death.
func TestSlowIntegrationSidecarFailsAtAnyMoment(t *testing.T) {
	slow(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	const rounds = 40
	for n := range rounds {
		t.Run(fmt.Sprintf("round %d", n+1), func(t *testing.T) {
			p := shared(t)
			c := start(t, lease(p.standIns(), 8*time.Second))
			leader := ready(t, c)
			s, held := c.SidecarOf(leader), c.Lock.Last()
			before, stops, again, dies := random.IntN(2) == 0, random.IntN(2) == 0, random.IntN(2) == 0, random.IntN(4) > 0
			offset := time.Duration(random.IntN(80)) * time.Millisecond
			t.Logf("fault %v before %v, stopped %v, back %v, the JobManager dies %v", offset, before, stops, again, dies)
			fail := func() {
				if stops {
					signal(t, s, syscall.SIGSTOP)
				} else {
					s.Kill()
				}
			}
			die := func() {
				if dies {
					signal(t, leader, syscall.SIGKILL)
				}
			}
			first, second := die, fail
			if before {
				first, second = fail, die
			}
			first()
			pause(t, offset)
			second()
			if again {
				pause(t, offset)
				back(t, s, stops)
			}
			if !dies {
				mustStay(t, c, held, 4)
				return
			}
			to := awaitTakeover(t, c, held)
			if len(to.freed) == 0 {
				to.mustRunOut(t, c)
			} else {
				to.mustBeFreed(t, c)
			}
		})
	}
}

// With a long lease the job does not notice that the API server is gone for a
// minute, and a leader that dies meanwhile is followed as soon as it is back.
func TestSlowIntegrationFlinkWithALongLeaseSurvivesAnOutage(t *testing.T) {
	slow(t)
	for _, dies := range []bool{false, true} {
		t.Run(fmt.Sprintf("the leader dies meanwhile %v", dies), func(t *testing.T) {
			p := shared(t)
			c := start(t, long(p.flink(t, "2.3")))
			ready(t, c)
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute) // less than outage and lease
			defer cancel()
			o, err := c.Suffer(ctx, p.control.Killed(60*time.Second, 10*time.Second), dies)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%+v", o)
			switch {
			case dies && (o.Kept || o.Freed == nil || *o.Freed < -time.Minute || o.Releases["freed"] != 1):
				t.Errorf("the lock was not freed by the dead leader's sidecar")
			case !dies && (!o.Kept || o.Restarts != 0 || o.Replayed != 0):
				t.Errorf("the job was restarted %d times, %d records were processed again, the lock was kept: %v", o.Restarts, o.Replayed, o.Kept)
			}
			if !dies {
				mustNotFree(t, c.Sidecars...)
			}
		})
	}
}

// back continues or starts a sidecar that has failed.
func back(t *testing.T, s *lab.Sidecar, stopped bool) {
	t.Helper()
	if stopped {
		signal(t, s, syscall.SIGCONT)
		return
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
}

// pause is part of a fault: it decides when the next one comes, nothing is hoped
// for meanwhile.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}

// Flink ended by SIGTERM lets go of its lock, and in 3 of 8 cases takes it again
// before it dies. Either way the next leader does not wait for the lease.
func TestSlowIntegrationTerminatedFlinkIsFreed(t *testing.T) {
	slow(t)
	for n := range 5 {
		t.Run(fmt.Sprintf("round %d", n+1), func(t *testing.T) {
			p := shared(t)
			c := start(t, lease(p.flink(t, "2.3"), 60*time.Second))
			leader := ready(t, c)
			s, held := c.SidecarOf(leader), c.Lock.Last()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			f, err := c.Fail(ctx, syscall.SIGTERM, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Log(f)
			mustBeInOrder(t, f, lab.LockFreed, lab.LeaderGranted, lab.JobRunning, lab.FirstCheckpoint)
			to := awaitTakeover(t, c, held)
			if over := timeOf(t, to.last.RenewTime).Add(c.Settings.LeaseDuration); !timeOf(t, to.next.AcquireTime).Before(over) {
				t.Errorf("next leader took the lock at %s, when the lease had run out", to.next.AcquireTime)
			}
			t.Logf("the lock was free %d times; freed by the sidecar: %v, let go by Flink: %v", len(to.freed), released(t, s, "freed"), released(t, s, "vacated"))
		})
	}
}

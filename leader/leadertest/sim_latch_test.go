package leadertest

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"flink-ha-sidecar/leader"
)

// latchSimulations is how many seeds a test run plays with ZooKeeper HA, and
// latchSeed names the one to replay.
const (
	latchSimulations = 4_000
	latchSeed        = "FLINK_HA_SIM_LATCH_SEED"
)

// TestLatchSimulation plays ZooKeeper HA as TestSimulation plays Kubernetes HA.
func TestLatchSimulation(t *testing.T) {
	if text := os.Getenv(latchSeed); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", latchSeed, err)
		}
		r := Simulation{Seed: seed, Latch: true, Trace: true}.Run()
		t.Logf("%s\n%v", strings.Join(r.Trace, "\n"), r.Err)
		if r.Err != nil {
			t.Fail()
		}
		return
	}
	var c campaign
	var next atomic.Uint64
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for seed := next.Add(1); seed <= latchSimulations && !c.failed(); seed = next.Add(1) {
				c.playLatch(seed)
			}
		})
	}
	wg.Wait()
	for _, f := range c.failures {
		t.Error(f)
	}
	if t.Failed() {
		return
	}
	if c.coverage.Releases < latchSimulations || len(c.with) == 0 {
		t.Errorf("%d releases in %d runs, %d comparisons", c.coverage.Releases, latchSimulations, len(c.with))
	}
	for _, o := range []leader.Outcome{leader.Freed, leader.Expired, leader.Retired, leader.Damped, leader.Paused} {
		if c.coverage.Endings[o] == 0 {
			t.Errorf("no case has ended as %s", o)
		}
	}
	median := func(d []time.Duration) time.Duration { slices.Sort(d); return d[len(d)/2] }
	t.Logf("%d releases; the next leader after %v, without sidecars after %v (medians of %d deaths)",
		c.coverage.Releases, median(c.with), median(c.without), len(c.with))
}

func (c *campaign) playLatch(seed uint64) {
	r := Simulation{Seed: seed, Latch: true}.Run()
	err := r.Err
	var with, without Loss
	if n := len(r.Losses); err == nil && n > 0 {
		with = r.Losses[int(seed)%n]
		without, err = compareLatch(seed, with)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.failures = append(c.failures, fmt.Sprintf("seed %d: %v; %s=%d replays it", seed, err, latchSeed, seed))
	}
	c.coverage.Add(r.Coverage)
	if with.Next > 0 && without.Next > 0 {
		c.with = append(c.with, with.Next-with.At)
		c.without = append(c.without, without.Next-without.At)
	}
}

// compareLatch plays the seed again without sidecars from a death on: the next
// leader must not come sooner then (I4).
func compareLatch(seed uint64, with Loss) (Loss, error) {
	r := Simulation{Seed: seed, Latch: true, Without: with.At}.Run()
	i := slices.IndexFunc(r.Losses, func(l Loss) bool { return l.At == with.At })
	if i < 0 {
		return Loss{}, fmt.Errorf("I4: the leader that died at %v does not die there without sidecars", with.At)
	}
	without := r.Losses[i]
	switch {
	case without.Next == 0:
	case with.Next == 0:
		return without, fmt.Errorf("I4: after the death at %v nobody leads; without sidecars somebody did from %v on", with.At, without.Next)
	case with.Next > without.Next:
		return without, fmt.Errorf("I4: after the death at %v the next leader comes at %v, without sidecars at %v", with.At, with.Next, without.Next)
	}
	return without, nil
}

// TestLatchSimulationSeesABrokenRule breaks the binding in turn; a simulation that
// cannot fail would prove nothing.
func TestLatchSimulationSeesABrokenRule(t *testing.T) {
	for name, broken := range map[string]func(leader.Rules) leader.Rules{
		"whoever holds the lock is bound": func(r leader.Rules) leader.Rules {
			r.Bind = func(_, next leader.View, _ leader.Self) (string, string) { return next.Tenure.Holder, "" }
			return r
		},
		"any address binds": func(r leader.Rules) leader.Rules {
			r.Bind = func(_, next leader.View, _ leader.Self) (string, string) {
				return next.Published[leader.Dispatcher].Owner, ""
			}
			return r
		},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(300) {
				if r := (Simulation{Seed: seed + 1, Latch: true, Rules: broken}).Run(); r.Err != nil {
					return
				}
			}
			t.Error("300 runs have not noticed")
		})
	}
}

package leadertest

import (
	"cmp"
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

// seedVariable names the one seed to replay, with its trace.
const seedVariable = "FLINK_HA_SIM_SEED"

// simulations is how many seeds a test run plays: not all where there is no time
// for that.
var simulations = func() int {
	if os.Getenv("FLINK_HA_LAB_SLOW") != "1" {
		return 2_000
	}
	return 10_000
}()

// campaign is what all runs have shown together.
type campaign struct {
	mu       sync.Mutex
	coverage Coverage
	with     []time.Duration
	without  []time.Duration
	raced    int
	failures []string
}

// TestSimulation plays many seeds. In each the invariants I1 to I3 are
// checked at every step, and I4 by playing it again up to one of its leaders'
// deaths, and from there on without sidecars.
func TestSimulation(t *testing.T) {
	if text := os.Getenv(seedVariable); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", seedVariable, err)
		}
		replay(t, seed)
		return
	}
	var c campaign
	var next atomic.Uint64
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for seed := next.Add(1); seed <= uint64(simulations) && !c.failed(); seed = next.Add(1) {
				c.play(seed)
			}
		})
	}
	wg.Wait()
	for _, f := range c.failures {
		t.Error(f)
	}
	if !t.Failed() {
		c.report(t)
	}
}

func (c *campaign) failed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.failures) >= 3
}

// play runs one seed, with sidecars, and from one death on without.
func (c *campaign) play(seed uint64) {
	r := Simulation{Seed: seed}.Run()
	err := r.Err
	var with, without Loss
	if n := len(r.Losses); err == nil && n > 0 {
		with = r.Losses[int(seed)%n]
		without, err = compare(seed, with)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.failures = append(c.failures, fmt.Sprintf("seed %d: %v; %s=%d replays it", seed, err, seedVariable, seed))
	}
	c.coverage.Add(r.Coverage)
	if with.Next > 0 && without.Next > 0 {
		c.with = append(c.with, with.Next-with.At)
		c.without = append(c.without, without.Next-without.At)
		if with.Raced {
			c.raced++
		}
	}
}

// compare plays the seed again without sidecars from a death on, and says
// whether Flink alone was faster, or lost fewer JobManagers (I4).
func compare(seed uint64, with Loss) (Loss, error) {
	r := Simulation{Seed: seed, Without: with.At}.Run()
	i := slices.IndexFunc(r.Losses, func(l Loss) bool { return l.At == with.At })
	if i < 0 {
		return Loss{}, fmt.Errorf("I4: the leader that died at %v does not die there without sidecars", with.At)
	}
	without := r.Losses[i]
	if without.Next == 0 {
		return without, nil
	}
	allowed := time.Duration(0)
	if with.Raced {
		allowed = with.Pause
	}
	switch {
	case with.Next == 0:
		return without, fmt.Errorf("I4: after the death at %v nobody leads; without sidecars somebody did from %v on", with.At, without.Next)
	case with.Next > without.Next+allowed:
		return without, fmt.Errorf("I4: after the death at %v the next leader comes at %v, without sidecars at %v (raced: %t)", with.At, with.Next, without.Next, with.Raced)
	case with.Suicides > without.Suicides:
		return without, fmt.Errorf("I4: after the death at %v %d JobManagers gave themselves up, without sidecars %d", with.At, with.Suicides, without.Suicides)
	}
	return without, nil
}

// replay plays one seed and shows what happened.
func replay(t *testing.T, seed uint64) {
	t.Helper()
	r := Simulation{Seed: seed, Trace: true}.Run()
	t.Logf("seed %d:\n%s", seed, strings.Join(r.Trace, "\n"))
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	if n := len(r.Losses); n > 0 {
		with := r.Losses[int(seed)%n]
		without, err := compare(seed, with)
		t.Logf("the death at %v: next leader at %v, without sidecars at %v", with.At, with.Next, without.Next)
		if err != nil {
			alone := Simulation{Seed: seed, Without: with.At, Trace: true}.Run()
			t.Errorf("%v\nwithout sidecars:\n%s", err, strings.Join(alone.Trace, "\n"))
		}
	}
}

func TestSimulationIsTheSameEveryTime(t *testing.T) {
	for seed := range uint64(20) {
		first := Simulation{Seed: seed, Trace: true}.Run()
		again := Simulation{Seed: seed, Trace: true}.Run()
		if !slices.Equal(first.Trace, again.Trace) {
			t.Fatalf("seed %d ran in two ways", seed)
		}
		silent := Simulation{Seed: seed}.Run()
		if silent.Coverage != first.Coverage {
			t.Fatalf("seed %d runs in another way when it is traced", seed)
		}
	}
}

// Rules that are broken on purpose: the simulation has to notice.
func TestSimulationNoticesBrokenRules(t *testing.T) {
	for name, broken := range map[string]func(r leader.Rules) leader.Rules{
		"whoever holds the lock is bound": func(r leader.Rules) leader.Rules {
			r.Bind = func(_, next leader.View, _ leader.Self) (string, string) { return next.Tenure.Holder, "" }
			return r
		},
		"an address of ours that stands there binds": func(r leader.Rules) leader.Rules {
			r.Bind = func(_, next leader.View, self leader.Self) (string, string) {
				if self.Shows(next) {
					return next.Tenure.Holder, ""
				}
				return "", ""
			}
			return r
		},
		"a removal of our address binds": func(r leader.Rules) leader.Rules {
			r.Bind = func(prev, next leader.View, self leader.Self) (string, string) {
				if prev.Tenure == next.Tenure && self.Shows(prev) && len(next.Published) < len(prev.Published) {
					return next.Tenure.Holder, ""
				}
				return leader.BindByChange(prev, next, self)
			}
			return r
		},
		"the tenure may change together with the address": func(r leader.Rules) leader.Rules {
			r.Bind = func(prev, next leader.View, self leader.Self) (string, string) {
				prev.Lock, prev.Tenure = next.Lock, next.Tenure
				return leader.BindByChange(prev, next, self)
			}
			return r
		},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(simulations) {
				if (Simulation{Seed: seed, Rules: broken}).Run().Err != nil {
					return
				}
			}
			t.Errorf("%d runs have not noticed", simulations)
		})
	}
}

// unreachable are the outcomes that no run can come to, with the reason.
var unreachable = map[leader.Outcome]string{
	leader.Refuted: "no clock here steps, and a binding that is right is never refuted",
}

// report prints the coverage, and fails where it is too thin to mean anything.
func (c *campaign) report(t *testing.T) {
	t.Helper()
	var b strings.Builder
	line := func(count, of10000 int, what string) {
		floor, note := max(1, of10000*simulations/10_000), ""
		if count < floor {
			note = fmt.Sprintf("  BELOW %d", floor)
			t.Errorf("%s: met %d times in %d runs, want %d", what, count, simulations, floor)
		}
		fmt.Fprintf(&b, "%9d  %s%s\n", count, what, note)
	}
	endsOnly := []leader.Outcome{leader.Freed, leader.Superseded, leader.Vacated}
	for _, o := range leader.Outcomes() {
		switch why, never := unreachable[o]; {
		case never:
			fmt.Fprintf(&b, "%9d  outcome %s: %s\n", c.coverage.Outcomes[o], o, why)
		case !slices.Contains(endsOnly, o):
			line(c.coverage.Outcomes[o], 100, "outcome "+o.String())
		}
	}
	for _, o := range []leader.Outcome{leader.Freed, leader.Superseded, leader.Vacated, leader.Retired, leader.Unreadable, leader.Expired, leader.Damped, leader.Forbidden, leader.Waiting, leader.GuardOff, leader.Paused} {
		line(c.coverage.Endings[o], 20, "case ended as "+o.String())
	}
	for k := range faultKinds {
		line(c.coverage.Faults[k], 200, "fault: "+k.String())
	}
	line(c.coverage.Bound, 10_000, "holders bound")
	line(c.coverage.Unbound, 200, "deaths of holders that were not bound")
	line(c.coverage.Releases, 5_000, "releases that took effect")
	line(c.coverage.Retaken, 100, "of them of a lock that a dying JVM had taken again")
	line(len(c.with), 5_000, "deaths compared with the same seed without sidecars")
	line(c.raced, 1, "of them with a candidate that lost a race to a release")
	t.Logf("%d runs:\n%snext leader after a leader's death: median %v, 90 in 100 %v; without sidecars %v, %v",
		simulations, b.String(), share(c.with, 50), share(c.with, 90), share(c.without, 50), share(c.without, 90))
}

func share(d []time.Duration, percent int) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.SortFunc(d, cmp.Compare[time.Duration])
	return d[len(d)*percent/100].Round(time.Millisecond)
}

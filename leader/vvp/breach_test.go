package vvp

import (
	"strings"
	"testing"
	"time"
)

// breaches are the rules that keep two JobManagers apart, each broken on purpose.
func breaches() []breach {
	return []breach{
		{name: "the lease counts from the reply, not from before the request", mostly: 9, share: 100, after: func(before State, s *State, in Input, now Now) {
			if in, ok := in.(WriteDone); ok && in.Err == nil && s.tenure != nil && before.busy == ActionWrite {
				t := *s.tenure
				t.From = now.Boot
				s.tenure = &t
			}
		}},
		{name: "others wait for two thirds of the lease", after: func(before State, s *State, _ Input, now Now) {
			if s.since == now.Boot && !before.seen.same(s.seen) {
				s.since -= 5 * time.Second
			}
		}},
		{name: "a write is conditional on nothing", blind: true},
		{name: "permits go on without a renewal", permit: func(r Rules, s State, p Permit, _ Now) Permit {
			if p.Run {
				p.Stop, p.Kill = r.Timing.RenewDeadline, r.Timing.KillAfter()
			}
			return p
		}},
		{name: "no room is left for a kill and for drift", permit: func(r Rules, s State, p Permit, now Now) Permit {
			if p.Run {
				p.Kill = s.tenure.From + r.Timing.Lease - now.Boot
			}
			return p
		}},
		{name: "the lock is given back before its JobManager has ended", hasty: true},
		{name: "a record edited by hand counts", mostly: 11, share: 70, sight: func(s Sight) Sight {
			if s.Kind == Unreadable && strings.Contains(s.Text, `"holder":""`) {
				s.Kind = Vacant
			}
			return s
		}},
		{name: "an older record put back counts", mostly: 11, share: 70, after: func(_ State, s *State, _ Input, _ Now) { s.edited = false }},
		{name: "a new object is taken at once", after: func(_ State, s *State, _ Input, now Now) {
			if s.seen.Kind == Empty && s.seen.Problem == "" {
				s.since = now.Boot - time.Hour
			}
		}},
	}
}

// TestBrokenRulesAreNoticed: a simulation that no broken rule fails proves nothing.
func TestBrokenRulesAreNoticed(t *testing.T) {
	seeds := uint64(10_000)
	if testing.Short() {
		seeds = 4_000
	}
	for _, b := range breaches() {
		t.Run(b.name, func(t *testing.T) {
			all, failures := play(seeds, b, 1)
			if len(failures) == 0 {
				t.Fatalf("not noticed in %d runs", all.runs)
			}
			if !strings.Contains(failures[0], "two ") {
				t.Errorf("noticed by something else: %s", failures[0])
			}
			t.Logf("noticed after %d runs: %s", all.runs, failures[0])
		})
	}
}

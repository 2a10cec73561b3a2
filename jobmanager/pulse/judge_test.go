package pulse_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"flink-ha-sidecar/jobmanager/pulse"
	"flink-ha-sidecar/leader"
)

var (
	start = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	rules = pulse.Rules{HungAfter: 20 * time.Second}
	both  = pulse.Target{REST: "http://10.0.0.1:8081", RPC: "10.0.0.1:6123"}
)

func process(pid int) leader.Process { return leader.Process{PID: pid, StartTime: 1} }

// step is so many rounds of the same kind, one every 2 s.
type step struct {
	rounds int
	change func(n int, in *pulse.Round)
}

func answers(_ int, in *pulse.Round) { in.REST.OK, in.RPC.OK = in.REST.Asked, in.RPC.Asked }

func silent(int, *pulse.Round) {}

func onlyREST(_ int, in *pulse.Round) { in.REST.OK = true }

func onlyRPC(_ int, in *pulse.Round) { in.RPC.OK = true }

// renews is silence beside a lock that is renewed every fifth round: 10 s.
func renews(n int, in *pulse.Round) {
	in.Lock = pulse.Lock{Counts: true, Mark: string(rune('a' + n/5))}
}

func notRenewed(_ int, in *pulse.Round) { in.Lock = pulse.Lock{Counts: true, Mark: "same"} }

func outOfSight(_ int, in *pulse.Round) {
	in.Lock = pulse.Lock{Counts: true, Hidden: true, Mark: "same"}
}

func anothersLock(n int, in *pulse.Round) { in.Lock = pulse.Lock{Mark: string(rune('a' + n))} }

// TestStuck: 11 rounds of silence are 20 s and a little more than 20 s.
func TestStuck(t *testing.T) {
	t.Parallel()
	up := step{1, answers}
	asked := func(target pulse.Target) func(int, *pulse.Round) {
		return func(_ int, in *pulse.Round) { in.Target = target }
	}
	for _, tt := range []struct {
		name   string
		target pulse.Target
		steps  []step
		stuck  bool
	}{
		{"answers", both, []step{{20, answers}}, false},
		{"silent for less than the limit", both, []step{up, {10, silent}}, false},
		{"silent for longer", both, []step{up, {12, silent}}, true},
		{"only the RPC port is silent", both, []step{up, {20, onlyREST}}, false},
		{"only REST is silent", both, []step{up, {20, onlyRPC}}, false},
		{"silent, and its lock is renewed", both, []step{up, {40, renews}}, false},
		{"silent, and its lock is not renewed", both, []step{up, {13, notRenewed}}, true},
		{"silent, and the lock is out of sight", both, []step{up, {40, outOfSight}}, false},
		{"the lock comes into sight", both, []step{up, {20, outOfSight}, {10, notRenewed}}, false},
		{"and is not renewed long enough", both, []step{up, {20, outOfSight}, {13, notRenewed}}, true},
		{"silent, and another's lock is renewed", both, []step{up, {12, anothersLock}}, true},
		{"one answer in between", both, []step{up, {10, silent}, {1, onlyREST}, {10, silent}}, false},
		{"recovered", both, []step{up, {20, silent}, {1, onlyRPC}}, false},
		{"it never answered: the ports may be wrong", both, []step{{40, silent}}, false},
		{"one port never answered", both, []step{{1, onlyREST}, {40, silent}}, false},
		{"only REST is asked", pulse.Target{REST: both.REST}, []step{up, {12, silent}}, true},
		{"nothing is asked", pulse.Target{}, []step{{40, notRenewed}}, false},
		{"another process since", both, []step{up, {20, silent}, {1, func(_ int, in *pulse.Round) { in.Process = process(2) }}}, false},
		{"its end", both, []step{up, {20, silent}, {1, func(_ int, in *pulse.Round) { *in = pulse.Round{Begun: in.Begun, Ended: in.Ended} }}}, false},
		{"the sidecar was stopped for five minutes", both, []step{up, {5, silent}, {1, func(_ int, in *pulse.Round) {
			in.Begun, in.Ended = in.Begun.Add(5*time.Minute), in.Ended.Add(5*time.Minute)
		}}}, false},
		{"the sidecar was stopped while it asked", both, []step{up, {5, silent}, {1, func(_ int, in *pulse.Round) { in.Ended = in.Ended.Add(5 * time.Minute) }}}, false},
		{"a port that is learned later starts anew", pulse.Target{REST: both.REST}, []step{up, {20, silent}, {1, func(_ int, in *pulse.Round) {
			in.RPC.Asked, in.Target = true, both
		}}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			steps := append([]step{{1, asked(tt.target)}}, tt.steps...)
			if v := play(t, tt.target, steps); v.Stuck != tt.stuck {
				t.Errorf("stuck %t after a silence of %v, want %t", v.Stuck, v.Silence(), tt.stuck)
			} else if v.Stuck && !strings.HasPrefix(v.Reason(), "stuck: ") {
				t.Errorf("the reason is %q", v.Reason())
			}
		})
	}
}

// play feeds rounds, checks that Judge is a function, and returns the last verdict.
func play(t *testing.T, target pulse.Target, steps []step) pulse.Verdict {
	t.Helper()
	var s pulse.State
	var v pulse.Verdict
	at := start
	for _, step := range steps {
		for n := range step.rounds {
			in := pulse.Round{Begun: at, Ended: at.Add(500 * time.Millisecond), Process: process(1), Target: target}
			in.REST.Asked, in.RPC.Asked = target.REST != "", target.RPC != ""
			step.change(n, &in)
			next, got := rules.Judge(s, in)
			if again, verdict := rules.Judge(s, in); again != next || !reflect.DeepEqual(got, verdict) {
				t.Fatalf("the same arguments gave another result: %+v, %+v", got, verdict)
			}
			s, v = next, got
			if at = in.Begun.Add(2 * time.Second); at.Before(in.Ended) {
				at = in.Ended
			}
		}
	}
	return v
}

func TestServing(t *testing.T) {
	t.Parallel()
	guessed := both
	guessed.Guessed = true
	for _, tt := range []struct {
		name    string
		target  pulse.Target
		steps   []step
		serving bool
	}{
		{"nothing has answered", both, []step{{60, silent}}, false},
		{"the RPC port alone has", both, []step{{3, onlyRPC}}, false},
		{"REST has", both, []step{{1, onlyREST}}, true},
		{"REST has, once", both, []step{{1, onlyREST}, {5, silent}}, true},
		{"the RPC port has, REST is not known", pulse.Target{RPC: both.RPC}, []step{{1, onlyRPC}}, true},
		{"nothing can be asked", pulse.Target{}, []step{{1, silent}}, true},
		{"a guess has not answered for half a minute", guessed, []step{{15, silent}}, false},
		{"nor for more than one", guessed, []step{{32, silent}}, true},
		{"another process since", both, []step{{3, answers}, {1, func(_ int, in *pulse.Round) { in.Process = process(2) }}}, false},
	} {
		if v := play(t, tt.target, tt.steps); v.Serving != tt.serving {
			t.Errorf("%s: serving %t, want %t", tt.name, v.Serving, tt.serving)
		} else if v.Serving != (v.Reason() == "") {
			t.Errorf("%s: serving %t, reason %q", tt.name, v.Serving, v.Reason())
		}
	}
}

func TestVersionOfTheCommandLineWins(t *testing.T) {
	t.Parallel()
	told := func(_ int, in *pulse.Round) { in.Version = "2.3.0" }
	if v := play(t, both, []step{{1, told}, {1, silent}}); v.Version != "2.3.0" {
		t.Errorf("the version is %q, want what REST has told", v.Version)
	}
	if v := play(t, pulse.Target{Version: "1.18.1"}, []step{{1, told}}); v.Version != "1.18.1" {
		t.Errorf("the version is %q, want that of the command line", v.Version)
	}
}

func TestLimitsThatCannotWorkAreNamed(t *testing.T) {
	t.Parallel()
	for d, good := range map[time.Duration]bool{0: false, -time.Second: false, 999 * time.Millisecond: false, time.Second: true, pulse.DefaultHungAfter: true, 2 * time.Hour: false} {
		err := pulse.Rules{HungAfter: d}.Validate()
		if (err == nil) != good || err != nil && !strings.Contains(err.Error(), "--hung-after "+d.String()) {
			t.Errorf("%v: %v", d, err)
		}
	}
}

package discovery

import (
	"testing"

	"flink-ha-sidecar/leader"
)

func TestDecide(t *testing.T) {
	t.Parallel()
	doc := func(generation string, counter uint64, session string) Leader {
		return Leader{Epoch: Epoch{Generation: generation, Counter: counter}, Session: session, RESTURL: "http://10.0.0.1:8081"}
	}
	ours := leader.Tenure{Generation: "g", Holder: "us"}
	mine := State{Leader: doc("g", 5, "us"), Tenure: ours, Mine: true}
	seen := func(l Leader) Object { return Object{Seen: true, Exists: true, Version: "1", Leader: l} }
	others := State{Leader: doc("g", 5, "them"), Tenure: leader.Tenure{Generation: "g", Holder: "them"}}
	still := Asked{Done: true, Tenure: ours}
	newer := Asked{Done: true, Tenure: leader.Tenure{Generation: "g", Holder: "them"}}
	for _, tt := range []struct {
		name  string
		s     State
		o     Object
		holds bool
		a     Asked
		want  Move
	}{
		{"nothing seen yet", mine, Object{}, false, Asked{}, Look},
		{"another's", others, Object{}, false, Asked{}, Stay},
		{"there is none", mine, Object{Seen: true}, false, Asked{}, Ask},
		{"there is none and we lead", mine, Object{Seen: true}, false, still, Put},
		{"it tells what we say", mine, seen(doc("g", 5, "us")), true, Asked{}, Stay},
		{"ours, edited by hand", mine, seen(doc("g", 5, "us")), false, Asked{}, Put},
		{"ours, its epoch edited by hand", mine, seen(doc("g", 9999, "us")), false, Asked{}, Put},
		{"ours, its session edited by hand", mine, seen(doc("g", 5, "eve")), false, Asked{}, Put},
		{"an older leader's", mine, seen(doc("g", 4, "them")), false, Asked{}, Put},
		{"a newer leader's, it seems", mine, seen(doc("g", 6, "them")), false, Asked{}, Ask},
		{"a newer leader's", mine, seen(doc("g", 6, "them")), false, newer, Outdone},
		{"a newer leader's by the object, not by the lock", mine, seen(doc("g", 6, "eve")), false, still, Put},
		{"another generation's", mine, seen(doc("f", 99, "them")), false, Asked{}, Ask},
		{"an old generation's", mine, seen(doc("f", 99, "them")), false, still, Put},
		{"a new generation's", mine, seen(doc("h", 1, "them")), false, Asked{Done: true, Tenure: leader.Tenure{Generation: "h"}}, Outdone},
		{"not readable", mine, seen(Leader{}), false, Asked{}, Ask},
		{"not readable and we lead", mine, seen(Leader{}), false, still, Put},
		{"withdrawn, and again a leader", mine, seen(doc("g", 4, "them").Withdrawn()), false, Asked{}, Put},
		{"retired, not looked", State{Retired: "g"}, Object{}, false, Asked{}, Look},
		{"retired, and it stands there", State{Retired: "g"}, seen(doc("g", 5, "us")), false, Asked{}, Clear},
		{"retired, and withdrawn", State{Retired: "g"}, seen(doc("g", 5, "us").Withdrawn()), false, Asked{}, Stay},
		{"retired, but another generation stands there", State{Retired: "g"}, seen(doc("h", 5, "us")), false, Asked{}, Stay},
		{"retired, and there is none", State{Retired: "g"}, Object{Seen: true}, false, Asked{}, Stay},
	} {
		if got := Decide(tt.s, tt.o, tt.holds, tt.a); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestPublishersOfOneTenureSettleOnTheHighestNumber(t *testing.T) {
	t.Parallel()
	l := Leader{Epoch: Epoch{Generation: "g", Counter: 3}, Session: "s"}
	late := Object{Exists: true, Leader: Leader{Epoch: Epoch{Generation: "g", Counter: 8}, Session: "s"}}
	if got := wanted(State{Leader: l, Shared: true}, late).Epoch.Counter; got != 8 {
		t.Errorf("shared: %d, want 8", got)
	}
	if got := wanted(State{Leader: l}, late).Epoch.Counter; got != 3 {
		t.Errorf("our own: %d, want 3", got)
	}
}

package follow

import (
	"testing"
	"time"

	"flink-ha-sidecar/discovery"
)

func doc(generation string, counter uint64, session string) discovery.Leader {
	return discovery.Leader{
		Format: 1, Epoch: discovery.Epoch{Generation: generation, Counter: counter}, Session: session, RESTURL: "http://10.0.0.1:8081/" + session,
	}
}

func TestNothingOlderThanWhatIsKnownIsBelieved(t *testing.T) {
	t.Parallel()
	type step struct {
		name    string
		n       News
		trusted bool
		session string // of the leader that is told then; empty for none
		counter uint64
	}
	for name, steps := range map[string][]step{
		"leaders of one generation": {
			{"the first", News{Leader: doc("g", 5, "a")}, true, "a", 5},
			{"a later one", News{Leader: doc("g", 9, "b")}, true, "b", 9},
			{"the first again, from a sidecar that is behind", News{Leader: doc("g", 5, "a")}, false, "b", 9},
			{"the same, numbered later by a restarted sidecar", News{Leader: doc("g", 20, "b")}, true, "b", 20},
			{"the same, numbered rightly by another", News{Leader: doc("g", 9, "b")}, true, "b", 20},
			{"nobody", News{Reason: "vacant"}, true, "", 0},
			{"the first again after that", News{Leader: doc("g", 5, "a")}, false, "", 0},
			{"the next", News{Leader: doc("g", 21, "c")}, true, "c", 21},
		},
		"generations": {
			{"one", News{Leader: doc("g", 500, "a")}, true, "a", 500},
			{"the next counts anew", News{Leader: doc("h", 3, "b")}, true, "b", 3},
			{"the first comes from a sidecar of the past", News{Leader: doc("g", 501, "x")}, false, "b", 3},
			{"one that nobody has heard of, from a sidecar that is cut off", News{Leader: doc("f", 7, "y"), Age: time.Minute}, false, "b", 3},
			{"a third", News{Leader: doc("i", 1, "c")}, true, "c", 1},
			{"the second", News{Leader: doc("h", 4, "b2")}, false, "c", 1},
		},
		"a source without contact": {
			{"one", News{Leader: doc("g", 5, "a")}, true, "a", 5},
			{"it cannot know that there is none", News{Reason: "starting", Age: time.Second}, false, "a", 5},
			{"it may repeat what is known", News{Leader: doc("g", 5, "a"), Age: time.Second}, true, "a", 5},
		},
	} {
		var b belief
		now := time.Now()
		for _, s := range steps {
			if got := b.take(s.n, now); got != s.trusted {
				t.Errorf("%s: %s: trusted %v", name, s.name, got)
			}
			got := b.told(now, time.Minute)
			if got.Known != (s.session != "") || got.Leader.Session != s.session || got.Leader.Epoch.Counter != s.counter {
				t.Errorf("%s: %s: told %+v, want %q in epoch %d", name, s.name, got, s.session, s.counter)
			}
		}
	}
}

func TestThePodOutlivesAChangeOfSources(t *testing.T) {
	t.Parallel()
	var b belief
	own := doc("g", 5, "a")
	own.Pod, own.Node = "pod-1", "node-1"
	b.take(News{Leader: own}, time.Now())
	b.take(News{Leader: doc("g", 5, "a")}, time.Now())
	if got := b.told(time.Now(), time.Minute).Leader; got != own {
		t.Errorf("told %+v after a standby's sidecar, want %+v", got, own)
	}
	b.take(News{Leader: doc("g", 6, "b")}, time.Now())
	if got := b.told(time.Now(), time.Minute).Leader; got.Pod != "" {
		t.Errorf("the next leader is said to be in %s", got.Pod)
	}
}

func TestAnAddressWithoutContactGrowsOld(t *testing.T) {
	t.Parallel()
	var b belief
	start := time.Now()
	b.take(News{Leader: doc("g", 5, "a"), Age: 20 * time.Second}, start)
	at := func(d time.Duration) Told { return b.told(start.Add(d), time.Minute) }
	if !at(39*time.Second).Known || at(41*time.Second).Known {
		t.Error("the source's own age does not count")
	}
	b.take(News{Alive: true}, start.Add(30*time.Second))
	if !at(89*time.Second).Known || at(91*time.Second).Known {
		t.Error("a sign of life does not count")
	}
	b.left()
	b.take(News{Alive: true}, start.Add(2*time.Minute))
	if at(2 * time.Minute).Known {
		t.Error("a sign of life counts that comes from a source which has told nothing yet")
	}
	b.take(News{Leader: doc("g", 5, "a")}, start.Add(3*time.Minute))
	if got := at(3 * time.Minute); !got.Known || !got.Out.IsZero() {
		t.Errorf("told %+v once it is heard again", got)
	}
}

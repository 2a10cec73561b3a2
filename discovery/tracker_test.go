package discovery_test

import (
	"net/netip"
	"testing"
	"time"

	"flink-ha-sidecar/discovery"
	"flink-ha-sidecar/leader"
)

var granted = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// published is what a JobManager at ip publishes in a session.
func published(session, ip string, components ...string) map[string]leader.Publication {
	address := map[string]string{
		leader.Dispatcher: "pekko.tcp://flink@" + ip + ":6123/user/rpc/dispatcher_1", leader.ResourceManager: "pekko.tcp://flink@" + ip + ":6123/user/rpc/resourcemanager_0",
		leader.RESTServer: "http://" + ip + ":8081",
	}
	if components == nil {
		components = leader.Components
	}
	out := make(map[string]leader.Publication)
	for _, c := range components {
		out[c] = leader.Publication{Session: session, Address: address[c]}
	}
	return out
}

// sight is a snapshot of the tenure of holder, seen and renewed so long after the
// grant.
func sight(holder string, after time.Duration, p map[string]leader.Publication) *leader.Snapshot {
	return &leader.Snapshot{
		At: granted.Add(after), Contact: true, Outcome: leader.Standby, Since: granted, Epoch: leader.Epoch{Generation: "uid", Counter: 7},
		View: leader.View{Lock: leader.LockHeld, Tenure: leader.Tenure{Generation: "uid", Holder: holder}, Acquired: granted, Renewed: granted.Add(after), Published: p},
	}
}

func tracker(ip string) *discovery.Tracker {
	return &discovery.Tracker{Pod: "pod-1", Node: "node-1", BlobPort: 6124, Owned: func(a leader.Address) bool { return a.IP == netip.MustParseAddr(ip) }}
}

func TestAddressesOfTheLeaderBeforeAreNotPassedOn(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	tr := tracker("10.0.0.9")
	mixed := published("new", "10.0.0.2", leader.RESTServer)
	mixed[leader.Dispatcher] = published("old", "10.0.0.1")[leader.Dispatcher]
	for _, step := range []struct {
		name      string
		s         *leader.Snapshot
		rest, rpc string
	}{
		{"the old one", sight("h1", time.Minute, published("old", "10.0.0.1")), "http://10.0.0.1:8081", "10.0.0.1"},
		{"the new one holds the lock, nothing removed yet", sight("h2", 0, published("old", "10.0.0.1")), "", ""},
		{"REST is new, the dispatcher still the old one's", sight("h2", 100*ms, mixed), "", ""},
		{"REST alone", sight("h2", 120*ms, published("new", "10.0.0.2", leader.RESTServer)), "", ""},
		{"both", sight("h2", 290*ms, published("new", "10.0.0.2", leader.RESTServer, leader.Dispatcher)), "http://10.0.0.2:8081", "10.0.0.2"},
		{"it takes its addresses back", sight("h2", time.Minute, nil), "", ""},
	} {
		got := tr.Next(step.s).Leader
		if got.RESTURL != step.rest || got.RPCHost != step.rpc {
			t.Errorf("%s: told %q and %q, want %q and %q", step.name, got.RESTURL, got.RPCHost, step.rest, step.rpc)
		}
	}
}

func TestTrackerTellsWhatItKnows(t *testing.T) {
	t.Parallel()
	byOwner := published("s", "10.0.0.2")
	for c, p := range byOwner {
		p.Owner = "h1"
		byOwner[c] = p
	}
	bound := sight("h1", time.Minute, published("s", "10.0.0.2"))
	bound.Bound = &leader.Binding{Holder: "h1"}
	retired := sight("h1", time.Minute, nil)
	retired.View.Lock, retired.Outcome = leader.LockAbsent, leader.Retired
	vacant := sight("", time.Minute, nil)
	vacant.View.Lock, vacant.Reason = leader.LockVacant, "nobody holds the lock"
	for _, tt := range []struct {
		name               string
		self               string
		s                  *leader.Snapshot
		known, mine, share bool
		pod, retired       string
	}{
		{"a leader of long standing, first seen now", "10.0.0.9", sight("h1", time.Minute, published("s", "10.0.0.2")), true, false, false, "", ""},
		{"our own address", "10.0.0.2", sight("h1", time.Minute, published("s", "10.0.0.2")), true, true, false, "pod-1", ""},
		{"bound", "10.0.0.9", bound, true, true, false, "pod-1", ""},
		{"behind a name any may publish, and none says where", "10.0.0.2", sight("h1", time.Minute, published("s", "jobmanager")), true, true, true, "", ""},
		{"a young leader, first seen now", "10.0.0.2", sight("h1", time.Second, published("s", "10.0.0.2")), false, false, false, "", ""},
		{"a young leader whose store tells who wrote", "10.0.0.2", sight("h1", time.Second, byOwner), true, true, false, "pod-1", ""},
		{"what another session wrote", "10.0.0.2", sight("h2", time.Minute, byOwner), false, false, false, "", ""},
		{"half of it after long", "10.0.0.9", sight("h1", time.Minute, published("s", "10.0.0.2", leader.RESTServer)), true, false, false, "", ""},
		{"nobody", "10.0.0.2", vacant, false, false, false, "", ""},
		{"retired", "10.0.0.2", retired, false, false, false, "", "uid"},
		{"no contact", "10.0.0.2", &leader.Snapshot{At: granted, Lost: "refused"}, false, false, false, "", ""},
	} {
		got := tracker(tt.self).Next(tt.s)
		if got.Leader.Known() != tt.known || got.Mine != tt.mine || got.Shared != tt.share || got.Leader.Pod != tt.pod || got.Retired != tt.retired {
			t.Errorf("%s: got %+v", tt.name, got)
		}
		if tt.known && (got.Leader.Session != "s" || got.Leader.BlobPort != 6124 || !got.Leader.Since.Equal(granted) || got.Leader.Epoch != discovery.Epoch{Generation: "uid", Counter: 7}) {
			t.Errorf("%s: leader %+v", tt.name, got.Leader)
		}
	}
}

func TestAgeIsThatOfTheLastContact(t *testing.T) {
	t.Parallel()
	tr := tracker("10.0.0.9")
	seen := func(after time.Duration, lost string) discovery.State {
		s := sight("h1", after, published("s", "10.0.0.2"))
		s.Lost = lost
		return tr.Next(s)
	}
	for _, step := range []struct {
		after time.Duration
		lost  string
		age   time.Duration
	}{{time.Minute, "", 0}, {2 * time.Minute, "timeout", 0}, {3 * time.Minute, "refused", time.Minute}, {4 * time.Minute, "", 0}} {
		if got := seen(step.after, step.lost).Age(granted.Add(step.after)); got != step.age {
			t.Errorf("after %v with %q: age %v, want %v", step.after, step.lost, got, step.age)
		}
	}
}

func TestRecordIsReadBack(t *testing.T) {
	t.Parallel()
	full := tracker("10.0.0.2").Next(sight("h1", time.Minute, published("s", "10.0.0.2"))).Leader
	for name, l := range map[string]discovery.Leader{"full": full, "withdrawn": full.Withdrawn()} {
		r := l.Record()
		r["a-later-release"] = "tells more"
		if got, ok := discovery.FromRecord(r); !ok || got != l {
			t.Errorf("%s: read back as %+v, %v; want %+v", name, got, ok, l)
		}
	}
	for _, bad := range []map[string]string{nil, {"generation": "g"}, {"epoch": "1"}, {"generation": "g", "epoch": "-1"}} {
		if l, ok := discovery.FromRecord(bad); ok {
			t.Errorf("%v: read as %+v", bad, l)
		}
	}
}

func TestTenuresOfOneGenerationAreOrdered(t *testing.T) {
	t.Parallel()
	doc := func(generation string, counter uint64, session string) discovery.Leader {
		return discovery.Leader{Epoch: discovery.Epoch{Generation: generation, Counter: counter}, Session: session}
	}
	for _, tt := range []struct {
		name        string
		a, b        discovery.Leader
		older, same bool
	}{
		{"an earlier tenure", doc("g", 1, "x"), doc("g", 2, "y"), true, false},
		{"a later tenure", doc("g", 2, "y"), doc("g", 1, "x"), false, false},
		{"one tenure, numbered late by a restarted sidecar", doc("g", 1, "x"), doc("g", 9, "x"), false, true},
		{"one tenure, the session not known yet", doc("g", 1, ""), doc("g", 1, "x"), false, true},
		{"two generations", doc("g", 1, "x"), doc("h", 2, "y"), false, false},
		{"no sessions", doc("g", 1, ""), doc("g", 2, ""), true, false},
	} {
		if got := tt.a.Older(tt.b); got != tt.older {
			t.Errorf("%s: older %v", tt.name, got)
		}
		if got := tt.a.SameTenure(tt.b); got != tt.same {
			t.Errorf("%s: same tenure %v", tt.name, got)
		}
	}
}

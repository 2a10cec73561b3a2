package status_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"flink-ha-sidecar/discovery"
	"flink-ha-sidecar/internal/status"
	"flink-ha-sidecar/jobmanager/pulse"
	"flink-ha-sidecar/leader"
)

var now = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func leading() *leader.Snapshot {
	process := leader.Process{PID: 7, BootID: "b", PIDNamespace: "n", StartTime: 1}
	return &leader.Snapshot{
		Contact: true, Outcome: leader.Leading, Reason: "this pod's JobManager holds the lock", Alive: true, Looked: true,
		Epoch: leader.Epoch{Generation: "uid", Counter: 42}, Since: now.Add(-time.Minute),
		Evidence: leader.Evidence{Alive: []leader.Process{process}, Proof: leader.ProofPidfd, Second: "kubelet: container 0123 runs"},
		View: leader.View{
			Lock: leader.LockHeld, Tenure: leader.Tenure{Generation: "uid", Holder: "holder-1"}, Renewed: now.Add(-2 * time.Second), Lease: 15 * time.Second,
			Published: map[string]leader.Publication{
				leader.Dispatcher: {Session: "s1", Address: "pekko.tcp://flink@10.0.0.5:6123/user/rpc/dispatcher_1"},
				leader.RESTServer: {Session: "s2", Address: "http://10.0.0.5:8081"},
			},
		},
		Last: &leader.Case{Ending: leader.Freed, Holder: "holder-0", Freed: now.Add(-50 * time.Second).Add(9 * time.Millisecond),
			Death: leader.Death{At: now.Add(-50 * time.Second), Proof: leader.ProofPidfd}},
	}
}

// told is what followers hear of a snapshot that is the first.
func told(s *leader.Snapshot) discovery.State {
	t := discovery.Tracker{Owned: func(leader.Address) bool { return false }}
	return t.Next(s)
}

// TestAddressesOfTheLeaderBeforeAreNotTold follows a grant: Flink removes the old
// addresses some 0.1 s after it.
func TestAddressesOfTheLeaderBeforeAreNotTold(t *testing.T) {
	t.Parallel()
	at := func(session, ip string, components ...string) map[string]leader.Publication {
		all := map[string]leader.Publication{
			leader.Dispatcher: {Session: session, Address: "pekko.tcp://flink@" + ip + ":6123/user/rpc/dispatcher_1"}, leader.RESTServer: {Session: session, Address: "http://" + ip + ":8081"},
		}
		some := map[string]leader.Publication{}
		for _, c := range components {
			some[c] = all[c]
		}
		return some
	}
	granted := now.Add(-time.Minute)
	sight := func(holder string, counter uint64, after time.Duration, p map[string]leader.Publication) *leader.Snapshot {
		return &leader.Snapshot{
			Contact: true, Outcome: leader.Standby, At: granted.Add(after), Since: granted, Epoch: leader.Epoch{Generation: "uid", Counter: counter},
			View: leader.View{Lock: leader.LockHeld, Tenure: leader.Tenure{Generation: "uid", Holder: holder}, Acquired: granted, Renewed: granted.Add(after), Lease: 15 * time.Second, Published: p},
		}
	}
	old := sight("old", 1, time.Hour, at("a", "10.0.0.1", leader.Dispatcher, leader.RESTServer))
	tracker := discovery.Tracker{Owned: func(leader.Address) bool { return false }}
	before := tracker.Next(old)
	for _, step := range []struct {
		name string
		s    *leader.Snapshot
		// behind: the followers have not heard of this snapshot yet.
		behind                          bool
		holder, hostPort, rest, session string
	}{
		{"the old leader", old, false, "old", "10.0.0.1:6123", "http://10.0.0.1:8081", "a"},
		{"granted, followers not told yet", sight("new", 2, 0, old.View.Published), true, "new", "", "", ""},
		{"granted, the old addresses stand", sight("new", 2, 0, old.View.Published), false, "new", "", "", ""},
		{"REST alone", sight("new", 2, 120*time.Millisecond, at("b", "10.0.0.2", leader.RESTServer)), false, "new", "", "", ""},
		{"all", sight("new", 2, 300*time.Millisecond, at("b", "10.0.0.2", leader.Dispatcher, leader.RESTServer)), false, "new", "10.0.0.2:6123", "http://10.0.0.2:8081", "b"},
		{"an IPv6 address", sight("six", 3, time.Minute, at("c", "[fd00::5]", leader.Dispatcher, leader.RESTServer)), false, "six", "[fd00::5]:6123", "http://[fd00::5]:8081", "c"},
	} {
		heard := before
		if !step.behind {
			heard = tracker.Next(step.s)
		}
		l := status.Of(step.s, pulse.Verdict{}, heard, status.Cluster{}, now).Leader
		if l == nil || l.Holder != step.holder || l.HostPort != step.hostPort || l.RESTURL != step.rest || l.Session != step.session {
			t.Errorf("%s: told %+v, want %s at %q and %q in session %q", step.name, l, step.holder, step.hostPort, step.rest, step.session)
		}
	}
}

func TestDocumentTellsTheLeaderTheLockAndTheLastDeath(t *testing.T) {
	t.Parallel()
	d := status.Of(leading(), pulse.Verdict{}, told(leading()), status.Cluster{ID: "c"}, now)
	if d.Leader == nil || d.Leader.HostPort != "10.0.0.5:6123" || d.Leader.RESTURL != "http://10.0.0.5:8081" || !d.Leader.Here || d.Leader.Session != "s1" {
		t.Errorf("leader %+v", d.Leader)
	}
	if d.Lock.AgeSeconds != 2 || d.Lock.MarginSeconds != 13 {
		t.Errorf("lock %+v, want renewed 2 s ago and 13 s left", d.Lock)
	}
	if !d.JobManager.Bound || d.JobManager.Process != "PID 7" || d.JobManager.Proof != "process" {
		t.Errorf("JobManager %+v", d.JobManager)
	}
	if d.LastDeath == nil || d.LastDeath.FreedMS == nil || *d.LastDeath.FreedMS != 9 || d.LastDeath.GrantedMS != nil {
		t.Errorf("last death %+v, want freed after 9 ms and no more", d.LastDeath)
	}
}

func TestNoContactTellsNoLeader(t *testing.T) {
	t.Parallel()
	d := status.Of(&leader.Snapshot{Lost: "connection refused"}, pulse.Verdict{}, discovery.State{}, status.Cluster{}, now)
	if d.Leader != nil || d.Lock.State != "unknown" || d.Outcome != "connecting" {
		t.Errorf("got %+v, want nothing but the state", d)
	}
}

func TestTableSaysWhatMatters(t *testing.T) {
	t.Parallel()
	unbound := leading()
	unbound.Outcome, unbound.Reason = leader.Unbound, "its address was already published when this sidecar first saw the lock"
	for _, tt := range []struct {
		name string
		s    *leader.Snapshot
		v    pulse.Verdict
		want []string
	}{
		{"leading", leading(), pulse.Verdict{}, []string{"holder-1 (this pod)", "RPC 10.0.0.5:6123, REST http://10.0.0.5:8081", "runs out in 13.0 s", "bound: its lock is freed when it dies", "freed after 9 ms",
			"process: its process is seen from here", "second opinion: kubelet: container 0123 runs"}},
		{"not bound", unbound, pulse.Verdict{}, []string{"not bound: its address was already published"}},
		{"no contact", &leader.Snapshot{Lost: "connection refused"}, pulse.Verdict{}, []string{"no contact yet: connection refused", "none known"}},
		{"stuck", leading(), pulse.Verdict{Process: leading().Evidence.Alive[0], Serving: true, Stuck: true, At: now, SilentSince: now.Add(-25 * time.Second),
			REST: pulse.Answer{Asked: true, Detail: "no answer in time"}}, []string{"stuck: its REST API does not answer (no answer in time), and its lock is not renewed, for 25 s"}},
	} {
		var b bytes.Buffer
		if err := status.WriteTable(&b, status.Of(tt.s, tt.v, told(tt.s), status.Cluster{ID: "c", Namespace: "n", Backend: "kubernetes"}, now)); err != nil {
			t.Fatal(err)
		}
		for _, want := range tt.want {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s: the table lacks %q:\n%s", tt.name, want, b.String())
			}
		}
	}
}

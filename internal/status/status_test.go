package status_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

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

func TestDocumentTellsTheLeaderTheLockAndTheLastDeath(t *testing.T) {
	t.Parallel()
	d := status.Of(leading(), pulse.Verdict{}, status.Cluster{ID: "c"}, now)
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
	d := status.Of(&leader.Snapshot{Lost: "connection refused"}, pulse.Verdict{}, status.Cluster{}, now)
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
		if err := status.WriteTable(&b, status.Of(tt.s, tt.v, status.Cluster{ID: "c", Namespace: "n", Backend: "kubernetes"}, now)); err != nil {
			t.Fatal(err)
		}
		for _, want := range tt.want {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s: the table lacks %q:\n%s", tt.name, want, b.String())
			}
		}
	}
}

package health_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"flink-ha-sidecar/health"
	"flink-ha-sidecar/jobmanager/pulse"
	"flink-ha-sidecar/leader"
)

var (
	now = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	us  = leader.Process{PID: 7, StartTime: 1}
)

// healthy is a sidecar with a JobManager that serves, with an outcome.
func healthy(o leader.Outcome) health.Inputs {
	s := leader.Snapshot{
		Outcome: o, Reason: "because", Contact: true, Looked: true, Alive: true, Evidence: leader.Evidence{Alive: []leader.Process{us}},
		View: leader.View{Lock: leader.LockHeld, Lease: 15 * time.Second, Renewed: now.Add(-time.Second)},
	}
	return health.Inputs{
		Snapshot: &s, Beat: now.Add(-time.Second), PulseBeat: now.Add(-time.Second), Policy: health.Serving, Kubernetes: true,
		Pulse: pulse.Verdict{At: now.Add(-time.Second), Process: us, Serving: true, Version: "1.20.3"},
	}
}

// states makes the inputs for each row of the table.
var states = map[string]func(*health.Inputs){
	"the sidecar's loops have not started":           from(leader.Connecting, func(in *health.Inputs) { *in = health.Inputs{Snapshot: &leader.Snapshot{}} }),
	"the loop that decides stands still":             from(leader.Leading, func(in *health.Inputs) { in.Beat = now.Add(-time.Minute) }),
	"the loop that asks the JobManager stands still": from(leader.Leading, func(in *health.Inputs) { in.PulseBeat = now.Add(-time.Minute); stuck(in, time.Minute) }),
	"the backend has not been reached yet":           from(leader.Connecting, func(in *health.Inputs) { in.Snapshot.Contact = false }),
	"no JobManager process":                          from(leader.Observing, noProcess),
	"the JobManager has just been started":           from(leader.Standby, func(in *health.Inputs) { in.Pulse = pulse.Verdict{} }),
	"it does not serve yet":                          from(leader.Standby, func(in *health.Inputs) { in.Pulse.Serving = false; in.Pulse.REST = pulse.Answer{Asked: true} }),
	"it cannot be asked, its ports are not known":    from(leader.Leading, func(in *health.Inputs) { in.Pulse.Version = "" }),
	"leader":                                           from(leader.Leading, nil),
	"leader, the backend is out of sight":              from(leader.Leading, unseen(10*time.Second)),
	"leader, out of sight, its lease is over":          from(leader.Leading, unseen(16*time.Second)),
	"leader with ZooKeeper, out of sight for a minute": from(leader.Leading, func(in *health.Inputs) { zookeeper(in); unseen(time.Minute)(in) }),
	"leader, silent below the limit":                   from(leader.Leading, func(in *health.Inputs) { in.Pulse.SilentSince = now.Add(-15 * time.Second) }),
	"leader, stuck":                                    from(leader.Leading, func(in *health.Inputs) { stuck(in, time.Second) }),
	"leader, stuck by a verdict that is old":           from(leader.Leading, func(in *health.Inputs) { stuck(in, 15*time.Second) }),
	"leader, the one before it was stuck":              from(leader.Leading, func(in *health.Inputs) { stuck(in, time.Second); in.Pulse.Process.StartTime = 0 }),
	"leader that died, its lock is being freed":        from(leader.Freeing, noProcess),
	"standby":                                               from(leader.Standby, nil),
	"standby, the backend is out of sight":                  from(leader.Standby, unseen(time.Minute)),
	"standby, stuck":                                        from(leader.Standby, func(in *health.Inputs) { stuck(in, time.Second) }),
	"standby, was leader, Flink 1.20.3":                     from(leader.Standby, demoted("1.20.3")),
	"standby, was leader, Flink 1.18.1":                     from(leader.Standby, demoted("1.18.1")),
	"standby, was leader, Flink 1.18.1 with ZooKeeper":      from(leader.Standby, func(in *health.Inputs) { zookeeper(in); demoted("1.18.1")(in) }),
	"was leader, its lease ended a lease ago, Flink 1.20.3": from(leader.Leading, notRenewed("1.20.3")),
	"was leader, its lease ended a lease ago, Flink 1.18.1": from(leader.Leading, notRenewed("1.18.1")),
	"nobody holds the lock":                                 from(leader.Vacant, func(in *health.Inputs) { in.Snapshot.View = leader.View{Lock: leader.LockVacant} }),
	"there is no lock yet":                                  from(leader.Absent, func(in *health.Inputs) { in.Snapshot.View = leader.View{} }),
	"retired, the JobManager lives":                         from(leader.Retired, func(in *health.Inputs) { in.Snapshot.View = leader.View{} }),
	"retired, the JobManager has ended":                     from(leader.Retired, noProcess),
	"the holder may be this JobManager, it is not bound":    from(leader.Unbound, nil),
	"the guard is refused":                                  from(leader.GuardOff, nil),
}

func from(o leader.Outcome, change func(*health.Inputs)) func(*health.Inputs) {
	return func(in *health.Inputs) {
		*in = healthy(o)
		if change != nil {
			change(in)
		}
	}
}

func noProcess(in *health.Inputs) {
	in.Snapshot.Alive, in.Snapshot.Evidence, in.Pulse = false, leader.Evidence{Problem: "no JobManager process is running"}, pulse.Verdict{At: now}
}

func unseen(d time.Duration) func(*health.Inputs) {
	return func(in *health.Inputs) {
		in.Snapshot.Lost, in.Snapshot.LostAt = "connection refused", now.Add(-d)
		if in.Snapshot.View.Lease > 0 {
			in.Snapshot.View.Renewed = now.Add(-d)
		}
	}
}

func stuck(in *health.Inputs, age time.Duration) {
	in.Pulse.At = now.Add(-age)
	in.Pulse.Stuck, in.Pulse.SilentSince = true, in.Pulse.At.Add(-25*time.Second)
	in.Pulse.REST = pulse.Answer{Asked: true, Detail: "no answer in time"}
}

func demoted(version string) func(*health.Inputs) {
	return func(in *health.Inputs) { in.Snapshot.Demoted, in.Pulse.Version = true, version }
}

func notRenewed(version string) func(*health.Inputs) {
	return func(in *health.Inputs) {
		in.Snapshot.Own, in.Snapshot.View.Renewed, in.Pulse.Version = "h", now.Add(-31*time.Second), version
	}
}

func zookeeper(in *health.Inputs) {
	in.Kubernetes, in.Snapshot.View.Lease, in.Snapshot.View.Renewed = false, 0, time.Time{}
}

// answers are the columns of the table.
var answers = []struct {
	column string
	policy health.Policy
	probe  health.Probe
	good   string
	bad    string
}{
	{"`/startupz`", "", health.Started, "200", "503"},
	{"`/livez`", "", health.Live, "200", "503"},
	{"`/readyz`", health.Serving, health.Ready, "200", "503"},
	{"`/readyz` leader-only", health.LeaderOnly, health.Ready, "200", "503"},
	{"`/leader`", "", health.Leader, "200", "503"},
	{"`/standby`", "", health.Standby, "200", "503"},
	{"`check-jobmanager`", "", health.JobManager, "passes", "fails"},
}

// TestTheTableInTheDocsIsTheCode: every state with every endpoint, both ways.
func TestTheTableInTheDocsIsTheCode(t *testing.T) {
	t.Parallel()
	rows := documented(t)
	for name := range states {
		if _, ok := rows[name]; !ok {
			t.Errorf("the state %q is not in docs/health.md", name)
		}
	}
	for name, cells := range rows {
		build, ok := states[name]
		if !ok {
			t.Errorf("the state %q of docs/health.md is not tested", name)
			continue
		}
		for i, a := range answers {
			var in health.Inputs
			build(&in)
			in.Policy = a.policy
			got, report := a.bad, a.probe(in, now)
			if report.OK() {
				got = a.good
			}
			if got != cells[i] {
				t.Errorf("%s: %s is %s, docs/health.md says %s: %+v", name, a.column, got, cells[i], report)
			}
			for _, c := range report {
				if c.OK != (c.Reason == "") {
					t.Errorf("%s: %s: check %+v: a reason belongs to a failure and only there", name, a.column, c)
				}
			}
		}
	}
}

// documented reads the table that begins with the columns.
func documented(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../docs/health.md")
	if err != nil {
		t.Fatal(err)
	}
	header := "| state |"
	for _, a := range answers {
		header += " " + a.column + " |"
	}
	_, table, found := strings.Cut(string(text), header+"\n")
	if !found {
		t.Fatalf("docs/health.md has no table with the columns %q", header)
	}
	rows := make(map[string][]string)
	for i, line := range strings.Split(table, "\n") {
		if i == 0 {
			continue // the line below the header
		}
		if !strings.HasPrefix(line, "|") {
			break
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for n := range cells {
			cells[n] = strings.TrimSpace(cells[n])
		}
		if len(cells) != len(answers)+1 {
			t.Fatalf("the row %q has %d cells", line, len(cells))
		}
		rows[cells[0]] = cells[1:]
	}
	return rows
}

func TestHandlerAnswersInLines(t *testing.T) {
	t.Parallel()
	bad := health.Report{{Name: "loop", OK: true}, {Name: "jobmanager", Reason: "no process"}}
	good := bad[:1]
	for _, tt := range []struct {
		name, method, target string
		report               health.Report
		status               int
		body, allow          string
	}{
		{"a failing probe says why", "GET", "/readyz", bad, http.StatusServiceUnavailable, "[+]loop ok\n[-]jobmanager: no process\n", ""},
		{"a passing probe is short", "GET", "/livez", good, http.StatusOK, "ok\n", ""},
		{"unless it is asked", "GET", "/livez?verbose", good, http.StatusOK, "[+]loop ok\n", ""},
		{"OPTIONS has the status alone", "OPTIONS", "/leader?verbose", bad, http.StatusServiceUnavailable, "", "GET, HEAD, OPTIONS"},
		{"of a passing probe too", "OPTIONS", "/leader", good, http.StatusOK, "", "GET, HEAD, OPTIONS"},
		{"nothing can be written", "POST", "/livez", good, http.StatusMethodNotAllowed, "read only\n", "GET, HEAD, OPTIONS"},
	} {
		h := health.Handler(func() health.Inputs { return health.Inputs{} }, func(health.Inputs, time.Time) health.Report { return tt.report })
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(tt.method, tt.target, nil))
		if w.Code != tt.status || w.Body.String() != tt.body || w.Header().Get("Allow") != tt.allow {
			t.Errorf("%s: %d %q, Allow %q; want %d %q", tt.name, w.Code, w.Body, w.Header().Get("Allow"), tt.status, tt.body)
		}
	}
}

// BenchmarkProbe is what a probe costs without the network.
func BenchmarkProbe(b *testing.B) {
	in := healthy(leader.Leading)
	h := health.Handler(func() health.Inputs { return in }, health.Ready)
	for b.Loop() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz?verbose", nil))
		if w.Body.Len() == 0 {
			b.Fatal("no answer")
		}
	}
}

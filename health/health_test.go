package health_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"flink-ha-sidecar/health"
	"flink-ha-sidecar/leader"
)

var now = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func TestProbes(t *testing.T) {
	t.Parallel()
	up := leader.Snapshot{Contact: true, Alive: true}
	for _, tt := range []struct {
		name        string
		in          health.Inputs
		live, ready bool
		reason      string
	}{
		{"before the loop has started", health.Inputs{Snapshot: &leader.Snapshot{}}, false, false, "not started"},
		{"no contact yet", health.Inputs{Snapshot: &leader.Snapshot{Alive: true, Lost: "connection refused"}, Beat: now}, true, false, "connection refused"},
		{"no JobManager", health.Inputs{Snapshot: &leader.Snapshot{Contact: true}, Beat: now}, true, false, "no process"},
		{"all well", health.Inputs{Snapshot: &up, Beat: now.Add(-time.Second)}, true, true, ""},
		{"the backend is lost after the first contact", health.Inputs{Snapshot: &leader.Snapshot{Contact: true, Alive: true, Lost: "timeout"}, Beat: now}, true, true, ""},
		{"the loop stands still", health.Inputs{Snapshot: &up, Beat: now.Add(-time.Minute)}, false, false, "has not turned for 1m0s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := health.Started(tt.in, now).OK(); got == tt.in.Beat.IsZero() {
				t.Errorf("started %v, and the loop last turned %v", got, tt.in.Beat)
			}
			if got := health.Live(tt.in, now).OK(); got != tt.live {
				t.Errorf("live %v, want %v", got, tt.live)
			}
			report := health.Ready(tt.in, now)
			if got := report.OK(); got != tt.ready {
				t.Errorf("ready %v, want %v", got, tt.ready)
			}
			var reasons []string
			for _, c := range report {
				reasons = append(reasons, c.Reason)
			}
			if got := strings.Join(reasons, " "); !strings.Contains(got, tt.reason) {
				t.Errorf("reasons %q, want %q among them", got, tt.reason)
			}
		})
	}
}

func TestHandlerAnswersInLines(t *testing.T) {
	t.Parallel()
	report := health.Report{{Name: "loop", OK: true}, {Name: "jobmanager", Reason: "no process"}}
	answer := func(r health.Report, method, target string) *httptest.ResponseRecorder {
		h := health.Handler(func() health.Inputs { return health.Inputs{} }, func(health.Inputs, time.Time) health.Report { return r })
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, target, nil))
		return w
	}
	for _, tt := range []struct {
		name, method, target string
		report               health.Report
		status               int
		body                 string
	}{
		{"a failing probe says why", "GET", "/readyz", report, http.StatusServiceUnavailable, "[+]loop ok\n[-]jobmanager: no process\n"},
		{"a passing probe is short", "GET", "/livez", report[:1], http.StatusOK, "ok\n"},
		{"unless it is asked", "GET", "/livez?verbose", report[:1], http.StatusOK, "[+]loop ok\n"},
		{"nothing can be written", "POST", "/livez", report[:1], http.StatusMethodNotAllowed, "read only\n"},
	} {
		w := answer(tt.report, tt.method, tt.target)
		if w.Code != tt.status || w.Body.String() != tt.body {
			t.Errorf("%s: %d %q, want %d %q", tt.name, w.Code, w.Body, tt.status, tt.body)
		}
	}
}

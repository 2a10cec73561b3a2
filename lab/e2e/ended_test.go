package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"flink-ha-sidecar/lab"
)

// A job that is cancelled is an end, not a failover: Flink removes its HA data
// and ends. A standby then runs the job again, which is Flink's own doing and
// worth a warning.
func TestIntegrationCancelledJobIsNoFailover(t *testing.T) {
	p := shared(t)
	c := start(t, p.flink(t, "2.3"))
	leader := ready(t, c)
	standby := standbyOf(t, c, leader)
	s, held := c.SidecarOf(leader), c.Lock.Last()

	cancelled := time.Now()
	cancelJob(t, leader)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := leader.Wait(ctx); err != nil {
		t.Errorf("the leader ended with %v, want status 0", err)
	}
	await(t, c, held, "the end of the lock's object", func(v lab.LockVersion) bool { return v.Gone })
	awaitSaid(t, s, msgOutcome, "to:retired")
	awaitSaid(t, s, msgEnded)
	line := awaitSaid(t, c.SidecarOf(standby), "the application has ended", "run the job again")
	if line.Level != "warn" {
		t.Errorf("the standby is told of as %s, want warn", line.Level)
	}
	for _, s := range c.Sidecars {
		if n := metric(t, s, "flink_ha_releases_total"); n != 0 {
			t.Errorf("%s: %v failovers counted, want none", s.Name, n)
		}
	}
	mustNotFree(t, c.Sidecars...)
	mustNotComplain(t, s, cancelled)
	mustLive(t, s)
	mustPass(t, s)
	mustAnswer(t, s, "/readyz", http.StatusServiceUnavailable) // nobody is there
	mustAnswer(t, c.SidecarOf(standby), "/readyz", http.StatusOK)
}

// mustNotComplain fails the test if a sidecar reports any failure since.
func mustNotComplain(t *testing.T, s *lab.Sidecar, since time.Time) {
	t.Helper()
	events, err := lab.ReadSidecarLog(s.Log())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.At.After(since) && e.Level != "info" && e.Level != "debug" {
			t.Errorf("%s: %s: %s %v", s.Name, e.Level, e.Message, e.Fields)
		}
	}
	for _, name := range []string{"flink_ha_releases_total", "flink_ha_unbound_deaths_total", "flink_ha_jobmanager_stuck_total"} {
		if n := metric(t, s, name); n != 0 {
			t.Errorf("%s: %s is %v, want 0", s.Name, name, n)
		}
	}
}

// cancelJob cancels the one job of a JobManager.
func cancelJob(t *testing.T, j *lab.JobManager) {
	t.Helper()
	code, text := ask(t, j.REST()+"/jobs")
	var list struct{ Jobs []struct{ ID string } }
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list.Jobs) != 1 {
		t.Fatalf("list jobs: status %d, %s", code, text)
	}
	url := j.REST() + "/jobs/" + list.Jobs[0].ID + "?mode=cancel"
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, url, bytes.NewReader(nil))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusAccepted {
		t.Fatalf("cancel job: %s", response.Status)
	}
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSettingsAreReadFromTheEnvironment(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, tt := range []struct {
		env   map[string]string
		cells int
		bad   string
	}{
		{map[string]string{}, 3 + 3*6, ""},
		{map[string]string{"FOLLOWERS": "10,20", "SOURCES": "poll,lock-5s"}, 1 + 2*2, ""},
		{map[string]string{"FOLLOWERS": "10,many"}, 0, "FOLLOWERS"},
		{map[string]string{"FOLLOWERS": "0"}, 0, "FOLLOWERS"},
		{map[string]string{"SOURCES": "gossip"}, 0, "SOURCES"},
		{map[string]string{"FOR": "soon"}, 0, "FOR"},
		{map[string]string{"CHANGES": "-1"}, 0, "CHANGES"},
		{map[string]string{"FOR": "10s", "CHANGES": "20"}, 0, "FOR"},
		{map[string]string{"OUT": "/no/where/x.json"}, 0, "OUT"},
	} {
		s, err := parseSettings(func(name string) string {
			if value := tt.env[name]; value != "" || name != "OUT" {
				return value
			}
			return filepath.Join(dir, "x.json")
		})
		switch {
		case tt.bad != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.bad+" is ")):
			t.Errorf("%v: error %v, want one about %s", tt.env, err, tt.bad)
		case tt.bad == "" && (err != nil || len(s.cells()) != tt.cells):
			t.Errorf("%v: %d cells, %v; want %d", tt.env, len(s.cells()), err, tt.cells)
		}
	}
}

// rows are some of a run that was interrupted.
func rows() results {
	var r results
	for _, n := range []int{100, 1000} {
		for _, s := range []source{sources[0], sources[2], sources[5]} {
			r.put(cell{s, n}, row{Followers: n, Source: s.name, RetryPeriod: s.retry.Seconds(), Events: float64(n), APICPU: float64(n) / 100, Max: float64(n), Seconds: 60})
		}
	}
	return r
}

func TestAResumedRunKnowsWhatIsDone(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.json")
	if r, err := load(file); err != nil || len(r.Rows) != 0 {
		t.Fatalf("no file reads as %+v, %v", r, err)
	}
	if err := rows().save(file); err != nil {
		t.Fatal(err)
	}
	r, err := load(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, done := r.find(cell{sources[5], 1000}); !done {
		t.Error("a row that is there is not found")
	}
	if _, done := r.find(cell{sources[1], 1000}); done {
		t.Error("a row is found that is not there")
	}
	r.put(cell{sources[5], 1000}, row{Followers: 1000, Source: "sidecar", RetryPeriod: 1, Max: 7})
	if again, _ := r.find(cell{sources[5], 1000}); again.Max != 7 || len(r.Rows) != 6 {
		t.Errorf("measured again: %+v of %d rows", again, len(r.Rows))
	}
}

func TestTheIdleServerIsSubtractedForTheSameTime(t *testing.T) {
	t.Parallel()
	got := row{Requests: 10, Events: 5, APICPU: 9, APIRSS: 300, Seconds: 60}.above(row{Requests: 4, Events: 1, APICPU: 1, APIRSS: 250, Seconds: 30})
	if got.Requests != 6 || got.Events != 4 || got.APICPU != 7 || got.APIRSS != 50 {
		t.Errorf("got %+v", got)
	}
}

func TestPageAndPlotsTellTheRows(t *testing.T) {
	t.Parallel()
	page := rows().page("discovery")
	for _, want := range []string{"| 1,000 | sidecar | 1 |", "With 1,000 followers at the sidecars", "discovery-events.svg"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	if text := (results{}).page("x"); !strings.Contains(text, "Not all sources are measured yet.") {
		t.Errorf("a page without rows says\n%s", text)
	}
	for _, p := range plots {
		svg := p.draw(rows().Rows)
		if n := strings.Count(svg, "<polyline"); n != 3 {
			t.Errorf("%s has %d lines, want 3", p.name, n)
		}
		if err := wellFormed(svg); err != nil || strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Errorf("%s: %v\n%s", p.name, err, svg)
		}
		if err := wellFormed(p.draw(nil)); err != nil {
			t.Errorf("%s without rows: %v", p.name, err)
		}
	}
}

func wellFormed(text string) error {
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func TestWhoMissesALeaderIsLateForIt(t *testing.T) {
	t.Parallel()
	c := &crowd{sessions: map[string][]int64{}}
	last := c.hear(session(3), -1)
	last = c.hear(session(6), last)
	if last != 6 || len(c.sessions) != 4 || len(c.sessions[session(5)]) != 1 || len(c.sessions[session(2)]) != 0 {
		t.Errorf("last %d, sessions %v", last, c.sessions)
	}
	begun := time.UnixMicro(c.sessions[session(6)][0]).Add(-time.Second)
	var r row
	r.late(map[string]time.Time{session(4): begun, session(6): begun}, heard{Sessions: c.sessions}, 2)
	if r.Missed != 2 || r.Max != 1000 || r.P50 != 1000 {
		t.Errorf("%+v, want two late by a second and two missed", r)
	}
}

func TestSessionsAreFoundInWhatTheAPIServerSends(t *testing.T) {
	t.Parallel()
	lock := `{"metadata":{"managedFields":[{"f:data":{"f:` + leaderKey + `resourcemanager":{}}}]},"data":{"` + leaderKey + `resourcemanager":"` + session(7) + `,pekko.tcp://x"}}`
	if got := inLock.find([]byte(lock)); numberOf(got) != 7 {
		t.Errorf("found %q", got)
	}
	if got := inPublished.find([]byte(`{"data":{"format":"1","session":"` + session(8) + `"}}`)); numberOf(got) != 8 {
		t.Errorf("found %q", got)
	}
	if got := inLock.find([]byte(`{"data":{}}`)); got != "" {
		t.Errorf("found %q", got)
	}
}

func TestACrowdRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	raw, err := json.Marshal(assignment{Kind: "gossip", Followers: 1})
	if err != nil {
		t.Fatal(err)
	}
	for input, code := range map[string]int{"": 2, "x\n": 2, string(raw) + "\n": 1} {
		var out, errs bytes.Buffer
		if got := crowdMain(context.Background(), strings.NewReader(input), &out, &errs); got != code || errs.Len() == 0 {
			t.Errorf("%q: exit %d, says %q; want %d", input, got, errs.String(), code)
		}
	}
}

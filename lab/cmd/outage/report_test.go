package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

func env(pairs map[string]string) func(string) string {
	return func(name string) string { return pairs[name] }
}

func TestSettingsSelectCells(t *testing.T) {
	for _, row := range []struct {
		env  map[string]string
		want int
		bad  string
	}{
		{nil, len(allCells()), ""},
		{map[string]string{"KINDS": "killed-30s"}, 4, ""},
		{map[string]string{"KINDS": "killed-30s,flapping", "LEADER": "killed"}, 4, ""},
		{map[string]string{"KINDS": "killed-30s,flapping", "LEADER": "killed", "SIDE": "sidecar"}, 2, ""},
		{map[string]string{"KINDS": "killed-60s"}, 5, ""},
		{map[string]string{"KINDS": "up"}, 4, ""},
		{map[string]string{"KINDS": "burnt"}, 0, "KINDS"},
		{map[string]string{"LEADER": "alive,dead"}, 0, "LEADER"},
		{map[string]string{"SIDE": "both"}, 0, "SIDE"},
		{map[string]string{"SAMPLES": "0"}, 0, "SAMPLES"},
		{map[string]string{"OUT": "/nowhere/at/all/x"}, 0, "OUT"},
	} {
		s, err := parseSettings(env(row.env))
		switch {
		case row.bad == "" && (err != nil || len(s.cells()) != row.want):
			t.Errorf("%v: %d cells, %v, want %d", row.env, len(s.cells()), err, row.want)
		case row.bad != "" && (err == nil || !strings.HasPrefix(err.Error(), row.bad+" ")):
			t.Errorf("%v: error %v, want one about %s", row.env, err, row.bad)
		}
	}
}

func TestResultGoesOnWhereItWasEnded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "out.json")
	r, err := readResult(file)
	if err != nil || len(r.Rows) != 0 {
		t.Fatalf("no file: %v, %v", r, err)
	}
	c := cell{Kind: "killed-60s", Killed: true, Sidecar: true, Long: true}
	freed, published := int64(120), int64(1450)
	r.Flink, r.RetryPeriod = "2.3.0", 1
	r.add(c, sample{OutageS: 66.2, Restarts: 1, Replayed: 40, SilenceMS: 3100, FreedMS: &freed, PublishedMS: &published, CheckpointMS: 2900,
		Requests: []float64{40, 22}, Releases: map[string]int{"freed": 1}})
	r.add(cell{Kind: "killed-30s"}, sample{OutageS: 36, Kept: true, CheckpointMS: 10})
	if err := r.write(file); err != nil {
		t.Fatal(err)
	}
	again, err := readResult(file)
	if err != nil || again.samples(c) != 1 || again.samples(cell{Kind: "killed-60s"}) != 0 {
		t.Fatalf("read back: %+v, %v", again, err)
	}
	var b bytes.Buffer
	again.print(&b)
	short := strings.Index(b.String(), "| killed-30s | alive | plain | 15 | 36.0 | 0 | 0 | 0 | - | kept | 10 | 0 | - | - |\n")
	long := strings.Index(b.String(), "| killed-60s | killed | sidecar | 180 | 66.2 | 1 | 40 | 3100 | 120 | 1450 | 2900 | 0 | 1 freed | 40, 22 |\n")
	if short < 0 || long < short {
		t.Errorf("lines missing or out of order in\n%s", b.String())
	}
}

func TestSampleRefusesASidecarThatAsksTooOften(t *testing.T) {
	for requests, fine := range map[float64]bool{0: true, 75: true, 76: false} {
		err := sample{OutageS: 30, Requests: []float64{1, requests}}.check()
		if (err == nil) != fine {
			t.Errorf("%v requests in 30 s: %v", requests, err)
		}
	}
}

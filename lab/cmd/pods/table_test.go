package main

import (
	"strings"
	"testing"
	"time"

	"flink-ha-sidecar/lab"
)

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func failover(published, freed int) *lab.Failover {
	f := &lab.Failover{After: map[lab.Phase]time.Duration{lab.LeaderPublished: ms(published)}, Replayed: 7}
	if freed > 0 {
		f.After[lab.LockFreed] = ms(freed)
	}
	return f
}

func TestFailoversAreMediansAndWorst(t *testing.T) {
	var text strings.Builder
	writeFailovers(&text, [2][]*lab.Failover{
		{failover(16000, 0), failover(15000, 0), failover(17123, 400)},
		{failover(900, 80), failover(1100, 90), failover(1000, 70)},
	})
	for _, want := range []string{
		"median (worst) of 3",
		"| plain Flink | - | 400 (400), in 1 | 16,000 (17,123) | - | 7 (7) | 0 (0) |",
		"| with sidecar | - | 80 (90) | 1,000 (1,100) | - | 7 (7) | 0 (0) |",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, &text)
		}
	}
}

func TestRolloutsAreSums(t *testing.T) {
	var text strings.Builder
	begin := time.Unix(1000, 0)
	gap := func(from, to int) lab.Gap { return lab.Gap{From: begin.Add(ms(from)), To: begin.Add(ms(to))} }
	writeRollouts(&text, [2][]*lab.Rollout{
		{{Begin: begin, End: begin.Add(time.Minute), Gaps: []lab.Gap{gap(0, 16000), gap(20000, 36500)}}},
		{{Begin: begin, End: begin.Add(time.Minute), Gaps: []lab.Gap{gap(0, 1500), gap(20000, 21000)}}},
	})
	for _, want := range []string{"| plain Flink | 32,500 (32,500) | 2 (2) | 60,000 (60,000) |", "| with sidecar | 2,500 (2,500) | 2 (2) |"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, &text)
		}
	}
}

func TestWordTellsTheWholeDistribution(t *testing.T) {
	var text strings.Builder
	writeWord(&text, []*lab.Failover{failover(2000, 900), failover(1500, 300), failover(1700, 600)})
	for _, want := range []string{"| lock freed | 600 | 900 | 900 |", "all: 300 600 900\n"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, &text)
		}
	}
}

func TestSettings(t *testing.T) {
	for name, row := range map[string]struct {
		env  map[string]string
		want string // in the error; empty for none
	}{
		"nothing set":            {nil, ""},
		"two scenarios":          {map[string]string{"SCENARIOS": "killed rolling", "SAMPLES": "2"}, ""},
		"an unknown scenario":    {map[string]string{"SCENARIOS": "flood"}, `SCENARIOS has "flood": give some of killed oom`},
		"no samples":             {map[string]string{"SAMPLES": "0"}, `SAMPLES is "0"`},
		"kills in words":         {map[string]string{"KILLS": "many"}, `KILLS is "many"`},
		"a file in no folder":    {map[string]string{"OUT": "/no/such/folder/file"}, "its folder is not there"},
		"more samples than days": {map[string]string{"SAMPLES": "101"}, "from 1 to 100"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseSettings(func(key string) string { return row.env[key] })
			switch {
			case row.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)):
				t.Errorf("got %v, want %q", err, row.want)
			}
		})
	}
}

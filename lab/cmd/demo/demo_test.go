package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"flink-ha-sidecar/lab"
)

func TestParseSettings(t *testing.T) {
	environment := func(pairs ...string) func(string) string {
		return func(key string) string {
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i] == key {
					return pairs[i+1]
				}
			}
			return ""
		}
	}
	standard := settings{samples: 1, backend: lab.Kubernetes, flink: "2.3.0", jobManagers: 2, signal: syscall.SIGKILL, retry: time.Second}
	if got, err := parseSettings(environment()); err != nil || got != standard {
		t.Errorf("nothing set: %+v, %v; want %+v", got, err, standard)
	}
	out := filepath.Join(t.TempDir(), "out.json")
	want := settings{samples: 5, backend: lab.Kubernetes, flink: "1.18.1", jobManagers: 1, signal: syscall.SIGTERM, retry: 400 * time.Millisecond, keep: true, out: out}
	got, err := parseSettings(environment("SAMPLES", "5", "BACKEND", "kubernetes", "FLINK", "1.18", "JOBMANAGERS", "1", "SIGNAL", "TERM", "RETRY", "400ms", "KEEP", "1", "OUT", out))
	if err != nil || got != want {
		t.Errorf("all set: %+v, %v; want %+v", got, err, want)
	}
	if got, err := parseSettings(environment("SIGNAL", "HANDOVER")); err != nil || !got.handover || got.signal != syscall.SIGTERM || got.signalName() != "HANDOVER" {
		t.Errorf("a handover: %+v, %v", got, err)
	}
	for _, row := range [][2]string{
		{"SAMPLES", "0"}, {"SAMPLES", "many"}, {"BACKEND", "etcd"}, {"FLINK", "3"}, {"JOBMANAGERS", "0"}, {"JOBMANAGERS", "9"},
		{"SIGNAL", "9"}, {"RETRY", "1"}, {"RETRY", "1ms"}, {"RETRY", "20s"}, {"KEEP", "yes"}, {"OUT", "/nowhere/at/all/x"},
	} {
		var b bytes.Buffer
		if status := run(t.Context(), environment(row[0], row[1]), &b); status != 2 {
			t.Errorf("%s=%s: status %d, want 2", row[0], row[1], status)
		}
		if text := b.String(); !strings.HasPrefix(text, "demo: "+row[0]) || strings.Count(text, "\n") != 1 {
			t.Errorf("%s=%s: says %q; want one line that names the variable", row[0], row[1], text)
		}
	}
}

func took(granted, running, checkpoint, replayed int, freed int) *lab.Failover {
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	f := &lab.Failover{Replayed: replayed, Silence: ms(500), After: map[lab.Phase]time.Duration{
		lab.LeaderGranted: ms(granted), lab.JobRunning: ms(running), lab.FirstCheckpoint: ms(checkpoint),
	}}
	if freed > 0 {
		f.After[lab.LockFreed] = ms(freed)
	}
	return f
}

var example = measured{
	plain:   []*lab.Failover{took(15000, 16000, 17000, 800, 0), took(14000, 15000, 16000, 700, 50), took(16000, 17000, 18000, 900, 0)},
	sidecar: []*lab.Failover{took(900, 1900, 2000, 90, 40), took(1000, 2000, 2500, 100, 30), took(1100, 2100, 3000, 110, 60)},
}

func TestResultHasMediansAndRatio(t *testing.T) {
	s := settings{samples: 3, backend: lab.Kubernetes, flink: "2.3.0", jobManagers: 2, signal: syscall.SIGKILL, retry: 400 * time.Millisecond}
	file := filepath.Join(t.TempDir(), "out.json")
	if err := example.result(s).write(file); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, content); err != nil {
		t.Fatal(err)
	}
	want := `{"backend":"kubernetes","flink":"2.3.0","jobmanagers":2,"signal":"KILL","retry_period_s":0.4,` +
		`"plain":{"granted_ms":15000,"running_ms":16000,"checkpoint_ms":17000,"replayed":800,"samples":[` +
		`{"granted_ms":15000,"running_ms":16000,"checkpoint_ms":17000,"replayed":800},` +
		`{"granted_ms":14000,"running_ms":15000,"checkpoint_ms":16000,"replayed":700},` +
		`{"granted_ms":16000,"running_ms":17000,"checkpoint_ms":18000,"replayed":900}]},` +
		`"sidecar":{"freed_ms":40,"granted_ms":1000,"running_ms":2000,"checkpoint_ms":2500,"replayed":100,"samples":[` +
		`{"freed_ms":40,"granted_ms":900,"running_ms":1900,"checkpoint_ms":2000,"replayed":90},` +
		`{"freed_ms":30,"granted_ms":1000,"running_ms":2000,"checkpoint_ms":2500,"replayed":100},` +
		`{"freed_ms":60,"granted_ms":1100,"running_ms":2100,"checkpoint_ms":3000,"replayed":110}]},"ratio":6.8}`
	if got := compact.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	example.printTable(&b, 6.8)
	for _, want := range []string{
		"first checkpoint             17,000       18,000          2,500          3,000",
		"lock freed              50 (1 of 3)  50 (1 of 3)             40             60",
		"death seen                        -            -              -              -",
		"records replayed                800          900            100            110",
		"plain : sidecar = 6.8 : 1",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no line %q in\n%s", want, b.String())
		}
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -5: "-5", -1500: "-1,500", -123456: "-123,456"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) = %s, want %s", n, got, want)
		}
	}
}

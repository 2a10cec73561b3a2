package lab

import (
	"slices"
	"testing"
	"time"
)

// The files are lines of real logs, from start to the second checkpoint, with
// all that reads alike: other grants, other changes of state, other checkpoints.
func TestReadFlinkLogFindsTheSameInEachVersion(t *testing.T) {
	want := []LogKind{LogContends, LogGranted, LogTaskRunning, LogTaskRunning, LogCheckpoint, LogCheckpoint}
	for _, version := range FlinkVersions {
		t.Run(version, func(t *testing.T) {
			events, err := ReadFlinkLog("testdata/flink-" + version + ".log")
			if err != nil {
				t.Fatal(err)
			}
			var got []LogKind
			for _, e := range events {
				got = append(got, e.Kind)
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestParseLogLine(t *testing.T) {
	granted := "2026-11-22T22:02:55.635Z INFO  DefaultDispatcherRunner - DefaultDispatcherRunner was granted leadership with leader id 398400cc."
	event, ok := parseLogLine(granted)
	want := time.Date(2026, 11, 22, 22, 2, 55, 635e6, time.UTC)
	if !ok || event.Kind != LogGranted || !event.At.Equal(want) {
		t.Errorf("got %v, %v; want granted at %v", event, ok, want)
	}
	for name, line := range map[string]string{
		"a line without a time is no event":     "caused by: DefaultDispatcherRunner was granted leadership with leader id 398400cc",
		"the job's own grant is not the lock's": "2026-11-22T22:02:57.197Z INFO  JobMasterServiceLeadershipRunner - JobMasterServiceLeadershipRunner for job 0 was granted leadership with leader id 398400cc.",
		"an empty line is no event":             "",
	} {
		if event, ok := parseLogLine(line); ok {
			t.Errorf("%s: got %v", name, event)
		}
	}
}

func TestReadFlinkLogOfAProcessThatHasNotBegun(t *testing.T) {
	events, err := ReadFlinkLog(t.TempDir() + "/none.log")
	if err != nil || len(events) != 0 {
		t.Errorf("got %v, %v; want nothing", events, err)
	}
}

func TestParseSidecarLine(t *testing.T) {
	event, ok := parseSidecarLine([]byte(`{"level":"info","ts":"2026-11-22T22:20:01.123456789Z","msg":"lock freed","holder":"a"}`))
	want := time.Date(2026, 11, 22, 22, 20, 1, 123456789, time.UTC)
	if !ok || event.Message != SidecarFreedLock || event.Level != "info" || !event.At.Equal(want) || event.Fields["holder"] != "a" {
		t.Errorf("got %+v, %v", event, ok)
	}
	for _, line := range []string{"panic: oops", `{"msg":"lock freed"}`, ""} {
		if event, ok := parseSidecarLine([]byte(line)); ok {
			t.Errorf("%q: got %+v", line, event)
		}
	}
}

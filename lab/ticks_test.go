package lab

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func ticks(t *testing.T, lines string) []Tick {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ticks")
	if err := os.WriteFile(file, []byte(lines), 0o644); err != nil {
		t.Fatal(err)
	}
	read, err := ReadTicks(file)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// failover is a takeover with three records processed again: the leader ended at
// 1100, the job came back at 3000.
const failover = `1000 0 1 0 jobmanager-1/1
1020 1 2 0 jobmanager-1/1
1040 2 3 0 jobmanager-1/1
1400 3 4 0 jobmanager-1/1
3000 1 2 0 jobmanager-2/1
3020 2 3 0 jobmanager-2/1
3050 3 4 0 jobmanager-2/1
3070 4 5 0 jobmanager-2/1
`

func TestTicksOfAFailover(t *testing.T) {
	got := ticks(t, failover+"3090 5") // the last line is being written
	if len(got) != 8 {
		t.Fatalf("read %d ticks, want 8", len(got))
	}
	last := Tick{At: time.UnixMilli(3070), Value: 4, Count: 5, JobManager: "jobmanager-2", Term: "jobmanager-2/1"}
	if got[7] != last {
		t.Errorf("got %+v, want %+v", got[7], last)
	}
	if n := Replayed(got); n != 3 {
		t.Errorf("replayed %d, want 3", n)
	}
	if d := Silence(got, time.UnixMilli(1100)); d != 1600*time.Millisecond {
		t.Errorf("silence %v, want 1.6 s", d)
	}
	if err := CheckTicks(got); err != nil {
		t.Error(err)
	}
}

func TestSilenceCountsFromTheSignalWhereNothingFollows(t *testing.T) {
	got := ticks(t, "1000 0 1 0 jobmanager-1/1\n3000 1 2 0 jobmanager-2/1\n")
	if d := Silence(got, time.UnixMilli(1500)); d != 1500*time.Millisecond {
		t.Errorf("silence %v, want 1.5 s", d)
	}
}

func TestRestartsCountsNewCoordinatorsAndNewAttempts(t *testing.T) {
	for lines, want := range map[string]int{
		"": 0,
		"1000 0 1 0 jobmanager-1/1\n2000 1 2 0 jobmanager-1/1\n":                            0,
		"1000 0 1 0 jobmanager-1/1\n2000 1 2 1 jobmanager-1/1\n":                            1,
		"1000 0 1 0 jobmanager-1/1\n2000 1 2 0 jobmanager-1/2\n3000 2 3 0 jobmanager-2/1\n": 2,
	} {
		if got := Restarts(ticks(t, lines)); got != want {
			t.Errorf("%q: %d restarts, want %d", lines, got, want)
		}
	}
}

func TestCheckTicks(t *testing.T) {
	for name, row := range map[string]struct{ lines, want string }{
		"one that loses the job and leads again is fine": {failover + "4000 4 5 0 jobmanager-1/2\n", ""},
		"a restart by the same leader is fine":           {failover + "4000 3 4 1 jobmanager-2/2\n", ""},
		"a skipped count is a lost record":               {failover + "4000 6 7 0 jobmanager-2/1\n", "records were lost"},
		"position and count must come together":          {failover + "4000 5 5 0 jobmanager-2/1\n", "different checkpoints"},
		"two leaders at once interleave":                 {failover + "4000 4 5 0 jobmanager-1/1\n", "two leaders at once"},
	} {
		t.Run(name, func(t *testing.T) {
			err := CheckTicks(ticks(t, row.lines))
			if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
				t.Errorf("got error %v, want %q", err, row.want)
			}
		})
	}
}

func TestReadTicksRefusesALineThatIsNoTick(t *testing.T) {
	for _, line := range []string{"1000 0 1 0", "1000 0 1 0 jobmanager-1", "x 0 1 0 jobmanager-1/1", "1000 0 1 0 a/1 b"} {
		file := filepath.Join(t.TempDir(), "ticks")
		if err := os.WriteFile(file, []byte(line+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadTicks(file); err == nil {
			t.Errorf("%q: got %v, want an error", line, got)
		}
	}
	if got, err := ReadTicks(filepath.Join(t.TempDir(), "none")); err != nil || len(got) != 0 {
		t.Errorf("no file: got %v, %v; want nothing", got, err)
	}
}

package lab

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"
)

// Tick is one line that the job wrote.
type Tick struct {
	At    time.Time
	Value int64
	// Count is keyed state: it goes up by one with each tick, and steps back
	// where the job was restored from a checkpoint.
	Count   int64
	Attempt int
	// JobManager is the run of the JobManager that led the job: "jobmanager-1",
	// then "jobmanager-1.2" if its process was started again.
	JobManager string
	// Term is the coordinator that led it: a JobManager that leads, loses the job
	// and leads again has a new one, as has each restart of the job.
	Term string
}

// ReadTicks reads a file of ticks; a file that is not there yet has none. A last
// line that is still being written is left out.
func ReadTicks(file string) ([]Tick, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read ticks: %w", err)
	}
	defer f.Close()
	var ticks []Tick
	reader := bufio.NewReader(f)
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			return ticks, nil // the end, perhaps within a line
		}
		tick, err := parseTick(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return nil, fmt.Errorf("read ticks: line %d: %w", len(ticks)+1, err)
		}
		ticks = append(ticks, tick)
	}
}

func parseTick(line string) (Tick, error) {
	fields := strings.Split(line, " ")
	if len(fields) != 5 {
		return Tick{}, fmt.Errorf("want 5 fields, got %q", line)
	}
	var numbers [4]int64
	for i := range numbers {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return Tick{}, fmt.Errorf("parse %q: %w", line, err)
		}
		numbers[i] = n
	}
	name, _, ok := strings.Cut(fields[4], "/")
	if !ok {
		return Tick{}, fmt.Errorf("parse %q: want name/number at the end", line)
	}
	return Tick{
		At: time.UnixMilli(numbers[0]), Value: numbers[1], Count: numbers[2], Attempt: int(numbers[3]), JobManager: name, Term: fields[4],
	}, nil
}

// Replayed is how many records the job processed more than once: the sum of all
// its steps back.
func Replayed(ticks []Tick) int {
	var replayed int64
	for i := 1; i < len(ticks); i++ {
		if back := ticks[i-1].Count + 1 - ticks[i].Count; back > 0 {
			replayed += back
		}
	}
	return int(replayed)
}

// Restarts is how often the job began anew: the coordinator that led it changed,
// or its tasks were executed once more.
func Restarts(ticks []Tick) int {
	n := 0
	for i := 1; i < len(ticks); i++ {
		if ticks[i].Term != ticks[i-1].Term || ticks[i].Attempt != ticks[i-1].Attempt {
			n++
		}
	}
	return n
}

// Silence is the longest time without a tick that began at or after since,
// counted from since if no tick came before the first one after it.
func Silence(ticks []Tick, since time.Time) time.Duration {
	var longest time.Duration
	last := since
	for _, t := range ticks {
		if t.At.Before(since) {
			continue
		}
		longest = max(longest, t.At.Sub(last))
		last = t.At
	}
	return longest
}

// CheckTicks returns an error if the ticks show what must never be: a count that
// was skipped, a position and a count of different checkpoints, or two leaders of
// the job at one time, which shows as one that ticks on after another's ticks.
func CheckTicks(ticks []Tick) error {
	ended := map[string]bool{}
	for i, t := range ticks {
		if t.Count != t.Value+1 {
			return fmt.Errorf("tick %d: count %d with value %d: the two come from different checkpoints", i+1, t.Count, t.Value)
		}
		if i == 0 {
			continue
		}
		last := ticks[i-1]
		if t.Count > last.Count+1 {
			return fmt.Errorf("tick %d: count steps from %d to %d: records were lost", i+1, last.Count, t.Count)
		}
		if t.Term == last.Term {
			continue
		}
		ended[last.Term] = true
		if ended[t.Term] {
			return fmt.Errorf("tick %d: %s ticks again after %s: two leaders at once", i+1, t.Term, last.Term)
		}
	}
	return nil
}

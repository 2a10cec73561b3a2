package lab

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"
)

// LogKind is what a line of a JobManager's log tells.
type LogKind int

// The lines that mark the phases of a failover; they read the same in Flink
// 1.18, 1.20 and 2.3.
const (
	// LogContends: this JobManager has started and asks for the lock.
	LogContends LogKind = iota + 1
	// LogGranted: this JobManager leads; its dispatcher was told so.
	LogGranted
	// LogTaskRunning: one more task of the job runs, its state restored.
	LogTaskRunning
	// LogCheckpoint: a checkpoint was completed.
	LogCheckpoint
)

func (k LogKind) String() string {
	switch k {
	case LogContends:
		return "contends"
	case LogGranted:
		return "granted"
	case LogTaskRunning:
		return "task running"
	case LogCheckpoint:
		return "checkpoint"
	}
	return fmt.Sprintf("LogKind(%d)", int(k))
}

// LogEvent is one line of a JobManager's log that tells something.
type LogEvent struct {
	At   time.Time
	Kind LogKind
}

// logMarks tells kinds by parts that all stand in the line.
var logMarks = []struct {
	kind  LogKind
	parts []string
}{
	{LogContends, []string{" DefaultLeaderElectionService - LeaderContender has been registered under component 'dispatcher' "}},
	{LogGranted, []string{" DefaultDispatcherRunner was granted leadership with leader id "}},
	{LogTaskRunning, []string{" ExecutionGraph - ", " switched from INITIALIZING to RUNNING."}},
	{LogCheckpoint, []string{" CheckpointCoordinator - Completed checkpoint "}},
}

// parseLogLine returns the event of a line, if it is one.
func parseLogLine(line string) (LogEvent, bool) {
	for _, mark := range logMarks {
		if !containsAll(line, mark.parts) {
			continue
		}
		stamp, _, _ := strings.Cut(line, " ")
		at, err := time.Parse("2006-01-02T15:04:05.000Z", stamp)
		if err != nil {
			return LogEvent{}, false // the message of another line, quoted
		}
		return LogEvent{At: at, Kind: mark.kind}, true
	}
	return LogEvent{}, false
}

func containsAll(line string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(line, part) {
			return false
		}
	}
	return true
}

// ReadFlinkLog returns the events of a JobManager's log, oldest first; a log that
// is not there yet has none.
func ReadFlinkLog(file string) ([]LogEvent, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read Flink's log: %w", err)
	}
	defer f.Close()
	var events []LogEvent
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20) // the class path is one line
	for lines.Scan() {
		if event, ok := parseLogLine(lines.Text()); ok {
			events = append(events, event)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read Flink's log %s: %w", file, err)
	}
	return events, nil
}

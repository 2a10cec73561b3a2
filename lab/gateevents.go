package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
)

// GateEvent is one line of a gate's log.
type GateEvent struct {
	At      time.Time
	Message string
	PID     int
}

// GateStarted is the message of a gate that has started its JobManager.
const GateStarted = "JobManager started"

// GateEvents are the lines of a pod's gate, of all its runs.
func (p *GatedPod) GateEvents() ([]GateEvent, error) {
	content, err := os.ReadFile(p.GateLog())
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the gate's log: %w", err)
	}
	var events []GateEvent
	for line := range strings.Lines(string(content)) {
		var e struct {
			TS  time.Time
			Msg string
			PID int
		}
		if json.Unmarshal([]byte(line), &e) == nil {
			events = append(events, GateEvent{At: e.TS, Message: e.Msg, PID: e.PID})
		}
	}
	return events, nil
}

// WaitForStart waits until a pod's gate has started a JobManager at or after since, and
// returns when that was.
func (c *GatedCluster) WaitForStart(ctx context.Context, p *GatedPod, since time.Time) (at time.Time, err error) {
	err = c.Poll(ctx, "a JobManager in "+p.Name, func() (bool, error) {
		events, err := p.GateEvents()
		for _, e := range events {
			if at.IsZero() && e.Message == GateStarted && !e.At.Before(since) {
				at = e.At
			}
		}
		return !at.IsZero(), err
	})
	return at, err
}

// WaitForTicks waits until the job has written n ticks at or after since.
func (c *GatedCluster) WaitForTicks(ctx context.Context, since time.Time, n int) error {
	return c.Poll(ctx, fmt.Sprintf("%d ticks", n), func() (bool, error) {
		ticks, err := ReadTicks(c.Settings.Ticks())
		got := 0
		for _, t := range ticks {
			if !t.At.Before(since) {
				got++
			}
		}
		return got >= n, err
	})
}

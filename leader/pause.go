package leader

import (
	"fmt"
	"time"
)

// Pause is a time in which no lock is freed, because a person has asked for it.
// Everything else goes on: what a pause keeps from happening is named all the same.
type Pause struct {
	// At is when it was asked for, Until when it ends by itself; both by the clock of
	// the pod that was asked.
	At    time.Time `json:"at"`
	Until time.Time `json:"until"`
	// By is who asked, Reason why; for people, and either may be empty.
	By     string `json:"by,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// IsZero reports whether it is none.
func (p Pause) IsZero() bool { return p.Until.IsZero() }

// Equal reports whether both are the same one.
func (p Pause) Equal(o Pause) bool {
	return p.At.Equal(o.At) && p.Until.Equal(o.Until) && p.By == o.By && p.Reason == o.Reason
}

// String says in one line who paused until when, and why.
func (p Pause) String() string {
	text := "paused until " + p.Until.UTC().Format(time.RFC3339)
	if p.By != "" {
		text += " by " + p.By
	}
	if p.Reason != "" {
		text += fmt.Sprintf(" (%s)", p.Reason)
	}
	return text
}

// PauseSet tells of the pause that stands for the whole cluster; a zero one says
// that there is none. The same pause may be told again.
type PauseSet struct{ Pause Pause }

func (PauseSet) input() {}

// setPause takes over what was told. A pause ends at Until by this machine's wall
// clock, but never later than its own length after it was first heard of, by the
// monotonic one: a clock that was set forward where it was asked for, or back here,
// must not make it endless.
func (s *State) setPause(p Pause, now time.Time, d *Decision) {
	if p.Equal(s.paused) && !s.pausedBy.IsZero() {
		return
	}
	d.MemoryChanged = d.MemoryChanged || !p.Equal(s.paused)
	s.paused, s.pausedBy = p, time.Time{}
	if !p.IsZero() {
		s.pausedBy = now.Add(p.Until.Sub(p.At))
	}
}

// pausing reports whether a pause stands at now.
func (s State) pausing(now time.Time) bool {
	return now.Before(s.paused.Until) && (s.pausedBy.IsZero() || now.Before(s.pausedBy))
}

// reviewPause tells of a pause that has begun, was replaced or has ended.
func (s *State) reviewPause(now time.Time, d *Decision) {
	switch stands := s.pausing(now); {
	case stands && !s.toldPause.Equal(s.paused):
		s.toldPause = s.paused
		d.Events = append(d.Events, Event{Kind: PauseBegan, Pause: s.paused, Reason: s.paused.String()})
	case !stands && !s.toldPause.IsZero():
		d.Events = append(d.Events, Event{Kind: PauseEnded, Pause: s.toldPause})
		s.toldPause = Pause{}
	}
}

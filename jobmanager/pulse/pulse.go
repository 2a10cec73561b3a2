// Package pulse asks the JobManager beside this sidecar for signs of life, and
// says when there have been none for too long.
//
// A JobManager that is stuck is not dead. Nothing is ever freed on account of what
// this package says: it is reported, and the kubelet may end the process by it.
package pulse

import (
	"fmt"
	"time"

	"flink-ha-sidecar/leader"
)

// Target is where a JobManager can be asked. What is empty is not known, and not
// asked.
type Target struct {
	// REST is the base of its REST API, as in "http://10.0.0.5:8081".
	REST string
	// RPC is host:port of its RPC system.
	RPC string
	// Guessed: its command line and environment were not to be had, so that it may
	// listen elsewhere. Then silence from the very start means little.
	Guessed bool
	// Version is Flink's, as in "1.18.1", where the command line tells.
	Version string
}

// Answer is what one question brought.
type Answer struct {
	Asked bool
	// OK: the process answered, whatever it said.
	OK bool
	// Detail says what else there is to say, "" if nothing.
	Detail string
}

// Lock is what the lock says of this JobManager.
type Lock struct {
	// Counts: the lock, or a place in the queue for it, is this JobManager's, or
	// may be. Otherwise it says nothing of it.
	Counts bool
	// Hidden: it cannot be seen just now, so that it might be renewed.
	Hidden bool
	// Mark changes whenever its holder has done anything.
	Mark string
}

// Round is one round of questions.
type Round struct {
	Begun, Ended time.Time
	// Process is the one JobManager process that is alive; zero if there is not
	// exactly one.
	Process leader.Process
	Target  Target
	REST    Answer
	RPC     Answer
	Lock    Lock
	// Version is what the REST API says.
	Version string
}

// Verdict is what the rounds up to now come to.
type Verdict struct {
	// At is when the last round ended; zero before the first.
	At time.Time
	// Process is what it is about, zero if no one JobManager is alive.
	Process leader.Process
	// Serving: it has answered since it was started, or there is nothing that
	// could be asked.
	Serving bool
	// Stuck: it has, and has given no sign of life for longer than the limit.
	Stuck bool
	// SilentSince is when the first question of those that got no answer was put;
	// zero while it gives signs of life.
	SilentSince time.Time
	REST, RPC   Answer
	Target      Target
	// Version is Flink's, "" until it is known.
	Version string
}

// Silence is how long there has been no sign of life.
func (v Verdict) Silence() time.Duration {
	if v.SilentSince.IsZero() {
		return 0
	}
	return v.At.Sub(v.SilentSince)
}

// Reason says in one line what is wrong, without times; "" if nothing is.
func (v Verdict) Reason() string {
	switch {
	case v.Stuck:
		return fmt.Sprintf("stuck: %s, and its lock is not renewed", v.answers())
	case v.Process == leader.Process{} || v.Serving:
		return ""
	}
	return "not serving yet: " + v.answers()
}

func (v Verdict) answers() string {
	text := ""
	for _, a := range []struct {
		name string
		Answer
	}{{"its REST API", v.REST}, {"its RPC port", v.RPC}} {
		if !a.Asked {
			continue
		}
		if text != "" {
			text += ", "
		}
		text += a.name
		switch {
		case a.OK:
			text += " answers"
		case a.Detail != "":
			text += " does not answer (" + a.Detail + ")"
		default:
			text += " does not answer"
		}
	}
	return text
}

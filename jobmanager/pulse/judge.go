package pulse

import (
	"fmt"
	"time"

	"flink-ha-sidecar/leader"
)

// Rules are the limits.
type Rules struct {
	// HungAfter is how long there must be no sign of life. (--hung-after)
	HungAfter time.Duration
}

// DefaultHungAfter is more than the garbage collections that Flink survives: its
// own heartbeats give up after 50 s, its default lease after 15 s.
const DefaultHungAfter = 20 * time.Second

const (
	// minHungAfter leaves room for a few rounds.
	minHungAfter = time.Second
	maxHungAfter = time.Hour
	// guessFor is how long a JobManager may take to its first answer at an address
	// that is a guess, before the guess is taken for wrong.
	guessFor = time.Minute
)

// Validate names a limit that cannot work.
func (r Rules) Validate() error {
	if r.HungAfter < minHungAfter || r.HungAfter > maxHungAfter {
		return fmt.Errorf("--hung-after %v: it must be from %v to %v", r.HungAfter, minHungAfter, maxHungAfter)
	}
	return nil
}

// AskFor bounds one round.
func (r Rules) AskFor() time.Duration { return min(2*time.Second, r.HungAfter/4) }

// Every is the pause between two rounds; before the first answer it is shorter.
func (r Rules) Every(serving bool) time.Duration {
	every := min(2*time.Second, r.HungAfter/8)
	if !serving {
		every = min(every, 500*time.Millisecond)
	}
	return every
}

// gap is how much longer than planned a round or a pause may take. Beyond it the
// asker itself stood still, and has not seen what happened meanwhile.
func (r Rules) gap() time.Duration { return r.AskFor() + time.Second }

// State is what is known of one JobManager process. Its zero value knows nothing.
type State struct {
	process leader.Process
	since   time.Time // first round with it
	ended   time.Time // end of the last round
	planned time.Duration
	// rest and rpc: it has answered there since it was started.
	rest, rpc bool
	mark      string
	marked    bool
	silent    time.Time
	version   string
}

// Judge takes in one round and returns the state after it and the verdict. It is
// pure: the same arguments give the same results.
//
// A sign of life is any answer, a lock that was renewed, and a lock out of sight,
// which might have been. Silence counts only as far as it was listened to: a gap
// between two rounds, as when this process was stopped, starts it anew. And it
// counts only where there were answers before: an address that never answered
// may be a wrong one.
func (r Rules) Judge(s State, in Round) (State, Verdict) {
	if in.Process == (leader.Process{}) {
		return State{}, Verdict{At: in.Ended}
	}
	if in.Process != s.process {
		s = State{process: in.Process, since: in.Begun, ended: in.Begun}
	}
	attentive := in.Begun.Sub(s.ended) <= s.planned+r.gap() && in.Ended.Sub(in.Begun) <= r.AskFor()+r.gap()
	s.rest, s.rpc = s.rest || in.REST.OK, s.rpc || in.RPC.OK
	if in.Target.Version != "" {
		s.version = in.Target.Version
	} else if in.Version != "" {
		s.version = in.Version
	}

	renewed := in.Lock.Counts && (in.Lock.Hidden || !s.marked || in.Lock.Mark != s.mark)
	s.marked, s.mark = in.Lock.Counts && !in.Lock.Hidden, in.Lock.Mark
	switch {
	case in.REST.OK || in.RPC.OK || renewed || !attentive:
		s.silent = time.Time{}
	case s.silent.IsZero():
		s.silent = in.Begun
	}
	v := Verdict{
		At: in.Ended, Process: in.Process, Serving: s.serving(in), SilentSince: s.silent,
		REST: in.REST, RPC: in.RPC, Target: in.Target, Version: s.version,
	}
	v.Stuck = s.answered(in) && v.Silence() > r.HungAfter
	s.ended, s.planned = in.Ended, r.Every(v.Serving)
	return s, v
}

// serving reports whether the JobManager has come up. The REST endpoint is the
// last of the two to open (ClusterEntrypoint starts the RPC system before it).
func (s State) serving(in Round) bool {
	switch {
	case in.Target.Guessed && in.Ended.Sub(s.since) > guessFor:
		return true
	case in.REST.Asked:
		return s.rest
	case in.RPC.Asked:
		return s.rpc
	}
	return true
}

// answered reports whether silence means anything: all that is asked has answered
// before, and something is asked.
func (s State) answered(in Round) bool {
	return (in.REST.Asked || in.RPC.Asked) && (s.rest || !in.REST.Asked) && (s.rpc || !in.RPC.Asked)
}

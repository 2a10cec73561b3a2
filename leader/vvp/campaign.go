package vvp

import (
	"maps"
	"slices"
	"time"
)

// act chooses the next request.
func (r Rules) act(s *State, now Now) Action {
	if s.busy != ActionNone || now.Boot < s.nextTry {
		return Action{}
	}
	a := r.choose(s, now)
	s.busy = a.Kind
	return a
}

func (r Rules) choose(s *State, now Now) Action {
	read := Action{Kind: ActionRead}
	switch {
	case s.mustRead, s.seen.Kind == Unknown:
		return read
	case s.tenure != nil && r.renewAt(*s, now) <= now.Boot:
		return r.renew(s, now)
	case s.tenure == nil && r.resumable(*s):
		return r.resume(s, now)
	case s.tenure == nil && r.candidate(*s, now) && r.freeAt(*s) <= now.Boot:
		return r.acquire(s, now)
	case s.nextRead <= now.Boot && s.tenure == nil:
		return read
	}
	return Action{}
}

// never is a time that does not come.
const never = time.Duration(1<<63 - 1)

// renewAt is when to renew next. A gate that says nothing is not renewed for: its
// JobManager ends by itself. What is not written yet as it should be goes at once.
func (r Rules) renewAt(s State, now Now) time.Duration {
	if !r.heard(s, now) {
		return never
	}
	if _, runs := s.Leads(); r.mendable(s) || !maps.Equal(s.tenure.Record.Published, r.published(runs)) {
		return s.tenure.From
	}
	return s.tenure.From + r.Timing.RetryPeriod
}

// published is where the JobManager can be reached: nowhere before it runs.
func (r Rules) published(runs bool) map[string]Published {
	if !runs {
		return nil
	}
	return r.Published
}

func (r Rules) renew(s *State, now Now) Action {
	next := s.tenure.Record
	next.Renewals++
	next.Renewed = now.Wall.UTC().Format(timeFormat)
	_, runs := s.Leads()
	next.Published = r.published(runs)
	return r.write(s, next, now)
}

// resumable: the gate's JobManager was started under the tenure that stands in the
// lock, so that is our pod's, and the sidecar that had it was our predecessor.
func (r Rules) resumable(s State) bool {
	return !s.retiring && s.seen.Kind == Held && !s.edited && s.gate.lives() && s.gate.Child.Epoch == s.seen.Epoch().String() &&
		s.seen.Epoch() != s.last && podOf(s.seen.Record.Holder) == r.Pod
}

// podOf is the pod of a holder: all but the run.
func podOf(holder string) string {
	for i := len(holder) - 1; i >= 0; i-- {
		if holder[i] == '/' {
			return holder[:i]
		}
	}
	return ""
}

// resume renews for the JobManager that runs. Whether the lease is over already does
// not matter: if the write has an effect, nobody has taken the lock since.
func (r Rules) resume(s *State, now Now) Action {
	next := s.seen.Record
	next.Renewals++
	next.Renewed, next.LeaseMS, next.Published = now.Wall.UTC().Format(timeFormat), r.Timing.Lease.Milliseconds(), r.Published
	return r.write(s, next, now)
}

// candidate: a gate waits here, no JobManager of this pod runs, and none can be
// started by a permit of an earlier tenure.
func (r Rules) candidate(s State, now Now) bool {
	return !s.retiring && r.heard(s, now) && !s.gate.lives() && now.Boot >= s.restUntil && now.Boot >= s.clearAt
}

// freeAt is when the lock as it is seen may be taken.
func (r Rules) freeAt(s State) time.Duration {
	switch {
	case s.seen.Kind == Absent: // a new object says nothing yet: it may be made at once
		return s.since
	case s.seen.Kind == Vacant && !s.edited:
		return s.since
	}
	return s.since + max(r.Timing.Lease, s.longest)
}

// acquire makes the object, or takes the lock. The counter is above every one that
// this object ever had: where the record does not tell, its version does, since each
// tenure has cost at least one write.
func (r Rules) acquire(s *State, now Now) Action {
	if s.seen.Kind == Absent {
		return Action{Kind: ActionCreate}
	}
	counter := s.top
	if s.seen.Kind == Unreadable || s.seen.Kind == Empty || s.edited {
		counter = max(counter, s.seen.revision())
	}
	at := now.Wall.UTC().Format(timeFormat)
	return r.write(s, Record{Format: recordFormat, Holder: r.holder(counter + 1), Counter: counter + 1, Acquired: at, Renewed: at, LeaseMS: r.Timing.Lease.Milliseconds()}, now)
}

// write notes what is sent, so that it is known again if the reply is lost.
func (r Rules) write(s *State, next Record, now Now) Action {
	text := next.Text(s.seen.UID)
	const kept = 8
	s.sent = append(slices.Clone(s.sent[max(0, len(s.sent)-kept):]), write{uid: s.seen.UID, text: text, record: next, begun: now.Boot})
	return Action{Kind: ActionWrite, Over: s.seen, Text: text}
}

// wake is the earliest time at which deciding again could give something else.
func (r Rules) wake(s State, now Now) time.Duration {
	at := now.Boot + 5*time.Second
	consider := func(t time.Duration) {
		if t > now.Boot && t < at {
			at = t
		}
	}
	if s.tenure != nil {
		consider(s.tenure.From + r.Timing.RenewDeadline)
	}
	if s.busy != ActionNone {
		return at
	}
	consider(s.nextTry)
	if s.tenure != nil {
		consider(r.renewAt(s, now))
		return at
	}
	consider(s.nextRead)
	if r.heard(s, now) && !s.gate.lives() {
		consider(max(r.freeAt(s), s.restUntil, s.clearAt))
	}
	return at
}

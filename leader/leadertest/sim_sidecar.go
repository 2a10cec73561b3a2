package leadertest

import (
	"fmt"
	"time"

	"flink-ha-sidecar/leader"
)

// callTimeout is how long the loop waits for a call.
const callTimeout = 2 * time.Second

// heartbeat is the longest time between two turns of the loop.
const heartbeat = 5 * time.Second

// sidecar runs the shipped Decide of one member, in the place of leader.Loop:
// one input at a time, one IO in flight.
type sidecar struct {
	m     *member
	rules leader.Rules
	// up while the process runs; run counts its starts, so that what belongs to
	// an earlier one is lost. stopped by SIGSTOP: everything is late.
	up, stopped bool
	run         int
	late        []func()

	state   leader.State
	outcome leader.Outcome
	// saved is what the state directory holds.
	saved leader.Restored
	// wakeAt is when it wants to be woken, waker whether an event is queued for
	// that or earlier.
	wakeAt time.Duration
	waker  time.Duration

	// watching tells the current connection apart from earlier ones, 0 while
	// there is none; delivered is when its last event arrives.
	watching, watches int
	delivered         time.Duration
	lag               time.Duration
	lagUntil          time.Duration

	faults sidecarFaults
	net    draw
	local  draw
	check  sidecarCheck
}

// sidecarFaults are what is wrong with this sidecar's requests.
type sidecarFaults struct {
	conflicts, lostBefore, lostAfter int
	forbiddenUntil                   time.Duration
	stale                            bool
}

func newSidecar(m *member) *sidecar {
	s := &sidecar{m: m, net: draw{m.w.stream(m.n, "the sidecar's requests")}, local: draw{m.w.stream(m.n, "the sidecar's own pauses")}}
	s.rules = leader.DefaultRules()
	s.rules.Self = leader.Self{IP: memberIP(m.n)}
	if m.w.Latch {
		s.rules.Bind, s.rules.QueueFor = leader.BindByOwner, latchTimeout
		s.rules.StickyFor += latchTimeout
	}
	if m.w.Rules != nil {
		s.rules = m.w.Rules(s.rules)
	}
	return s
}

// start begins a new process with what an earlier one has saved.
func (s *sidecar) start(memory leader.Restored) {
	if s.up || s.m.w.without() {
		return
	}
	s.run++
	s.up, s.stopped, s.late = true, false, nil
	s.watching, s.outcome = 0, -1
	s.check.begin()
	memory.Deaths = nil
	for _, b := range memory.Bindings {
		if j := s.m.jm; j == nil || j.proc != b.Process {
			memory.Deaths = append(memory.Deaths, leader.Death{Process: b.Process, At: s.m.clock(), Proof: leader.ProofPidfd})
			s.check.known(s, b.Process)
		}
	}
	s.saved = memory
	s.state = leader.NewState(memory)
	s.m.w.tracef("member %d: sidecar starts with %d bindings", s.m.n, len(memory.Bindings))
	s.hearPause() // before anything else, as the daemon does
	s.step(leader.Tick{})
	s.processesChanged()
	s.connect(false)
}

// kill ends the process; it is started again after a while.
func (s *sidecar) kill(pause time.Duration, forget bool) {
	if !s.up {
		return
	}
	s.m.w.tracef("member %d: sidecar is killed, forgetting %t", s.m.n, forget)
	s.up = false
	s.run++
	memory := s.saved
	if forget {
		memory = leader.Restored{}
	}
	s.m.w.in(pause, func() { s.start(memory) })
}

// in runs do after so much true time in this process, or later if it is
// stopped then.
func (s *sidecar) in(d time.Duration, do func()) {
	run := s.run
	s.m.w.in(d, func() { s.now(run, do) })
}

func (s *sidecar) now(run int, do func()) {
	switch {
	case !s.up || s.run != run || s.m.w.without():
	case s.stopped:
		s.late = append(s.late, func() { s.now(run, do) })
	default:
		do()
	}
}

// goOn is SIGCONT: all that was due meanwhile happens now.
func (s *sidecar) goOn() {
	s.stopped = false
	late := s.late
	s.late = nil
	for _, do := range late {
		do()
	}
}

// without says whether the sidecars have been taken away.
func (w *world) without() bool { return w.Without > 0 && w.now >= w.Without }

// step feeds one input to Decide and does what follows.
func (s *sidecar) step(in leader.Input) {
	w := s.m.w
	now := s.m.clock()
	var d leader.Decision
	s.state, d = s.rules.Decide(s.state, in, now)
	if d.Outcome != s.outcome {
		s.outcome = d.Outcome
		w.result.Coverage.Outcomes[d.Outcome]++
		w.tracef("member %d: %T: %s (%s)", s.m.n, in, d.Outcome, d.Reason)
	}
	s.check.decided(s, in, d)
	if d.MemoryChanged {
		memory := s.state.Memory()
		s.in(s.local.between(1, 5), func() { s.saved = memory })
	}
	s.wake(d.Wake, now)
	s.do(d.Action)
}

// wake queues a Tick, at the latest after a heartbeat.
func (s *sidecar) wake(at time.Time, now time.Time) {
	w := s.m.w
	pause := heartbeat
	if !at.IsZero() {
		pause = min(max(at.Sub(now), time.Millisecond), heartbeat)
	}
	s.wakeAt = w.now + s.m.trueTime(pause) + 1
	if s.waker <= w.now || s.waker > s.wakeAt {
		s.ring()
	}
}

func (s *sidecar) ring() {
	s.waker = s.wakeAt
	due := s.waker
	s.in(due-s.m.w.now, func() {
		switch {
		case s.waker != due: // an earlier one has been queued since
		case s.m.w.now < s.wakeAt:
			s.ring()
		default:
			s.waker = 0
			s.step(leader.Tick{})
		}
	})
}

// do starts the IO that Decide asks for.
func (s *sidecar) do(a leader.Action) {
	switch a.Kind {
	case leader.ActionLook:
		s.in(s.local.between(0, 3), func() {
			e := s.evidence()
			s.in(s.local.between(0, 2), func() { s.step(leader.Looked{Evidence: e, For: a.Holder}) })
		})
	case leader.ActionRead:
		s.in(s.local.between(0, 1), s.read)
	case leader.ActionRelease:
		// If it is stopped before it has sent, it sends when it goes on: its
		// deadline is past, but that is looked at before.
		s.in(s.local.between(0, 1), func() { s.release(a) })
	}
}

func (s *sidecar) evidence() leader.Evidence {
	e := leader.Evidence{At: s.m.clock()}
	if j := s.m.jm; j != nil {
		e.Alive = []leader.Process{j.proc}
	}
	return e
}

// call sends a request; done gets the reply, or leader.ErrUnavailable or
// leader.ErrUnclear after the time that the loop gives it.
func (s *sidecar) call(arrive func() error, done func(err error)) {
	var refused error
	answered := false
	answer := func(err error) {
		if answered {
			return
		}
		answered = true
		if err == nil {
			err = refused
		}
		done(err)
	}
	run := s.run
	s.m.link.send(s.net.between(0, 2), s.net.between(0, 2), callTimeout,
		func() {
			if !s.m.w.without() {
				refused = arrive()
			}
		},
		func(err error) { s.now(run, func() { answer(err) }) })
	s.in(s.m.trueTime(callTimeout), func() { answer(leader.ErrUnclear) })
}

func (s *sidecar) read() {
	begun := s.m.clock()
	sent := s.m.w.now
	var v leader.View
	s.call(func() error {
		v = *s.m.w.election.view()
		return nil
	}, func(err error) {
		if err != nil {
			s.step(leader.ReadDone{Begun: begun, Err: leader.ErrUnavailable})
			return
		}
		v.At = s.m.clock()
		if v.Lock == leader.LockAbsent {
			v = leader.View{At: v.At} // a reply of "not found" has no revision
		}
		s.check.read(sent, v)
		s.step(leader.ReadDone{Begun: begun, View: v})
	})
}

func (s *sidecar) release(a leader.Action) {
	w := s.m.w
	s.check.releasing(s, a)
	var after leader.View
	s.call(func() (err error) {
		f := &s.faults
		switch {
		case f.forbiddenUntil > w.now:
			return fmt.Errorf("%w: cannot patch configmaps", leader.ErrForbidden)
		case f.conflicts > 0:
			f.conflicts--
			return leader.ErrConflict
		case f.lostBefore > 0:
			f.lostBefore--
			return leader.ErrUnclear
		}
		holder := w.election.view().Tenure.Holder
		if w.Latch {
			holder = a.Holder // not only the first in the queue can be freed
		}
		after, err = w.election.free(a.View, a.Holder)
		if err == nil {
			s.check.released(s, a, holder)
		}
		if f.lostAfter > 0 {
			f.lostAfter--
			return leader.ErrUnclear
		}
		return err
	}, func(err error) {
		after.At = s.m.clock()
		s.step(leader.ReleaseDone{View: after, Err: err})
	})
}

// processesChanged tells what runs here, a little later.
func (s *sidecar) processesChanged() {
	s.in(s.local.between(1, 200), func() { s.step(leader.Looked{Evidence: s.evidence()}) })
}

// died tells the death of a process, as a pidfd does.
func (s *sidecar) died(p leader.Process) {
	s.in(s.local.between(0, 2), func() {
		s.check.known(s, p)
		s.step(leader.Ended{Death: leader.Death{Process: p, At: s.m.clock(), Proof: leader.ProofPidfd}})
		s.step(leader.Looked{Evidence: s.evidence()})
	})
}

package vvp

import (
	"errors"
	"fmt"
	"time"

	"flink-ha-sidecar/leader"
)

// pod is a sidecar and a gate. Their clocks are one on a real node; here each has
// its own rate, as with a sidecar that runs with the skewed clock of the test build.
type pod struct {
	w       *world
	name    string
	rules   Rules
	rate    float64
	offset  time.Duration
	sidecar *sidecar
	gate    *gate
	net     network
	runs    int
	// ended are the epochs whose JobManager is known to have ended.
	record map[string]string
}

// network is the way of one pod to the API server.
type network struct {
	cut, slow time.Duration // until then
	delay     time.Duration
	lossy     int
}

// sidecar is one process of it.
type sidecar struct {
	p      *pod
	state  State
	dead   bool
	paused time.Duration // until then
	// wake is when to decide again, alarmAt when the event for it comes.
	wake, alarmAt time.Duration
}

func newPod(w *world, i int, t Timing) *pod {
	p := &pod{w: w, name: fmt.Sprintf("jm-%d", i), record: make(map[string]string)}
	p.rules = Rules{Timing: t, Pod: p.name, Published: map[string]Published{leader.RESTServer: {Address: "http://10.0.0.1:8081"}}}
	p.rate = w.drawRate()
	p.offset = w.between(0, 3*time.Minute)
	p.gate = newGate(p)
	return p
}

// drawRate is at the edges often.
func (w *world) drawRate() float64 {
	switch w.rng.IntN(4) {
	case 0:
		return 0.95
	case 1:
		return 1.05
	}
	return 0.95 + 0.1*w.rng.Float64()
}

func (p *pod) begin() {
	p.w.in(p.w.between(0, time.Second), p.startSidecar)
	p.w.in(p.w.between(0, 2*time.Second), p.gate.begin)
}

func (p *pod) clock() Now {
	return Now{Boot: p.offset + time.Duration(float64(p.w.now)*p.rate), Wall: time.Unix(1e9, 0).Add(p.w.now)}
}

func (p *pod) startSidecar() {
	p.runs++
	p.rules.Run = fmt.Sprint(p.runs)
	p.sidecar = &sidecar{p: p}
	p.w.tracef("%s sidecar starts", p.name)
	p.sidecar.step(Tick{})
}

// after runs something in the sidecar, once it is not stopped, unless it has died.
func (s *sidecar) after(d time.Duration, run func()) {
	s.p.w.in(d, func() {
		switch {
		case s.dead:
		case s.paused > s.p.w.now:
			s.after(s.paused-s.p.w.now, run)
		default:
			run()
		}
	})
}

func (s *sidecar) step(in Input) Decision {
	now := s.p.clock()
	before := s.state
	var d Decision
	s.state, d = s.p.rules.Decide(s.state, in, now)
	if s.p.w.broken.after != nil {
		s.p.w.broken.after(before, &s.state, in, now)
	}
	for _, e := range d.Events {
		s.note(e)
	}
	s.p.w.tell(s.p, in, d)
	if d.Action.Kind != ActionNone {
		s.request(d.Action, now.Boot)
	}
	s.wake = s.p.w.now + time.Duration(float64(d.Wake-now.Boot)/s.p.rate) + time.Microsecond
	s.alarm()
	return d
}

// alarm has one event on its way, which is early rather than late.
func (s *sidecar) alarm() {
	if s.alarmAt > s.p.w.now && s.alarmAt <= s.wake {
		return
	}
	at := s.wake
	s.alarmAt = at
	s.after(at-s.p.w.now, func() {
		switch {
		case s.alarmAt != at: // there is an earlier one
		case s.p.w.now >= s.wake:
			s.step(Tick{})
		default:
			s.alarm()
		}
	})
}

func (w *world) tell(p *pod, in Input, d Decision) {
	if w.trace && (len(d.Events) > 0 || d.Action.Kind > ActionRead) {
		w.tracef("%s %T -> %v, action %d %s", p.name, in, d.Events, d.Action.Kind, d.Action.Text)
	}
}

func (s *sidecar) note(e Event) {
	c := &s.p.w.cover
	switch e.Kind {
	case Acquired:
		c.acquired++
	case Resumed:
		c.resumed++
	case Mended:
		c.mended++
	case Trouble:
		c.troubles++
	case Dropped:
		c.dropped++
		if e.Reason != "the JobManager has ended" {
			c.lapsed++
		}
		if s.p.w.broken.hasty {
			s.release(e.Epoch)
		}
	case ChildEnded:
		if !e.Epoch.IsZero() {
			s.release(e.Epoch)
		}
	}
}

// release is the loop that all HA services share: it reads, and frees what is still
// the dead one's.
func (s *sidecar) release(epoch leader.Epoch) {
	w := s.p.w
	s.after(w.between(0, 50*time.Millisecond), func() {
		if s.p.net.cut > w.now || w.chance(s.p.net.lossy) {
			return
		}
		seen := w.store.sight()
		if seen.Kind == Held && seen.Epoch() == epoch {
			w.in(w.between(0, 2*time.Second), func() { w.free(seen.Text) })
		}
	})
}

var errLost = errors.New("no reply")

// request plays one call: it is sent a little later, may be lost, late or slow, and is
// given up after the call timeout.
func (s *sidecar) request(a Action, begun time.Duration) {
	w := s.p.w
	done := false
	finish := func(sight Sight, err error) {
		if done {
			return
		}
		done = true
		if w.broken.sight != nil {
			sight = w.broken.sight(sight)
		}
		if a.Kind == ActionRead {
			s.step(ReadDone{Begun: begun, Sight: sight, Err: err})
		} else {
			s.step(WriteDone{Begun: begun, Sight: sight, Err: err})
		}
	}
	s.after(w.between(0, time.Millisecond), func() {
		if done {
			return
		}
		if s.p.net.cut > w.now && w.chance(50) { // refused at once
			s.after(time.Millisecond, func() { finish(Sight{}, leader.ErrUnavailable) })
			return
		}
		if s.p.net.cut <= w.now && !w.chance(s.p.net.lossy) {
			w.in(s.p.delay(), func() {
				sight, err := w.serve(a)
				switch {
				case s.p.net.cut > w.now || w.chance(s.p.net.lossy):
					w.cover.lost++
				default:
					s.after(s.p.delay(), func() { finish(sight, err) })
				}
			})
		} else if w.chance(20) && a.Kind != ActionRead { // stuck on the way, and there long after it was given up
			w.cover.late++
			w.in(w.between(time.Second, 12*time.Second), func() { _, _ = w.serve(a) }) // nobody hears of it
		}
	})
	s.after(time.Duration(float64(s.p.rules.Timing.call())/s.p.rate), func() {
		if !done {
			w.cover.unclear++
		}
		if a.Kind == ActionRead {
			finish(Sight{}, leader.ErrUnavailable)
			return
		}
		finish(Sight{}, fmt.Errorf("%w: %w", leader.ErrUnclear, errLost))
	})
}

func (p *pod) delay() time.Duration {
	if p.net.slow > p.w.now {
		return p.w.between(0, p.net.delay)
	}
	return p.w.between(0, 10*time.Millisecond)
}

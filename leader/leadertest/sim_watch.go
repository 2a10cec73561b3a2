package leadertest

import (
	"time"

	"flink-ha-sidecar/leader"
)

// connect begins a watch with a read, and goes on until it has one.
func (s *sidecar) connect(resync bool) {
	var found *leader.View
	s.call(func() error {
		found = s.m.w.election.view()
		if back := uint64(s.local.IntN(20)); s.faults.stale && found.Revision > back {
			found = s.m.w.election.at(found.Revision - back) // from a cache that lags behind
		}
		return nil
	}, func(err error) {
		if err != nil {
			s.step(leader.Interrupted{Reason: err.Error()})
			s.in(s.local.between(500, 1000), func() { s.connect(true) })
			return
		}
		s.watches++
		s.watching, s.delivered = s.watches, s.m.w.now
		v := *found
		v.At, v.Resync = s.m.clock(), resync
		s.step(leader.Viewed{View: v})
		for revision := v.Revision + 1; revision <= s.m.w.election.view().Revision; revision++ {
			s.stream(s.m.w.election.at(revision))
		}
	})
}

// stream delivers a version to the watch, in order.
func (s *sidecar) stream(version *leader.View) {
	if s.watching == 0 {
		return
	}
	w, watch := s.m.w, s.watching
	delay := s.m.link.watch(s.net.between(0, 5))
	if w.now < s.lagUntil {
		delay += s.lag
	}
	s.delivered = max(s.delivered, w.now+delay)
	s.in(s.delivered-w.now, func() {
		if s.watching == watch {
			v := *version
			v.At = s.m.clock()
			s.step(leader.Viewed{View: v})
		}
	})
}

// gap breaks the watch; it is back after a while.
func (s *sidecar) gap(pause time.Duration) {
	if s.watching == 0 {
		return
	}
	s.watching = 0
	s.in(s.local.between(0, 5), func() {
		s.step(leader.Interrupted{Reason: "closed"})
		s.in(pause, func() { s.connect(true) })
	})
}

package leadertest

import (
	"time"

	"flink-ha-sidecar/leader"
)

// pauseFor is a pause that is asked for at a member, and so dated by its clock.
func (w *world) pauseFor(m *member, d time.Duration) {
	at := m.clock()
	w.tellPause(leader.Pause{At: at, Until: at.Add(d), By: "a person"})
}

// tellPause puts a pause, or its end, where all sidecars see it.
func (w *world) tellPause(p leader.Pause) {
	w.tracef("%v", p)
	w.pause = p
	for _, m := range w.members {
		m.side.in(m.link.watch(m.side.net.between(1, 20)), m.side.hearPause)
	}
}

// hearPause takes in what stands there now.
func (s *sidecar) hearPause() {
	s.check.told(s, s.m.w.pause)
	s.step(leader.PauseSet{Pause: s.m.w.pause})
}

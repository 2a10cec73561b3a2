package vvp

import (
	"strings"
	"time"
)

// fault does one thing, and the next one later.
func (w *world) fault() {
	if w.now >= w.calm-10*time.Second {
		return
	}
	w.in(w.between(100*time.Millisecond, 15*time.Second), w.fault)
	p := w.pods[w.rng.IntN(len(w.pods))]
	if w.chance(40) { // the one that leads is worth more
		for _, other := range w.pods {
			if other.gate.child.alive {
				p = other
			}
		}
	}
	length := min(w.between(100*time.Millisecond, 25*time.Second), w.calm-w.now)
	kind := w.rng.IntN(13)
	if w.broken.mostly != 0 && w.chance(w.broken.share) {
		kind = w.broken.mostly
	}
	switch kind {
	case 0:
		w.pauseSidecar(p, length)
	case 1:
		w.restartSidecar(p, min(length, w.between(100*time.Millisecond, 4*time.Second)))
	case 2:
		w.tracef("%s gate stopped for %v", p.name, length)
		p.gate.paused = max(p.gate.paused, w.now+length)
		w.cover.gatePauses++
	case 3:
		if !p.gate.dead {
			w.cover.gateKills++
			p.gate.die(min(length, 3*time.Second))
		}
	case 4, 5:
		if p.gate.child.alive {
			p.gate.endIn(0)
		}
	case 6, 7:
		w.tracef("%s cut off for %v", p.name, length)
		p.net.cut = w.now + length
		w.cover.cuts++
	case 8:
		w.tracef("all cut off for %v", length)
		for _, p := range w.pods {
			p.net.cut = w.now + length
		}
	case 9:
		w.slow(p, length)
	case 10:
		p.net.lossy = w.rng.IntN(50)
		w.in(length, func() { p.net.lossy = 0 })
	case 11:
		w.edit()
	case 12:
		if w.store.exists && w.chance(40) {
			w.tracef("the lock is deleted")
			w.store.exists, w.store.text, w.store.old = false, "", nil
			w.store.version++
			w.cover.deletions++
		}
	}
}

func (w *world) pauseSidecar(p *pod, length time.Duration) {
	if p.sidecar != nil {
		w.tracef("%s sidecar stopped for %v", p.name, length)
		p.sidecar.paused = max(p.sidecar.paused, w.now+length)
		w.cover.pauses++
	}
}

func (w *world) restartSidecar(p *pod, after time.Duration) {
	if p.sidecar == nil || p.sidecar.dead {
		return
	}
	w.tracef("%s sidecar killed", p.name)
	p.sidecar.dead = true
	w.in(after, p.startSidecar)
	w.cover.restarts++
}

func (w *world) slow(p *pod, length time.Duration) {
	w.tracef("%s slow for %v", p.name, length)
	p.net.slow, p.net.delay = w.now+length, w.between(0, 6*time.Second)
	w.cover.slow++
	if w.chance(40) { // and then silent
		w.in(w.between(0, length), func() { p.net.cut = min(w.now+25*time.Second, w.calm) })
	}
}

// edit is a person with kubectl.
func (w *world) edit() {
	s := &w.store
	if !s.exists {
		return
	}
	w.cover.edits++
	switch w.rng.IntN(5) {
	case 0:
		s.put("", false)
	case 1:
		s.put(`{"format":1`, true)
	case 2: // the holder taken out, the sum as it was
		if seen := s.sight(); seen.Kind == Held {
			s.put(strings.Replace(s.text, `"holder":"`+seen.Record.Holder+`"`, `"holder":""`, 1), true)
		}
	case 3: // an older text of this object put back, while somebody leads
		if n := len(s.old); n > 1 && w.seenByAll() {
			s.put(s.old[w.rng.IntN(n)], true)
		}
	case 4: // a label: the version changes, the record does not
		s.put(s.text, s.there)
	}
	w.tracef("the lock is edited: %s", s.text)
}

// seenByAll: every sidecar has seen the present tenure. One that has not cannot know
// an older text for what it is, as the package says.
func (w *world) seenByAll() bool {
	top := w.store.sight().Record.Counter
	for _, p := range w.pods {
		if p.sidecar == nil || p.sidecar.dead || p.sidecar.state.topUID != w.store.sight().UID || p.sidecar.state.top < top {
			return false
		}
		// A restart forgets what was seen, and the text may still stand.
	}
	return top > 0
}

package leadertest

import (
	"math/rand/v2"
	"time"

	"flink-ha-sidecar/leader"
)

// faultKind is one thing that goes wrong.
type faultKind int

const (
	faultKillLeader faultKind = iota
	faultKillStandby
	faultKillEarly
	faultTerminate
	faultRecovery
	faultStopLeader
	faultStopStandby
	faultStopKill
	faultStopSidecar
	faultKillSidecar
	faultForget
	faultLostRequest
	faultLostReply
	faultConflict
	faultOutage
	faultCut
	faultHang
	faultSlow
	faultGap
	faultStale
	faultLag
	faultOtherWriter
	faultForbidden
	faultGuardOff
	faultDamage
	faultJobEnds
	faultPause
	faultFastRestart // counted where it happens
	faultKinds
)

var faultNames = [faultKinds]string{
	"leader killed", "standby killed", "leader killed right after its grant", "leader ended by SIGTERM",
	"leaders crash in recovery", "leader stopped and continued", "standby stopped and continued",
	"leader stopped, killed when its lease is nearly over",
	"sidecar stopped and continued", "sidecar killed, with its memory", "sidecar killed, without its memory",
	"release lost", "reply to a release lost", "release meets a conflict", "outage for all", "member cut off",
	"member's requests hang", "slow network", "gap in the watch", "gap, then a view from the past", "late views",
	"other writer", "permission missing", "guard switched off", "record damaged and repaired", "job ends, object removed", "pause",
	"JobManager restarted within 200 ms",
}

// String is the fault as the coverage names it.
func (k faultKind) String() string { return faultNames[k] }

// fault is one that is going to strike.
type fault struct {
	at   time.Duration
	kind faultKind
	// member is the one that it strikes, where it strikes one; lasts is how long.
	member int
	lasts  time.Duration
}

// schedule draws a few incidents: mostly the death of a leader, with other
// things going wrong at about the same time.
func (w *world) schedule() []fault {
	r := w.stream(0, "faults")
	var all []fault
	for at := 8 * time.Second; at < w.troubles; at += time.Duration(5+r.IntN(15)) * time.Second {
		if r.IntN(3) > 0 {
			all = append(all, fault{at: at, kind: []faultKind{faultKillLeader, faultKillLeader, faultKillLeader, faultKillEarly, faultTerminate, faultTerminate}[r.IntN(6)]})
		}
		for range r.IntN(3) {
			all = append(all, w.anyFault(r, at))
		}
	}
	return all
}

func (w *world) anyFault(r *rand.Rand, about time.Duration) fault {
	f := fault{kind: faultKind(r.IntN(int(faultFastRestart))), member: r.IntN(len(w.members))}
	if f.kind == faultJobEnds && r.IntN(3) > 0 || f.kind == faultRecovery && r.IntN(2) > 0 {
		f.kind = faultStopKill
	}
	f.at = about + time.Duration(r.IntN(3000))*time.Millisecond - 1500*time.Millisecond
	f.lasts = []time.Duration{20 * time.Millisecond, 200 * time.Millisecond, time.Second, 3 * time.Second, 8 * time.Second, 20 * time.Second}[r.IntN(6)]
	return f
}

// strike lets it happen.
func (k faultKind) strike(w *world, f fault) {
	m := w.members[f.member]
	until := w.now + f.lasts
	switch k {
	case faultKillLeader, faultKillStandby, faultTerminate, faultStopLeader, faultStopStandby, faultStopKill, faultJobEnds:
		k.strikeJobManager(w, f)
	case faultKillEarly:
		w.early = 1 + f.lasts%(400*time.Millisecond)
		if l := w.leading(); l != nil {
			l.jm.die("killed, for the next one to be killed early")
		}
	case faultRecovery:
		w.crashing = w.now + 45*time.Second
		if l := w.leading(); l != nil {
			l.jm.die("crashed")
		}
	case faultStopSidecar, faultKillSidecar, faultForget, faultLostRequest, faultLostReply, faultConflict,
		faultGap, faultStale, faultLag, faultForbidden, faultGuardOff:
		if l := w.leading(); l != nil && f.lasts != 3*time.Second {
			m = l // the leader's sidecar is the one that matters most
		}
		k.strikeSidecar(m.side, f)
	case faultOutage:
		for _, m := range w.members {
			m.link.cut, m.link.hangs = until, f.member == 0
			m.side.gap(10 * time.Millisecond)
		}
	case faultCut, faultHang:
		m.link.cut, m.link.hangs = until, k == faultHang
		m.side.gap(10 * time.Millisecond)
	case faultSlow:
		m.link.slow, m.link.slowUntil = min(f.lasts/2, 2*time.Second), w.now+5*time.Second
	case faultOtherWriter:
		for i := range 5 {
			w.in(f.lasts*time.Duration(i)/5, w.election.disturb)
		}
	case faultPause:
		w.pauseFor(m, 2*f.lasts)
		if f.lasts > time.Second && f.member == 0 {
			w.in(f.lasts, func() { w.tellPause(leader.Pause{}) })
		}
	case faultDamage:
		w.election.damage()
		w.in(min(f.lasts, 3*time.Second), w.election.repair)
	}
}

func (k faultKind) strikeJobManager(w *world, f fault) {
	leads := w.leading()
	m := leads
	if k == faultKillStandby || k == faultStopStandby {
		m = w.members[f.member]
		if m == leads {
			m = w.members[(f.member+1)%len(w.members)]
		}
	}
	if m == nil || m.jm == nil {
		return
	}
	j := m.jm
	switch k {
	case faultTerminate:
		if !j.ending {
			j.now(func() { w.election.leave(j) })
		}
	case faultJobEnds:
		if !j.ending {
			j.now(func() { w.election.finish(j) })
		}
	case faultStopKill:
		j.stopped = true
		kill := w.timings.lease - w.timings.retry/2 - 2*time.Second + time.Duration(j.m.boot.IntN(4000))*time.Millisecond
		w.in(kill, func() { j.die("stopped for long, killed") })
	case faultStopLeader, faultStopStandby:
		w.tracef("JobManager %s is stopped for %v", j.uuid, f.lasts)
		j.stopped = true
		w.in(f.lasts, j.goOn)
	default:
		j.die("killed")
	}
}

func (k faultKind) strikeSidecar(s *sidecar, f fault) {
	w := s.m.w
	switch k {
	case faultStopSidecar:
		w.tracef("member %d: sidecar is stopped for %v", s.m.n, f.lasts)
		s.stopped = true
		w.in(f.lasts, s.goOn)
	case faultKillSidecar, faultForget:
		s.kill(min(f.lasts, 3*time.Second), k == faultForget)
	case faultLostRequest:
		s.faults.lostBefore = 1 + f.member
	case faultLostReply:
		s.faults.lostAfter = 1
	case faultConflict:
		s.faults.conflicts = 1 + 3*f.member
	case faultStale:
		s.faults.stale = true
		s.gap(f.lasts)
		w.in(f.lasts+3*time.Second, func() { s.faults.stale = false })
	case faultGap:
		s.gap(f.lasts)
	case faultLag:
		s.lag, s.lagUntil = min(f.lasts, 5*time.Second), w.now+5*time.Second
	case faultForbidden:
		s.faults.forbiddenUntil = w.now + f.lasts
	case faultGuardOff:
		s.in(0, func() { s.step(leader.Refused{Reason: "switched off"}) })
		s.in(f.lasts, func() { s.step(leader.Refused{}) })
	}
}

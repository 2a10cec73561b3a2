package leadertest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"flink-ha-sidecar/leader"
)

// member is one pod on one machine.
type member struct {
	w    *world
	n    int
	jm   *jobManager
	side *sidecar
	link link
	// offset and rate make the machine's clock out of true time.
	offset time.Duration
	rate   float64
	// net and the following are random numbers, one stream a purpose.
	net    draw
	notice draw
	boot   *rand.Rand
	flink  *rand.Rand
	// started counts the JobManagers of this pod.
	started int
}

// draw draws durations.
type draw struct{ *rand.Rand }

// between draws from low to high milliseconds.
func (d draw) between(low, high int) time.Duration {
	return time.Duration(low)*time.Millisecond + time.Duration(d.Int64N(int64(high-low)*int64(time.Millisecond)+1))
}

func newMember(w *world, n int) *member {
	clocks := w.stream(n, "clock")
	m := &member{
		w: w, n: n,
		offset: time.Duration(clocks.Int64N(int64(4*time.Second))) - 2*time.Second,
		rate:   1 + (clocks.Float64()-0.5)*0.002,
		net:    draw{w.stream(n, "flink's requests")},
		notice: draw{w.stream(n, "what flink notices")},
		boot:   w.stream(n, "starts of JobManagers"),
		flink:  w.stream(n, "flink's pauses"),
	}
	m.link.w = w
	m.side = newSidecar(m)
	return m
}

// clock is what the machine's clock says.
func (m *member) clock() time.Time {
	local := time.Duration(float64(m.w.now) * m.rate)
	return epoch.Add(m.offset + local)
}

// trueTime is how much true time passes in so much local time.
func (m *member) trueTime(local time.Duration) time.Duration {
	return time.Duration(float64(local) / m.rate)
}

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// link is the way from one machine to the API server.
type link struct {
	w *world
	// cut until this time; hangs says that requests hang instead of being refused.
	cut   time.Duration
	hangs bool
	// slow adds so much to each way until slowUntil.
	slow      time.Duration
	slowUntil time.Duration
}

func (l *link) up() bool { return l.w.now >= l.cut }

// delay is how long one way takes that would take d.
func (l *link) delay(d time.Duration) time.Duration {
	if l.w.now < l.slowUntil {
		d += l.slow
	}
	return d
}

// watch is how long until a watch event arrives that would take d.
func (l *link) watch(d time.Duration) time.Duration {
	return max(l.delay(d), l.cut-l.w.now+d)
}

// send sends a request: arrive runs at the store, whatever becomes of the
// sender meanwhile; done runs back here, with an error if no reply came.
func (l *link) send(out, back time.Duration, patience time.Duration, arrive func(), done func(err error)) {
	if !l.up() {
		wait := out
		if l.hangs {
			wait = patience
		}
		l.w.in(wait, func() { done(leader.ErrUnavailable) })
		return
	}
	l.w.in(l.delay(out), func() {
		arrive()
		if !l.up() {
			l.w.in(patience, func() { done(leader.ErrUnclear) })
			return
		}
		l.w.in(l.delay(back), func() { done(nil) })
	})
}

// jobManager is one JVM.
type jobManager struct {
	m    *member
	uuid string
	proc leader.Process
	// alive until it dies; stopped by SIGSTOP: what is due then happens later.
	alive, stopped bool
	late           []func()
	// ending: it has got SIGTERM.
	ending bool
	// fabric8's state of this JVM.
	elector elector
}

func (m *member) startJobManager() {
	if m.jm != nil {
		return
	}
	m.started++
	j := &jobManager{m: m, alive: true}
	j.uuid = fmt.Sprintf("%08d-0000-4000-8000-%012d", m.n, m.started)
	j.proc = leader.Process{BootID: fmt.Sprintf("boot-%d", m.n), PIDNamespace: "pid:[1]", PID: 100 + m.started%3, StartTime: uint64(m.started)}
	m.jm = j
	m.w.processes[j.uuid] = j
	m.w.tracef("member %d: JobManager %s starts", m.n, j.uuid)
	m.side.processesChanged()
	j.in(2500*time.Millisecond+time.Duration(m.boot.IntN(2000))*time.Millisecond, func() { m.w.election.join(j) })
}

// in runs do after so much true time, unless the JVM is dead then; if it is
// stopped, when it goes on.
func (j *jobManager) in(d time.Duration, do func()) { j.m.w.in(d, func() { j.now(do) }) }

// now runs do if the JVM lives, when it is not stopped.
func (j *jobManager) now(do func()) {
	switch {
	case !j.alive:
	case j.stopped:
		j.late = append(j.late, do)
	default:
		do()
	}
}

// goOn is SIGCONT.
func (j *jobManager) goOn() {
	j.stopped = false
	late := j.late
	j.late = nil
	for _, do := range late {
		j.now(do)
	}
}

// die ends the JVM; the kubelet starts the next one after a while.
func (j *jobManager) die(why string) {
	if !j.alive {
		return
	}
	w := j.m.w
	w.tracef("member %d: JobManager %s dies: %s", j.m.n, j.uuid, why)
	w.lost(j)
	j.alive = false
	j.m.jm = nil
	j.m.side.died(j.proc)
	pause := j.m.restartPause()
	if pause <= 200*time.Millisecond {
		w.result.Coverage.Faults[faultFastRestart]++
	}
	w.in(pause, j.m.startJobManager)
}

// restartPause is how long the kubelet waits: the first restart is immediate,
// later ones wait 10 s.
func (m *member) restartPause() time.Duration {
	switch m.boot.IntN(4) {
	case 0:
		return 10 * time.Second
	case 1:
		return time.Second + time.Duration(m.boot.IntN(2000))*time.Millisecond
	}
	return 50*time.Millisecond + time.Duration(m.boot.IntN(150))*time.Millisecond
}

package vvp

import (
	"fmt"
	"time"
)

// gate is the model of `flink-ha gate`: two processes that end the JobManager by the
// time that they were told, whichever of them is stopped.
type gate struct {
	p      *pod
	rate   float64
	name   string
	number int
	dead   bool
	paused time.Duration
	// run, epoch, stopAt and killAt are the last answer, by the gate's clock.
	run            bool
	epoch          string
	stopAt, killAt time.Duration
	child          child
	has            bool
	asked          int
	alarmed        string // the gate whose alarm is on its way
}

type child struct {
	number        int
	epoch         string
	alive, ending bool
	ended         bool // reaped and known to the gate
	killAt        time.Duration
	deaf          bool // ignores SIGTERM
}

func newGate(p *pod) *gate { return &gate{p: p, rate: p.w.drawRate(), dead: true} }

// clock is the gate's CLOCK_BOOTTIME.
func (g *gate) clock() time.Duration { return time.Duration(float64(g.p.w.now) * g.rate) }

func (g *gate) until(at time.Duration) time.Duration {
	return time.Duration(float64(at-g.clock())/g.rate) + time.Microsecond
}

// begin starts a new gate.
func (g *gate) begin() {
	g.number++
	g.name, g.dead, g.run, g.has, g.paused = fmt.Sprintf("%s-gate-%d", g.p.name, g.number), false, false, false, 0
	g.child = child{}
	g.p.w.tracef("%s starts", g.name)
	g.ask()
}

// mayStart: a JobManager could be started without another answer.
func (g *gate) mayStart() bool {
	return !g.dead && g.run && !g.child.alive && g.clock() < g.stopAt
}

// when runs something in this gate once it is not stopped, unless it has died.
func (g *gate) when(d time.Duration, run func()) {
	name := g.name
	g.p.w.in(d, func() {
		switch {
		case g.dead || g.name != name:
		case g.paused > g.p.w.now:
			g.when(g.paused-g.p.w.now, run)
		default:
			run()
		}
	})
}

func (g *gate) report() Gate {
	r := Gate{Name: g.name, Has: g.has}
	if g.has {
		r.Child = Child{Number: g.child.number, PID: 1000 + g.child.number, Epoch: g.child.epoch, Ended: g.child.ended}
	}
	return r
}

// ask asks the sidecar, and again after that.
func (g *gate) ask() {
	g.asked++
	asked, begun, said := g.asked, g.clock(), g.report()
	ended := g.child.ended
	s := g.p.sidecar
	if s != nil && !s.dead {
		s.after(g.p.w.between(0, 5*time.Millisecond), func() {
			d := s.step(Asked{said})
			if change := g.p.w.broken.permit; change != nil {
				d.Permit = change(s.p.rules, s.state, d.Permit, s.p.clock())
			}
			g.when(g.p.w.between(0, 5*time.Millisecond), func() {
				if asked == g.asked && ended == g.child.ended {
					g.answered(d.Permit, begun)
				}
			})
		})
	}
	g.when(g.p.w.between(300*time.Millisecond, 1300*time.Millisecond), func() {
		if asked == g.asked {
			g.ask()
		}
	})
}

func (g *gate) answered(p Permit, begun time.Duration) {
	if p.Unknown {
		return // no answer
	}
	g.run, g.epoch, g.stopAt, g.killAt = p.Run, p.Epoch, begun+p.Stop, begun+p.Kill
	if g.child.alive && !g.child.ending && p.Run && p.Epoch == g.child.epoch {
		g.child.killAt = g.killAt
	}
	g.p.w.check()
	g.act()
	g.alarm()
}

// alarm looks at the clock when the permit is over; one event is on its way.
func (g *gate) alarm() {
	if !g.run || g.alarmed == g.name || g.clock() >= g.stopAt {
		return
	}
	g.alarmed = g.name
	g.when(g.until(g.stopAt), func() {
		g.alarmed = ""
		if g.clock() >= g.stopAt {
			g.act()
		}
		g.alarm()
	})
}

// act is the rule of the gate.
func (g *gate) act() {
	now := g.clock()
	allowed := g.run && now < g.stopAt
	switch {
	case g.child.alive && now >= g.child.killAt:
		g.kill()
	case g.child.alive && !g.child.ending && (!allowed || g.epoch != g.child.epoch):
		g.child.ending = true
		g.p.w.cover.terms++
		g.p.w.tracef("%s SIGTERM", g.name)
		if !g.child.deaf {
			g.endIn(g.p.w.between(0, 4*time.Second))
		}
		g.guard()
	case allowed && !g.child.alive && (!g.has || g.child.ended):
		g.start()
	}
}

func (g *gate) start() {
	w := g.p.w
	g.child = child{number: g.child.number + 1, epoch: g.epoch, alive: true, killAt: g.killAt, deaf: w.chance(30)}
	g.has = true
	w.cover.children++
	w.tracef("%s starts JobManager %d under %s", g.name, g.child.number, g.epoch)
	w.changed()
	g.guard()
	g.ask()
}

// guard kills the JobManager when its time is over, even if the gate is stopped.
func (g *gate) guard() {
	name, number := g.name, g.child.number
	g.p.w.in(g.until(g.child.killAt), func() {
		switch {
		case g.name != name || g.child.number != number || !g.child.alive:
		case g.clock() >= g.child.killAt:
			g.kill()
		default:
			g.guard()
		}
	})
}

func (g *gate) kill() {
	g.p.w.cover.kills++
	g.p.w.tracef("%s SIGKILL", g.name)
	g.endIn(g.p.w.between(0, g.p.rules.Timing.KillTime*9/10))
}

// endIn ends the JobManager; the gate knows at once, or when it is continued.
func (g *gate) endIn(d time.Duration) {
	name, number := g.name, g.child.number
	g.p.w.in(d, func() {
		if g.name != name || g.child.number != number || !g.child.alive {
			return
		}
		g.child.alive = false
		wanted := !g.child.ending
		g.p.w.tracef("%s its JobManager %d has ended", g.name, number)
		g.p.w.cover.ends++
		g.p.w.changed()
		g.when(0, func() {
			g.child.ended, g.run = true, false
			g.ask()
			if wanted && g.p.w.chance(60) { // the command has ended by itself: the gate ends with it
				g.when(g.p.w.between(10*time.Millisecond, 100*time.Millisecond), func() { g.die(g.p.w.between(500*time.Millisecond, 3*time.Second)) })
			}
		})
	})
}

// die ends the gate; what it had started is gone in a moment, and another one begins.
func (g *gate) die(again time.Duration) {
	g.p.w.tracef("%s ends", g.name)
	if g.child.alive {
		g.endIn(g.p.w.between(0, 100*time.Millisecond))
	}
	g.dead = true
	g.p.w.in(max(again, 200*time.Millisecond), g.begin)
}

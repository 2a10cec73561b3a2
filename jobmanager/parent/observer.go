package parent

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"flink-ha-sidecar/leader"
)

// Report is what a gate that only observes (`gate --observe`) says of itself. It says
// it several times a second, one report after the other, and at once when its child
// has ended.
type Report struct {
	// Gate is a name that the gate has drawn at its start.
	Gate string
	// Has: it has started a child, which is Process.
	Has     bool
	Process leader.Process
	// Started is when, by this machine's wall clock.
	Started time.Time
	// Ended: it was reaped, and nothing of what it had started is left.
	Ended bool
}

// Observer takes the word of gates under one of Flink's own HA services: it binds and
// proves what a pidfd would, where processes are not shared.
//
// It is as strict as the watcher of processes. A look counts only reports that were
// begun after it. Only a report of its end is a child's death: a gate that is silent,
// or has been followed by another one, proves nothing.
type Observer struct {
	mu      sync.Mutex
	gates   []*gate // the one heard last is the last
	news    chan struct{}
	witness *Witness
}

type gate struct {
	Report
	heard   time.Time
	reports int
}

const (
	// gatesKept bounds what is remembered of gates before the present one.
	gatesKept = 4
	// forgetAfter is after how much silence a gate is not counted any more once another
	// one is there.
	forgetAfter = 2 * time.Second
)

var _ leader.Processes = (*Observer)(nil)

// NewObserver returns one that has heard nothing.
func NewObserver() *Observer {
	w := New(time.Now)
	w.pending, w.current = nil, leader.Evidence{}
	return &Observer{news: make(chan struct{}), witness: w}
}

// Hear takes a report.
func (o *Observer) Hear(r Report) {
	o.mu.Lock()
	defer o.mu.Unlock()
	g := o.find(r.Gate)
	before := g.Report
	if before.Has && before.Process == r.Process && before.Ended {
		r.Ended = true // a report that was overtaken
	}
	g.Report, g.heard = r, time.Now()
	g.reports++
	if r.Has && r.Ended && (!before.Ended || before.Process != r.Process) {
		o.witness.Ended(r.Process, leader.ProofPidfd)
	}
	close(o.news)
	o.news = make(chan struct{})
	o.witness.tell(o.evidence())
}

// find returns the gate of this name, the newest one now.
func (o *Observer) find(name string) *gate {
	now := time.Now()
	o.gates = slices.DeleteFunc(o.gates, func(g *gate) bool { return g.Gate != name && now.Sub(g.heard) > forgetAfter })
	i := slices.IndexFunc(o.gates, func(g *gate) bool { return g.Gate == name })
	if i < 0 {
		o.gates = append(o.gates[max(0, len(o.gates)-gatesKept):], &gate{Report: Report{Gate: name}})
		i = len(o.gates) - 1
	}
	return o.gates[i]
}

// evidence is what all gates say now.
func (o *Observer) evidence() leader.Evidence {
	e := leader.Evidence{At: time.Now(), Proof: leader.ProofPidfd}
	var names []string
	for _, g := range o.gates {
		if g.Has && !g.Ended {
			e.Alive, e.Started = append(e.Alive, g.Process), g.Started
			names = append(names, g.Gate)
		}
	}
	switch len(e.Alive) {
	case 0:
		e.Problem = "no gate runs a JobManager"
	case 1:
	default:
		e.Problem = "several gates run a JobManager each: " + strings.Join(names, ", ")
	}
	return e
}

// Run is leader.Processes'.
func (o *Observer) Run(ctx context.Context, changed func(leader.Evidence), ended func(leader.Death)) error {
	return o.witness.Run(ctx, changed, ended)
}

// Look waits until each gate has reported twice: its second report was begun after it
// had the answer to the first, so after the look began.
func (o *Observer) Look(ctx context.Context) leader.Evidence {
	o.mu.Lock()
	if len(o.gates) == 0 { // there is none: nothing is said
		o.mu.Unlock()
		return leader.Evidence{}
	}
	want := make(map[*gate]int)
	for _, g := range o.gates {
		want[g] = g.reports + 2
	}
	o.mu.Unlock()
	for {
		o.mu.Lock()
		late := ""
		for g, n := range want {
			if g.reports < n && slices.Contains(o.gates, g) {
				late = g.Gate
			}
		}
		e, news := o.evidence(), o.news
		o.mu.Unlock()
		if late == "" {
			return e
		}
		select {
		case <-news:
		case <-ctx.Done():
			return leader.Evidence{At: time.Now(), Proof: leader.ProofPidfd, Problem: fmt.Sprintf("gate %.20s does not say in time whether its JobManager lives", late)}
		}
	}
}

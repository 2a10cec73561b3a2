package vvp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"

	"flink-ha-sidecar/internal/apiserver"
	"flink-ha-sidecar/leader"
)

// Options are the settings of an Elector.
type Options struct {
	Namespace, ClusterID string
	Rules                Rules
	// Clock is BootClock if nil.
	Clock Clock
	// Count is called once a request with the verb (get, create, update) and the
	// outcome (ok, conflict, gone, forbidden, unclear, unavailable). May be nil.
	Count func(verb, outcome string)
	// Report is told every event, in order. It must not block, nor call the Elector.
	// May be nil.
	Report func(Event)
}

// Elector campaigns for this pod. Observe runs it; Permit answers its gate. It is the
// backend for the loop as well: what the elector reads and writes is what the loop
// sees, and what the loop frees is what the elector has had.
type Elector struct {
	store  *store
	rules  Rules
	clock  Clock
	report func(Event)

	mu    sync.Mutex
	state State
	// todo holds the request to be sent next; only one is under way.
	todo chan Action
	// poked: Wake has changed.
	poked chan struct{}
	wake  time.Duration
}

var _ leader.Backend = (*Elector)(nil)

// New returns an elector that has not asked anything yet.
func New(config *rest.Config, o Options) (*Elector, error) {
	if o.Namespace == "" || o.ClusterID == "" {
		return nil, fmt.Errorf("vvp-kubernetes: namespace %q and cluster id %q must both be set", o.Namespace, o.ClusterID)
	}
	if o.Rules.Pod == "" || len(o.Rules.Pod) > 253 || strings.Contains(o.Rules.Pod, "/") || o.Rules.Run == "" || len(o.Rules.Run) > 64 {
		return nil, fmt.Errorf("vvp-kubernetes: %q is no name of a pod: it is what tells the members of a cluster apart", o.Rules.Pod)
	}
	if err := o.Rules.Timing.Validate(); err != nil {
		return nil, fmt.Errorf("vvp-kubernetes: %w", err)
	}
	client, err := apiserver.New(config)
	if err != nil {
		return nil, fmt.Errorf("vvp-kubernetes: %w", err)
	}
	e := &Elector{
		store: &store{client: client, ref: apiserver.Ref{Namespace: o.Namespace, Resource: "configmaps", Name: ConfigMapName(o.ClusterID)}, count: o.Count},
		rules: o.Rules, clock: o.Clock, report: o.Report,
		todo: make(chan Action, 1), poked: make(chan struct{}, 1),
	}
	if e.store.count == nil {
		e.store.count = func(string, string) {}
	}
	if e.clock == nil {
		e.clock = BootClock
	}
	if e.report == nil {
		e.report = func(Event) {}
	}
	return e, nil
}

// Name is the lock's ConfigMap, as namespace/name.
func (e *Elector) Name() string { return e.store.name() }

// Lookalikes names no other locks: that would need one more verb.
func (e *Elector) Lookalikes(context.Context) ([]string, error) { return nil, nil }

// State returns the present one.
func (e *Elector) State() State {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.state
}

// Permit answers a gate, at once.
func (e *Elector) Permit(g Gate) Permit { return e.step(Asked{g}).Permit }

// Proven tells that a gate has ended, and all that it had started, if it was the one
// that asks here and was heard before at: the kubelet's word for its container, told
// in whole seconds.
func (e *Elector) Proven(at time.Time, proof leader.Proof) bool {
	e.mu.Lock()
	g := e.state.Gate()
	e.mu.Unlock()
	if !g.stoppedBefore(at) {
		return false
	}
	e.step(Proven{Gate: g.Name, Proof: proof})
	return true
}

// Retire ends the campaign: the JobManager that runs is kept until it has ended.
func (e *Elector) Retire() { e.step(Retire{}) }

// step is the only way to change the state.
func (e *Elector) step(in Input) Decision {
	e.mu.Lock()
	defer e.mu.Unlock()
	var d Decision
	e.state, d = e.rules.Decide(e.state, in, e.clock())
	for _, event := range d.Events {
		e.report(event)
	}
	if d.Action.Kind != ActionNone {
		e.todo <- d.Action // never full: one is under way at most
	}
	e.wake = d.Wake
	select {
	case e.poked <- struct{}{}:
	default:
	}
	return d
}

// result is what came of a request.
type result struct {
	input Input
	sight Sight
	err   error
	write bool
}

// Observe runs the elector until ctx is done. Every version of the lock that it comes
// by is a view.
func (e *Elector) Observe(ctx context.Context, sink func(leader.View), gap func(error)) error {
	results := make(chan result, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	teller := teller{sink: sink, gap: gap, now: e.wall}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case a := <-e.todo:
			wg.Go(func() { results <- e.request(ctx, a) })
			continue
		case r := <-results:
			e.step(r.input)
			teller.tell(r)
		case <-timer.C:
			e.step(Tick{})
		case <-e.poked:
		}
		e.mu.Lock()
		wait := e.wake - e.clock().Boot
		e.mu.Unlock()
		timer.Reset(max(wait, time.Millisecond))
	}
}

// request makes one attempt. Its time counts from before it is sent.
func (e *Elector) request(ctx context.Context, a Action) result {
	begun := e.clock().Boot
	ctx, cancel := context.WithTimeout(ctx, e.rules.Timing.call())
	defer cancel()
	r := result{write: a.Kind != ActionRead}
	switch a.Kind {
	case ActionCreate:
		r.sight, r.err = e.store.create(ctx)
	case ActionWrite:
		r.sight, r.err = e.store.swap(ctx, a.Over, a.Text)
	default:
		r.sight, r.err = e.store.get(ctx)
		r.input = ReadDone{Begun: begun, Sight: r.sight, Err: r.err}
		return r
	}
	r.input = WriteDone{Begun: begun, Sight: r.sight, Err: r.err}
	return r
}

// teller makes views of results.
type teller struct {
	sink   func(leader.View)
	gap    func(error)
	now    func() time.Time
	last   leader.View
	told   bool
	resync bool
}

func (t *teller) tell(r result) {
	switch {
	case r.err != nil && r.write && (errors.Is(r.err, leader.ErrConflict) || errors.Is(r.err, leader.ErrGone)):
		return // an answer like any other
	case r.err != nil:
		t.gap(r.err)
		t.resync = true
		return
	}
	v := r.sight.View(t.now())
	if v.Lock == leader.LockAbsent && t.told && t.last.Lock != leader.LockAbsent {
		v.Revision = t.last.Revision + 1 // whatever comes next has a higher one
	}
	if t.told && !t.resync && v.Lock == t.last.Lock && (v.Lock == leader.LockAbsent || v.Revision == t.last.Revision) {
		return
	}
	v.Resync, t.resync = t.resync, false
	t.last, t.told = v, true
	t.sink(v)
}

// wall is the clock that the records of this elector are dated by.
func (e *Elector) wall() time.Time { return e.clock().Wall }

// Read is leader.Backend's.
func (e *Elector) Read(ctx context.Context) (leader.View, error) {
	s, err := e.store.get(ctx)
	if err != nil {
		return leader.View{}, err
	}
	return s.View(e.wall()), nil
}

// Release gives the lock back if its record is still, byte for byte, the one of v.
func (e *Elector) Release(ctx context.Context, v leader.View, holder string) (leader.View, error) {
	s, err := e.store.get(ctx)
	switch {
	case err != nil:
		return leader.View{}, err
	case s.Kind == Absent:
		return leader.View{}, fmt.Errorf("release %s: %w", e.Name(), leader.ErrGone)
	case s.Kind != Held || s.Text != v.Record || s.UID != v.Tenure.Generation || s.Record.Holder != holder:
		return leader.View{}, fmt.Errorf("release %s: %w", e.Name(), leader.ErrConflict)
	}
	s, err = e.store.swap(ctx, s, s.Record.Freed(e.clock().Wall).Text(s.UID))
	if err != nil {
		return leader.View{}, err
	}
	return s.View(e.wall()), nil
}

package discovery

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"flink-ha-sidecar/leader"
)

const (
	// reassertEvery is how often the object is read although nothing was heard of
	// it, and how long a refusal is left alone: only people end that.
	reassertEvery = 5 * time.Minute
	// callFor bounds each request.
	callFor = 5 * time.Second
	// retryFrom and retryTo bound the pause after a request that failed.
	retryFrom = 100 * time.Millisecond
	retryTo   = 5 * time.Second
	// contestFrom and contestTo bound the pause before an object is written once
	// more for the same tenure: with another controller that owns the object, too
	// many such writes would be a fight.
	contestFrom = 10 * time.Millisecond
	contestTo   = time.Minute
	// lastFor bounds what is still done when the publisher has to end.
	lastFor = 2 * time.Second
)

// Publisher keeps one object telling what State says. One request is in flight at a
// time; of the States that come meanwhile only the newest counts.
type Publisher struct {
	Store Store
	// Lock reads the lock from a quorum.
	Lock func(context.Context) (leader.View, error)
	Log  *zap.Logger
	// Count is called once a request with its outcome: ok, conflict, forbidden,
	// refused or unavailable.
	Count func(outcome string)

	once  sync.Once
	wake  chan struct{}
	mu    sync.Mutex
	state State
	heard []Object // what the watch has told and the loop has not taken yet
}

func (p *Publisher) init() { p.once.Do(func() { p.wake = make(chan struct{}, 1) }) }

// Tell gives the newest State. It never blocks.
func (p *Publisher) Tell(s State) {
	p.init()
	p.mu.Lock()
	p.state = s
	p.mu.Unlock()
	p.poke()
}

func (p *Publisher) hear(o Object) {
	p.mu.Lock()
	p.heard = append(p.heard[:0], o) // only the newest is of interest
	p.mu.Unlock()
	p.poke()
}

func (p *Publisher) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// take returns the newest State and what was heard of the object since the last
// call.
func (p *Publisher) take() (State, []Object) {
	p.mu.Lock()
	defer p.mu.Unlock()
	heard := p.heard
	p.heard = nil
	return p.state, heard
}

// Run works until ctx is done; what is not written then is tried once more.
func (p *Publisher) Run(ctx context.Context) {
	p.init()
	r := &publishing{Publisher: p}
	defer r.unwatch()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-p.wake:
		case <-timer.C:
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastFor)
			defer cancel()
			r.resume = time.Time{}
			r.settle(last)
			return
		}
		r.settle(ctx)
		timer.Reset(time.Until(r.due()))
	}
}

// publishing is one Run.
type publishing struct {
	*Publisher
	object Object
	asked  Asked
	// about is the tenure on whose behalf the lock was asked and requests were refused.
	about leader.Tenure
	// resume is the earliest time for another request after one that failed, pause
	// the last wait for it, 0 if only people end the failure.
	resume time.Time
	pause  time.Duration
	// looked is when the object was read last or written.
	looked time.Time
	// tenure was written last, wrote when. Before calm it is not written again, contest
	// is the last wait for that.
	tenure      leader.Tenure
	wrote, calm time.Time
	contest     time.Duration
	// complaint is what was said last, so that it is said once.
	complaint string
	watching  func()
}

// due is when to look again without being woken.
func (r *publishing) due() time.Time {
	if !r.resume.IsZero() {
		return r.resume
	}
	return r.looked.Add(reassertEvery)
}

// settle makes requests one after the other until nothing is left to be done now.
func (r *publishing) settle(ctx context.Context) {
	for ctx.Err() == nil {
		state, heard := r.take()
		for _, o := range heard {
			r.see(o)
		}
		r.follow(ctx, state)
		if r.about != state.Tenure {
			r.about, r.asked, r.resume, r.pause = state.Tenure, Asked{}, time.Time{}, 0
		}
		now := time.Now()
		if now.Sub(r.looked) >= reassertEvery {
			r.object.Seen = false
		}
		move := Decide(state, r.object, r.holds(state), r.asked)
		if move == Stay || move == Outdone {
			r.resume = time.Time{}
			if move == Outdone {
				r.complain(zap.InfoLevel, "not published: "+r.Store.Name()+" tells of a newer leader")
			}
			if state.Retired == "" && !state.Mine {
				r.looked = now // nothing of ours to be looked after
			}
			return
		}
		if move == Put && state.Tenure == r.tenure && r.calm.After(r.resume) {
			r.resume = r.calm
		}
		if now.Before(r.resume) {
			return
		}
		r.resume = time.Time{}
		r.finish(move, state, r.do(ctx, move, state))
	}
}

func (r *publishing) holds(s State) bool { return r.Store.Holds(r.object, wanted(s, r.object)) }

// note takes in a write. The pause before another one for the same tenure grows as
// long as they follow one another closely.
func (r *publishing) note(tenure leader.Tenure, now time.Time) {
	if tenure != r.tenure || now.Sub(r.wrote) > reassertEvery {
		r.contest, r.calm = 0, now
	} else {
		r.contest = min(max(4*r.contest, contestFrom), contestTo)
		r.calm = now.Add(r.contest)
	}
	r.tenure, r.wrote = tenure, now
}

// do makes one request.
func (r *publishing) do(ctx context.Context, move Move, s State) error {
	ctx, cancel := context.WithTimeout(ctx, callFor)
	defer cancel()
	var o Object
	var err error
	switch move {
	case Look:
		o, err = r.Store.Read(ctx)
	case Ask:
		v, err := r.Lock(ctx)
		if err == nil {
			r.asked = Asked{Done: true, Tenure: v.Tenure}
		}
		return err // counted as a request to the backend
	case Put:
		o, err = r.Store.Write(ctx, r.object, wanted(s, r.object))
	case Clear:
		o, err = r.Store.Write(ctx, r.object, r.object.Leader.Withdrawn())
	}
	r.Count(outcomeOf(err))
	if err == nil {
		r.looked = time.Now()
		r.object, r.asked = o, Asked{}
	}
	return err
}

// finish takes in how a request ended.
func (r *publishing) finish(move Move, s State, err error) {
	now := time.Now()
	switch {
	case err == nil:
		r.pause = 0
		if move == Put || move == Clear {
			r.note(s.Tenure, now)
			r.complain(zap.InfoLevel, "")
			r.Log.Info("leader published", zap.String("object", r.Store.Name()), zap.String("move", move.String()),
				zap.Uint64("epoch", r.object.Leader.Epoch.Counter), zap.String("rest_url", r.object.Leader.RESTURL))
		}
		return
	case errors.Is(err, ErrConflict):
		r.object, r.asked = Object{}, Asked{}
		return
	case errors.Is(err, ErrForbidden), errors.Is(err, ErrRefused):
		r.resume, r.pause = now.Add(reassertEvery), 0
		r.complain(zap.WarnLevel, "the leader's address is not published in "+r.Store.Name()+": "+err.Error())
		return
	case errors.Is(err, leader.ErrForbidden): // said by whoever observes the lock
		r.resume, r.pause = now.Add(reassertEvery), 0
		return
	}
	// What became of a write is not known: look before anything else.
	r.object, r.asked = Object{}, Asked{}
	r.pause = min(max(2*r.pause, retryFrom), retryTo)
	r.resume = now.Add(r.pause/2 + rand.N(r.pause/2+1))
	r.complain(zap.WarnLevel, "the leader's address cannot be published in "+r.Store.Name()+" now, trying again")
}

// complain says something once, until something else is to be said.
func (r *publishing) complain(level zapcore.Level, text string) {
	if text != "" && text != r.complaint {
		r.Log.Log(level, text)
	}
	r.complaint = text
}

// see takes in what the watch has told. Its news may be older than the reply to our
// own write.
func (r *publishing) see(o Object) {
	if o.Revision != 0 && o.Revision <= r.object.Revision {
		return
	}
	r.object, r.asked, r.looked = o, Asked{}, time.Now()
	if r.pause > 0 { // it answers again
		r.resume, r.pause = time.Time{}, 0
	}
}

// follow watches the object for as long as it is ours to look after. What it was
// before that is old news.
func (r *publishing) follow(ctx context.Context, s State) {
	wanted := s.Mine && s.Retired == "" && ctx.Err() == nil
	switch {
	case wanted && r.watching == nil:
		r.object, r.asked, r.resume = Object{}, Asked{}, time.Time{}
		r.watch(ctx)
	case !wanted && r.watching != nil:
		r.unwatch()
		r.object, r.asked = Object{}, Asked{}
	}
}

func (r *publishing) watch(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		r.Store.Watch(ctx, r.hear, func(error) {})
	})
	r.watching = func() { cancel(); wg.Wait() }
}

func (r *publishing) unwatch() {
	if r.watching != nil {
		r.watching()
		r.watching = nil
	}
}

func outcomeOf(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, ErrConflict):
		return "conflict"
	case errors.Is(err, ErrForbidden):
		return "forbidden"
	case errors.Is(err, ErrRefused):
		return "refused"
	}
	return "unavailable"
}

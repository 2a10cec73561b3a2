package hastate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"flink-ha-sidecar/leader"
)

const (
	// writeFor bounds one write with all its attempts, askFor that of a pause, for
	// which somebody waits.
	writeFor = 5 * time.Second
	askFor   = 10 * time.Second
	// lastFor bounds the write at the end.
	lastFor = time.Second
	// retryFrom and retryTo bound the pause after a write that failed, refusedFor is
	// the one after a refusal: only people end that.
	retryFrom  = time.Second
	retryTo    = 30 * time.Second
	refusedFor = time.Minute
	// goneFor is the pause while there is nowhere to write to.
	goneFor = 2 * time.Second
	// othersFirst is how long a sidecar that only looked on leaves a change to those
	// that know more of it, plus up to as much again.
	othersFirst = 2 * time.Second
)

// Options are what a Keeper needs to know.
type Options struct {
	Store Store
	Log   *zap.Logger
	// Pod is this sidecar's; URL where it answers, empty for one that is no member.
	Pod, URL string
	// Told is called with the pause as often as it is seen. May be nil.
	Told func(context.Context, leader.Pause)
	// Well is called with whether the document is seen and written, when that changes.
	// May be nil.
	Well func(bool)
}

// Keeper is one sidecar's part in the document. Nothing of it blocks the loop that
// decides.
type Keeper struct {
	Options
	wake chan struct{}

	mu       sync.Mutex
	document Document
	known    bool
	order    uint64
	pending  []report
	trouble  trouble
	well     bool
}

// report is a change that waits to be written.
type report struct {
	change Change
	// hearsay: this sidecar only looked on.
	hearsay bool
	due     time.Time
}

// NewKeeper returns one that has not asked the store for anything.
func NewKeeper(o Options) *Keeper { return &Keeper{Options: o, wake: make(chan struct{}, 1)} }

// Document is what was seen last, and whether anything was.
func (k *Keeper) Document() (Document, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.document, k.known
}

// First reads the document once, so that a pause is known before anything is
// decided. Without an answer until ctx is done nothing is known.
func (k *Keeper) First(ctx context.Context) (leader.Pause, bool) {
	v, err := k.Store.Load(ctx)
	if err != nil {
		return leader.Pause{}, false
	}
	d, _ := k.saw(v)
	return d.Pause, true
}

// Record takes changes to be written. involved says that this sidecar's JobManager
// led before or leads now; others wait, and then have often nothing to add. It never
// waits.
func (k *Keeper) Record(all []Change, involved bool) {
	if len(all) == 0 {
		return
	}
	due := time.Now()
	if !involved {
		due = due.Add(othersFirst + rand.N(othersFirst))
	}
	k.mu.Lock()
	for _, c := range all {
		k.pending = append(k.pending, report{c, !involved, due})
	}
	k.pending = k.pending[max(0, len(k.pending)-MaxChanges):]
	k.mu.Unlock()
	k.kick()
}

func (k *Keeper) kick() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// Run watches and writes until ctx is done. What is still to be written then is
// written within a second, or lost.
func (k *Keeper) Run(ctx context.Context) {
	var watching sync.WaitGroup
	watching.Go(func() {
		_ = k.Store.Watch(ctx, func(v Version) {
			d, _ := k.saw(v)
			if k.Told != nil {
				k.Told(ctx, d.Pause)
			}
			k.kick() // to be a member again, should the document have been replaced
		}, k.lost)
	})
	k.write(ctx)
	watching.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastFor)
	defer cancel()
	if len(k.dueBy(time.Time{})) > 0 {
		_ = k.flush(last, time.Time{}) // it was told, and nobody is left to try again
	}
}

// write writes what is due, until ctx is done.
func (k *Keeper) write(ctx context.Context) {
	t := time.NewTimer(0)
	defer t.Stop()
	pause := retryFrom
	var notBefore time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.wake:
		case <-t.C:
		}
		if now := time.Now(); !now.Before(notBefore) && (len(k.dueBy(now)) > 0 || k.absent()) {
			if err := k.flush(ctx, now); err == nil {
				pause, notBefore = retryFrom, time.Time{}
			} else {
				notBefore = time.Now().Add(pauseAfter(err, pause))
				pause = min(2*pause, retryTo)
			}
		}
		t.Reset(k.next(notBefore))
	}
}

// pauseAfter is how long nothing is written after a failure.
func pauseAfter(err error, pause time.Duration) time.Duration {
	switch {
	case errors.Is(err, leader.ErrGone): // Flink is about to make the cluster's node
		return goneFor
	case errors.Is(err, leader.ErrForbidden), errors.Is(err, ErrNewer):
		return refusedFor
	}
	return pause/2 + rand.N(pause)
}

// next is how long to wait for something to become due.
func (k *Keeper) next(notBefore time.Time) time.Duration {
	k.mu.Lock()
	at := notBefore
	for _, r := range k.pending {
		if at.IsZero() || at.After(r.due) && notBefore.IsZero() {
			at = r.due
		}
	}
	k.mu.Unlock()
	if at.IsZero() {
		return time.Hour
	}
	return max(time.Until(at), time.Millisecond)
}

// dueBy are the reports to be written by now; at a zero time all.
func (k *Keeper) dueBy(now time.Time) []report {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(k.pending), func(r report) bool { return !now.IsZero() && now.Before(r.due) })
}

// absent reports whether the document is known and does not name this member.
func (k *Keeper) absent() bool {
	d, known := k.Document()
	return known && k.URL != "" && !slices.ContainsFunc(d.Members, func(m Member) bool { return m.Pod == k.Pod && m.URL == k.URL })
}

// flush writes what is due.
func (k *Keeper) flush(ctx context.Context, now time.Time) error {
	due := k.dueBy(now)
	ctx, cancel := context.WithTimeout(ctx, writeFor)
	defer cancel()
	err := k.update(ctx, func(d Document) Document {
		for _, r := range due {
			if r.hearsay {
				d = d.WithHearsay(r.change)
			} else {
				d = d.WithChange(r.change)
			}
		}
		if k.URL != "" {
			d = d.WithMember(Member{Pod: k.Pod, URL: k.URL, Since: time.Now()})
		}
		return d
	})
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pending = slices.DeleteFunc(k.pending, func(r report) bool { return slices.Contains(due, r) })
	return nil
}

// Pause puts a pause into the document, in place of the one that is there, and
// returns it as it is kept.
func (k *Keeper) Pause(ctx context.Context, p leader.Pause) (leader.Pause, error) {
	if err := CheckPause(p); err != nil {
		return p, fmt.Errorf("pause: %w", err)
	}
	return k.setPause(ctx, p)
}

// Resume takes the pause out of the document.
func (k *Keeper) Resume(ctx context.Context) error {
	_, err := k.setPause(ctx, leader.Pause{})
	return err
}

func (k *Keeper) setPause(ctx context.Context, p leader.Pause) (leader.Pause, error) {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	if err := k.update(ctx, func(d Document) Document { return d.WithPause(p) }); err != nil {
		return p, err
	}
	d, _ := k.Document()
	if k.Told != nil {
		k.Told(ctx, d.Pause)
	}
	return d.Pause, nil
}

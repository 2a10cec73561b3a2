package hastate

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"flink-ha-sidecar/leader"
)

// update writes change(newest), and again on what others have written meanwhile.
func (k *Keeper) update(ctx context.Context, change func(Document) Document) error {
	err := k.tryUpdate(ctx, change)
	k.wrote(err)
	return err
}

// attempts is how often a write may meet another one: each time one has succeeded,
// so somebody always gets on.
const attempts = 50

func (k *Keeper) tryUpdate(ctx context.Context, change func(Document) Document) error {
	var err error
	for range attempts {
		var v Version
		if v, err = k.Store.Load(ctx); err != nil {
			return err
		}
		d, problem := k.saw(v)
		if errors.Is(problem, ErrNewer) {
			return problem
		}
		raw, e := change(d).withoutOld(time.Now()).Encode()
		if e != nil {
			return e
		}
		if string(raw) == string(v.Raw) {
			return nil
		}
		if v, err = k.Store.Save(ctx, raw, v); err == nil {
			_, _ = k.saw(v)
			return nil
		}
		if !errors.Is(err, leader.ErrConflict) && !errors.Is(err, leader.ErrUnclear) {
			return err
		}
		if !sleep(ctx, 2*time.Millisecond+rand.N(30*time.Millisecond)) {
			return err
		}
	}
	return err
}

// withoutOld leaves out a pause that has been over for so long that no clock can
// take it for one that stands.
func (d Document) withoutOld(now time.Time) Document {
	if !d.Pause.IsZero() && now.After(d.Pause.Until.Add(time.Hour)) {
		d.Pause = leader.Pause{}
	}
	return d
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

package zookeeper

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"flink-ha-sidecar/leader"
)

const (
	// retryFrom and retryTo bound the pause between attempts to connect.
	retryFrom = 50 * time.Millisecond
	retryTo   = 3 * time.Second
	// readFor bounds the attempts at one connection, and each reading.
	readFor = 5 * time.Second
)

// sweepAfter is when, counted from a release, nodes of the released session are
// looked for again: a request that was on its way at the death arrives at once or
// when the ensemble is back. The last one is when the session must have expired.
var sweepAfter = []time.Duration{300 * time.Millisecond, time.Second, 3 * time.Second, 10 * time.Second, 30 * time.Second}

// Observe reads the election and sets a watch on each node that it rests on; it
// reads again when one has fired. A link that is lost is told at once, whether or
// not its session is still alive somewhere.
func (b *Backend) Observe(ctx context.Context, sink func(leader.View), gap func(error)) error {
	pause := retryFrom
	for again := false; ctx.Err() == nil; again = true {
		err := b.observe(ctx, again, sink, func() { pause = retryFrom })
		if ctx.Err() != nil {
			break
		}
		gap(err)
		wait(ctx, pause/2+rand.N(pause/2+1))
		pause = min(2*pause, retryTo)
	}
	return ctx.Err()
}

// observe goes on until the link is lost.
func (b *Backend) observe(ctx context.Context, again bool, sink func(leader.View), healthy func()) error {
	bounded, cancel := context.WithTimeout(ctx, readFor)
	defer cancel()
	l, err := b.connected(bounded)
	if err != nil {
		return err
	}
	// A server that lags behind must not show the past as the present.
	v, err := b.collect(bounded, l, true)
	if err != nil {
		return b.lost(l, err)
	}
	healthy()
	v.Resync = again
	sink(v)
	return b.follow(ctx, l, v.Revision, sink)
}

// follow tells every change after the given revision.
func (b *Backend) follow(ctx context.Context, l *link, last uint64, sink func(leader.View)) error {
	sweep := time.NewTimer(b.nextSweep(0))
	defer sweep.Stop()
	for swept := 0; ; {
		select {
		case <-l.changed:
		case <-b.sweep:
			swept = 0
			sweep.Reset(b.nextSweep(swept))
			continue
		case <-sweep.C:
			swept++
			sweep.Reset(b.nextSweep(swept))
			if len(b.releasedSessions(time.Now())) == 0 {
				continue
			}
		case <-l.down:
			return l.err
		case <-ctx.Done():
			return ctx.Err()
		}
		bounded, cancel := context.WithTimeout(ctx, readFor)
		v, err := b.collect(bounded, l, false)
		cancel()
		if err != nil {
			return b.lost(l, err)
		}
		if v.Revision > last {
			last = v.Revision
			sink(v)
		}
	}
}

// lost gives up a link on which a reading has failed, whatever the reason: the
// next one begins with all watches set anew.
func (b *Backend) lost(l *link, err error) error {
	err = fmt.Errorf("read %s: %w", b.o.Path, err)
	l.fail(err)
	return err
}

// nextSweep is the time to the sweep after n others.
func (b *Backend) nextSweep(n int) time.Duration {
	if n >= len(sweepAfter) {
		return b.o.SessionTimeout
	}
	if n == 0 {
		return sweepAfter[0]
	}
	return sweepAfter[n] - sweepAfter[n-1]
}

// wait pauses for d or until ctx is done.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

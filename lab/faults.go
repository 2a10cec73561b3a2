package lab

import (
	"context"
	"errors"
	"time"
)

// Fault is something that happens to a control plane: it begins, calls during
// once while it lasts, and returns when it is over and the API server is ready.
type Fault func(ctx context.Context, during func() error) error

// Killed kills the API server and starts it again after length. It then takes
// some seconds until it is ready. during comes dies after the kill.
func (c *ControlPlane) Killed(length, dies time.Duration) Fault {
	return func(ctx context.Context, during func() error) error {
		c.KillAPIServer()
		err := pauses(ctx, dies, during, length-dies)
		return errors.Join(err, c.StartAPIServer(ctx))
	}
}

// Frozen stops the API server for length: it takes connections, and answers
// nothing. during comes dies after it was stopped.
func (c *ControlPlane) Frozen(length, dies time.Duration) Fault {
	return func(ctx context.Context, during func() error) error {
		if err := c.FreezeAPIServer(); err != nil {
			return err
		}
		err := pauses(ctx, dies, during, length-dies)
		if err := errors.Join(err, c.ContinueAPIServer()); err != nil {
			return err
		}
		return c.waitUntil(ctx, c.apiServerProcess(), c.apiServerReady)
	}
}

// Flapping kills the API server times over: each time it is started again after
// down and left alone for up once it is ready. during comes half of down after
// the second kill.
func (c *ControlPlane) Flapping(times int, down, up time.Duration) Fault {
	return func(ctx context.Context, during func() error) error {
		for n := range times {
			c.KillAPIServer()
			then := func() error { return nil }
			if n == 1 {
				then = during
			}
			err := pauses(ctx, down/2, then, down-down/2)
			if err := errors.Join(err, c.StartAPIServer(ctx)); err != nil {
				return err
			}
			if n == times-1 {
				break
			}
			if err := pause(ctx, up); err != nil {
				return err
			}
		}
		return nil
	}
}

// NoFault leaves the API server alone.
func NoFault(_ context.Context, during func() error) error { return during() }

// pauses waits, does something, and waits again.
func pauses(ctx context.Context, before time.Duration, then func() error, after time.Duration) error {
	if err := pause(ctx, before); err != nil {
		return err
	}
	if err := then(); err != nil {
		return err
	}
	return pause(ctx, after)
}

// pause lets a fault last.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Package follower composes "flink-ha follow": a source, the follower, and what is
// done with the address.
package follower

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"flink-ha-sidecar/discovery/follow"
	"flink-ha-sidecar/internal/daemon"
)

// Settings are the flags of "flink-ha follow".
type Settings struct {
	Source     string
	Sidecars   []string
	Service    string
	CAFile     string
	ClusterID  string
	Namespace  string
	Kubeconfig string
	Interval   time.Duration
	MaxAge     time.Duration
	Wait       bool
	Timeout    time.Duration
	File       string
	Exec       string
	Serve      string
	Format     string
	LogLevel   string
	LogFormat  string
}

// refuse is an error about the command line.
func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %w", daemon.ErrConfiguration, fmt.Errorf(format, args...))
}

// errAnswered ends a follower that only had to wait.
var errAnswered = errors.New("a leader answers")

// Run follows until ctx is done, or with Wait until a leader answers. What commands
// and lines print goes to stdout, the log to stderr.
func Run(ctx context.Context, s Settings, stdout, stderr io.Writer) error {
	log, err := daemon.NewLogger(s.LogLevel, s.LogFormat, stderr)
	if err != nil {
		return err
	}
	defer log.Sync() //nolint:errcheck // stderr cannot be synced everywhere
	if err := s.check(); err != nil {
		return err
	}
	source, err := newSource(s, log)
	if err != nil {
		return err
	}
	outputs, err := newOutputs(s, stdout, stderr, log)
	if err != nil {
		return err
	}
	if s.Wait && s.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.Timeout)
		defer cancel()
	}
	return run(ctx, s, source, outputs, log)
}

func run(ctx context.Context, s Settings, source follow.Source, outputs []follow.Output, log *zap.Logger) error {
	var waiter follow.Waiter
	if s.Wait {
		outputs = append(outputs, &waiter)
	}
	g, running := errgroup.WithContext(ctx)
	for _, o := range outputs {
		g.Go(func() error {
			err := o.Run(running)
			if o == follow.Output(&waiter) && err == nil {
				return errAnswered
			}
			return err
		})
	}
	f := &follow.Follower{Source: source, MaxAge: s.MaxAge, Log: log, Changed: func(t follow.Told) {
		report(log, t)
		for _, o := range outputs {
			o.Tell(t)
		}
	}}
	g.Go(func() error {
		f.Run(running)
		return nil
	})
	err := g.Wait()
	if errors.Is(err, errAnswered) || errors.Is(ctx.Err(), context.Canceled) {
		return nil
	}
	return err
}

func report(log *zap.Logger, t follow.Told) {
	if !t.Known {
		log.Info("no leader is known", zap.String("reason", t.Reason))
		return
	}
	log.Info("leader", zap.String("rest_url", t.Leader.RESTURL), zap.String("rpc_host", t.Leader.RPCHost),
		zap.String("generation", t.Leader.Epoch.Generation), zap.Uint64("epoch", t.Leader.Epoch.Counter), zap.Bool("contact", t.Out.IsZero()))
}

func (s Settings) check() error {
	switch {
	case s.MaxAge <= 0:
		return refuse("--max-age %v: it must be positive", s.MaxAge)
	case s.Interval <= 0:
		return refuse("--interval %v: it must be positive", s.Interval)
	case s.Timeout < 0:
		return refuse("--timeout %v: it cannot be negative", s.Timeout)
	case s.Timeout > 0 && !s.Wait:
		return refuse("--timeout goes with --wait")
	}
	return nil
}

// newOutputs returns those that were asked for, or lines if none was.
func newOutputs(s Settings, stdout, stderr io.Writer, log *zap.Logger) ([]follow.Output, error) {
	var outputs []follow.Output
	if s.File != "" {
		outputs = append(outputs, follow.NewFile(s.File, s.Format, log))
	}
	if s.Exec != "" {
		outputs = append(outputs, follow.NewExec(s.Exec, stdout, stderr, log))
	}
	if s.Serve != "" {
		server, err := follow.NewServer(s.Serve)
		if err != nil {
			return nil, err
		}
		log.Info("serving the leader's address", zap.String("address", server.Address()))
		outputs = append(outputs, server)
	}
	if len(outputs) == 0 && !s.Wait {
		outputs = append(outputs, follow.NewLines(stdout, s.Format))
	}
	return outputs, nil
}

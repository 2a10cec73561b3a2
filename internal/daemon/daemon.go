// Package daemon composes the sidecar: configuration, backend, processes, the
// loop that decides, and the port that tells.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"flink-ha-sidecar/health"
	"flink-ha-sidecar/internal/server"
	"flink-ha-sidecar/internal/status"
	"flink-ha-sidecar/jobmanager"
	"flink-ha-sidecar/leader"
	"flink-ha-sidecar/leader/zookeeper"
	"flink-ha-sidecar/metrics"
)

// Run works until ctx is done and its JobManager is looked after. Its logs go to
// w. An error that wraps ErrConfiguration was found before anything began.
func Run(ctx context.Context, s Settings, w io.Writer) error {
	log, err := newLogger(s.LogLevel, s.LogFormat, w)
	if err != nil {
		return err
	}
	defer log.Sync() //nolint:errcheck // stderr cannot be synced everywhere
	p, err := newPlan(s, log)
	if err != nil {
		return err
	}
	d, err := newDaemon(s, p, log)
	if err != nil {
		return err
	}
	defer d.watcher.Close() // the process ends
	defer d.done()
	p.log(log, s, d.server.Address())
	return d.run(ctx)
}

type daemon struct {
	log     *zap.Logger
	plan    *plan
	loop    *leader.Loop
	backend observed
	done    func()
	// attributor is set where the queue for the lock has places of standbys.
	attributor *attributor
	watcher    *jobmanager.Watcher
	server     *server.Server
}

func newDaemon(s Settings, p *plan, log *zap.Logger) (*daemon, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	loop := &leader.Loop{Rules: p.rules(), Grace: s.ShutdownGrace}
	m := metrics.New(registry, s.Version, loop.Snapshot)

	backend, done, err := newBackend(p, m)
	if err != nil {
		return nil, err
	}
	watcher, err := jobmanager.New(jobmanager.Options{Match: s.Match, PIDFile: s.PIDFile}, zap.NewNop()) // the reporter tells all of it
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfiguration, err)
	}
	cluster := status.Cluster{ID: p.clusterID, Namespace: p.namespace, Backend: p.backend, Pod: s.PodName, Version: s.Version}
	srv, err := server.Listen(s.Listen, func() health.Inputs {
		return health.Inputs{Snapshot: loop.Snapshot(), Beat: loop.Beat()}
	}, func() status.Document {
		return status.Of(loop.Snapshot(), cluster, time.Now())
	}, registry)
	if err != nil {
		return nil, errors.Join(err, watcher.Close())
	}
	memory := &memory{dir: s.StateDir, log: log}
	processes, told := newIdentifier(watcher, p, log)
	loop.Backend = backend
	if loop.Processes, err = withWord(processes, s, p, m); err != nil {
		return nil, errors.Join(err, watcher.Close())
	}
	loop.Told = told
	loop.Restored = memory.restore(watcher)
	loop.Save = memory.save
	loop.Report = (&reporter{log: log, metrics: m, lease: p.lease}).report
	d := &daemon{log: log, plan: p, loop: loop, backend: backend, done: done, watcher: watcher, server: srv}
	if z, ok := backend.(*zookeeper.Backend); ok {
		d.attributor = &attributor{
			log: log, snapshot: loop.Snapshot, look: watcher.Look, ask: z.Connections, sockets: jobmanager.Sockets,
			tell: processes.tell, shared: s.SharedNetwork,
		}
	}
	return d, nil
}

// run serves as long as the loop turns: the port is the last to close, so that
// the end can be watched too.
func (d *daemon) run(ctx context.Context) error {
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	g, serving := errgroup.WithContext(serving)
	g.Go(func() error { return d.server.Run(serving) })
	g.Go(func() error {
		defer stop()
		looping, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(serving, cancel)() // a port that breaks ends the sidecar
		return d.loop.Run(looping)
	})
	if d.attributor != nil {
		g.Go(func() error {
			d.attributor.run(serving)
			return nil
		})
	}
	g.Go(func() error {
		d.explainAbsence(ctx, serving)
		return nil
	})
	err := g.Wait()
	switch {
	case errors.Is(err, leader.ErrGraceOver):
		d.log.Warn("shutdown grace is over: the JobManager still lives or its lock is not free yet",
			zap.Stringer("outcome", d.loop.Snapshot().Outcome), zap.Bool("jobmanager_alive", d.loop.Snapshot().Alive))
		return nil
	case err != nil:
		return err
	}
	d.log.Info("stopped", zap.Stringer("outcome", d.loop.Snapshot().Outcome))
	return nil
}

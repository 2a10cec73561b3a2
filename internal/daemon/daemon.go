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
	"flink-ha-sidecar/leader/kube"
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
	p.log(log, s, d.server.Address())
	return d.run(ctx)
}

type daemon struct {
	log     *zap.Logger
	plan    *plan
	loop    *leader.Loop
	backend *kube.Backend
	watcher *jobmanager.Watcher
	server  *server.Server
}

func newDaemon(s Settings, p *plan, log *zap.Logger) (*daemon, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	loop := &leader.Loop{Rules: leader.DefaultRules(), Grace: s.ShutdownGrace}
	m := metrics.New(registry, s.Version, loop.Snapshot)

	backend, err := kube.New(p.rest, kube.Options{Namespace: p.namespace, ClusterID: p.clusterID, Count: m.Request})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfiguration, err)
	}
	watcher, err := jobmanager.New(jobmanager.Options{Match: s.Match, PIDFile: s.PIDFile}, zap.NewNop()) // the reporter tells all of it
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfiguration, err)
	}
	cluster := status.Cluster{ID: p.clusterID, Namespace: p.namespace, Backend: backendKubernetes, Pod: s.PodName, Version: s.Version}
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
	loop.Rules.Self = p.self
	loop.Restored = memory.restore(watcher)
	loop.Save = memory.save
	loop.Report = (&reporter{log: log, metrics: m, lease: p.lease}).report
	return &daemon{log: log, plan: p, loop: loop, backend: backend, watcher: watcher, server: srv}, nil
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

// absenceAfter is how long the lock may be missing before it is looked for under
// other names: Flink makes it seconds after its start.
const absenceAfter = 20 * time.Second

// explainAbsence helps once with a mistyped cluster id or namespace.
func (d *daemon) explainAbsence(ctx, serving context.Context) {
	t := time.NewTimer(absenceAfter)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
		return
	case <-serving.Done():
		return
	}
	if d.loop.Snapshot().Outcome != leader.Absent {
		return
	}
	bounded, cancel := context.WithTimeout(serving, 5*time.Second)
	defer cancel()
	names, err := d.backend.Lookalikes(bounded)
	switch {
	case err != nil:
		d.log.Warn("ConfigMap "+d.backend.Name()+" does not exist: is the cluster id right, and does the JobManager run with Kubernetes HA?", zap.Error(err))
	case len(names) == 0:
		d.log.Warn("ConfigMap " + d.backend.Name() + " does not exist, nor any other lock of a Flink cluster in this namespace: is the namespace right, and does the JobManager run with Kubernetes HA?")
	default:
		d.log.Warn("ConfigMap "+d.backend.Name()+" does not exist, but others like it do: is the cluster id right?", zap.Strings("found", names))
	}
}

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

	"flink-ha-sidecar/discovery"
	"flink-ha-sidecar/hastate"
	"flink-ha-sidecar/health"
	"flink-ha-sidecar/internal/control"
	"flink-ha-sidecar/internal/events"
	"flink-ha-sidecar/internal/handover"
	"flink-ha-sidecar/internal/server"
	"flink-ha-sidecar/internal/status"
	"flink-ha-sidecar/jobmanager"
	"flink-ha-sidecar/jobmanager/parent"
	"flink-ha-sidecar/jobmanager/pulse"
	"flink-ha-sidecar/leader"
	"flink-ha-sidecar/leader/zookeeper"
	"flink-ha-sidecar/metrics"
)

// Run works until ctx is done and its JobManager is looked after. Its logs go to
// w. An error that wraps ErrConfiguration was found before anything began.
func Run(ctx context.Context, s Settings, w io.Writer) error {
	log, err := NewLogger(s.LogLevel, s.LogFormat, w)
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
	log      *zap.Logger
	settings Settings
	plan     *plan
	loop     *leader.Loop
	pulse    *pulse.Watcher
	backend  observed
	done     func()
	// attributor is set where the queue for the lock has places of standbys.
	attributor *attributor
	watcher    *jobmanager.Watcher
	server     *server.Server
	// gates hears those that only observe, where Flink elects; nil without a socket.
	gates *parent.Observer
	// socket is nil where it could not be made.
	socket *control.Server
	// keeper and journal are this sidecar's part in what all of the cluster share,
	// events tells people of it through Kubernetes; nil where that cannot be.
	keeper  *hastate.Keeper
	journal *journal
	events  *events.Recorder
	// handover is nil where there is no socket to ask for one.
	handover *handover.Handover
	// published tells followers and published objects who leads.
	published *publication
}

func newDaemon(s Settings, p *plan, log *zap.Logger) (_ *daemon, err error) {
	d := &daemon{log: log, settings: s, plan: p, loop: &leader.Loop{Rules: p.rules(), Grace: s.ShutdownGrace}}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m := metrics.New(registry, s.Version, d.loop.Snapshot, func() pulse.Verdict { return d.pulse.Verdict() })
	if d.backend, d.done, err = newBackend(s, p, m, log); err != nil {
		return nil, err
	}
	l := newLocator(d.loop.Snapshot, p)
	if d.events, err = newRecorder(s, p, m, log); err != nil {
		return nil, err
	}
	d.pulse = d.newPulse(s, l, m, crier{d.events})
	d.watcher, err = jobmanager.New(jobmanager.Options{Match: s.Match, PIDFile: s.PIDFile}, zap.NewNop()) // the reporter tells all of it
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfiguration, err)
	}
	if d.published, err = newPublication(s, p, d.backend, m, log); err != nil {
		return nil, errors.Join(err, d.watcher.Close())
	}
	if err := d.listen(s, registry, m); err != nil {
		return nil, errors.Join(err, d.watcher.Close())
	}
	if err := d.wire(s, l, m); err != nil {
		return nil, errors.Join(err, d.watcher.Close())
	}
	return d, nil
}

// listen opens the network port and the socket.
func (d *daemon) listen(s Settings, registry *prometheus.Registry, m *metrics.Metrics) (err error) {
	o := server.Options{Address: s.Listen, Health: d.inputs, Metrics: registry, Document: func() status.Document {
		document := status.Of(d.loop.Snapshot(), d.pulse.Verdict(), d.published.feed.State(), d.plan.cluster(s), time.Now())
		document.State = d.stateStatus()
		return document
	}}
	o.Followers = &discovery.Handler{Feed: d.published.feed, Most: s.MaxFollowers, Waiting: m.Waiting, Refused: m.FollowerRefused}
	if s.TLSCertFile != "" {
		c, err := server.NewCertificate(s.TLSCertFile, s.TLSKeyFile, d.log)
		if err != nil {
			return refuse("%w", err)
		}
		o.Certificate = c.Get
	}
	if d.server, err = server.Listen(o); err != nil {
		return err
	}
	if d.socket, err = openSocket(s, d.log); err != nil {
		return err
	}
	if x, elects := d.backend.(*election); elects {
		if d.socket == nil {
			return refuse("vvp-kubernetes needs the pod's socket, at which the gate asks (--socket)")
		}
		d.socket.HandlePermit(x.permit)
	}
	if d.socket == nil {
		return nil
	}
	if d.plan.backend != backendVVP {
		d.gates = parent.NewObserver()
		d.socket.HandlePermit(observeGate(d.gates))
	}
	d.socket.HandleCheck(d.inputs)
	d.socket.Handle("GET "+status.Path, server.Status(o.Document))
	return nil
}

// wire connects the loop with what it observes and what observes it.
func (d *daemon) wire(s Settings, l *locator, m *metrics.Metrics) (err error) {
	memory := &memory{dir: s.StateDir, log: d.log}
	processes, told := newIdentifier(d.watcher, d.plan, l, d.log)
	d.loop.Backend = d.backend
	d.loop.Told = told
	d.loop.Save = memory.save
	if x, elects := d.backend.(*election); elects {
		x.told = processes.told
		d.loop.Processes, d.loop.Now = x.witness, x.now
		d.loop.Restored = memory.restorePause()
	} else {
		if d.loop.Processes, err = withWord(d.withGate(processes), s, d.plan, m, d.ownedBy); err != nil {
			return err
		}
		d.loop.Restored = memory.restore(d.watcher)
	}
	if err := d.share(s, m, processes.tell); err != nil {
		return err
	}
	tell, cry := &reporter{log: d.log, metrics: m, lease: d.plan.lease}, crier{d.events}
	d.loop.Report = func(s *leader.Snapshot, decision leader.Decision) {
		tell.report(s, decision)
		cry.cry(s, decision)
		d.journal.note(s, decision)
		d.published.report(s)
	}
	if z, ok := d.backend.(*zookeeper.Backend); ok {
		d.attributor = &attributor{
			log: d.log, snapshot: d.loop.Snapshot, look: d.watcher.Look, ask: z.Connections, sockets: jobmanager.Sockets,
			tell: processes.tell, shared: s.SharedNetwork,
		}
	}
	return nil
}

// share prepares this sidecar's part in the cluster's state.
func (d *daemon) share(s Settings, m *metrics.Metrics, tell func(context.Context, leader.Input)) error {
	store, done, err := newStateStore(d.plan, m)
	if err != nil {
		return err
	}
	before := d.done
	d.done = func() { done(); before() }
	d.keeper = hastate.NewKeeper(hastate.Options{
		Store: store, Log: d.log, Pod: first(s.PodName, d.plan.self.IP.String()), URL: d.networkURL(s.TLSCertFile != ""), Well: m.StateUp,
		Told: func(ctx context.Context, p leader.Pause) { tell(ctx, leader.PauseSet{Pause: p}) },
	})
	d.journal = &journal{keeper: d.keeper, historian: hastate.Historian{Pod: d.keeper.Pod}}
	d.handleState(s)
	if d.socket == nil {
		return nil
	}
	return d.newHandover(s)
}

// ownedBy hears once of what kind the owner of this pod is.
func (d *daemon) ownedBy(kind string) {
	if d.plan.policy == health.LeaderOnly && kind == "ReplicaSet" {
		warnLeaderOnly(d.log, "this pod's owner, a ReplicaSet")
	}
}

// cluster names what is watched.
func (p *plan) cluster(s Settings) status.Cluster {
	c := status.Cluster{ID: p.clusterID, Namespace: p.namespace, Backend: p.backend, Pod: s.PodName, Version: s.Version}
	if p.backend == backendVVP {
		c.Deprecated = deprecation
	}
	return c
}

// run serves as long as the loop turns: the port is the last to close, so that
// the end can be watched too.
func (d *daemon) run(ctx context.Context) error {
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	g, serving := errgroup.WithContext(serving)
	g.Go(func() error { return d.server.Run(serving) })
	if d.socket != nil {
		g.Go(func() error { return d.socket.Run(serving) })
	}
	g.Go(func() error {
		d.pulse.Run(serving)
		return nil
	})
	g.Go(func() error {
		d.keeper.Run(serving)
		return nil
	})
	g.Go(func() error {
		d.events.Run(serving)
		return nil
	})
	g.Go(func() error {
		d.published.run(serving)
		return nil
	})
	g.Go(func() error {
		defer stop()
		d.recallPause(ctx)
		looping, cancel := d.untilHandedOver(ctx)
		defer cancel()
		defer context.AfterFunc(serving, cancel)() // a port that breaks ends the sidecar
		return d.loop.Run(looping)
	})
	if x, elects := d.backend.(*election); elects {
		g.Go(func() error {
			x.run(ctx, serving, d.loop.Snapshot)
			return nil
		})
		g.Go(func() error { return x.hearKubelet(serving, d.settings, d.plan, d.ownedBy) })
	}
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

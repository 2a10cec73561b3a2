package daemon

import (
	"context"
	"crypto/x509"
	"os"
	"strings"

	"go.uber.org/zap"

	"flink-ha-sidecar/health"
	"flink-ha-sidecar/internal/control"
	"flink-ha-sidecar/jobmanager/pulse"
	"flink-ha-sidecar/jobmanager/rest"
	"flink-ha-sidecar/leader"
	"flink-ha-sidecar/leader/zookeeper"
	"flink-ha-sidecar/metrics"
)

// newPulse makes the one that asks the JobManager.
func (d *daemon) newPulse(s Settings, l *locator, m *metrics.Metrics, cry crier) *pulse.Watcher {
	client := rest.New(d.plan.roots, d.log)
	g := &signs{snapshot: d.loop.Snapshot}
	if z, ok := d.backend.(*zookeeper.Backend); ok {
		g.activity = sessionActivity(z)
	}
	return &pulse.Watcher{
		Rules: pulse.Rules{HungAfter: s.HungAfter}, Subject: l.subject, Lock: g.lock,
		REST: func(ctx context.Context, base string) (pulse.Answer, string) {
			a, version := pulse.API(ctx, client, base)
			m.Checked("rest", a.OK)
			return a, version
		},
		Port: func(ctx context.Context, address string) pulse.Answer {
			a := pulse.Port(ctx, address)
			m.Checked("rpc", a.OK)
			return a
		},
		Report: (&pulseReporter{log: d.log, metrics: m, cry: cry}).report,
	}
}

// restRoots reads --rest-ca-file; nil for the system's.
func restRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, refuse("read --rest-ca-file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(raw) {
		return nil, refuse("read --rest-ca-file %s: it holds no certificate in PEM", file)
	}
	return pool, nil
}

// pulseReporter tells what changes.
type pulseReporter struct {
	log     *zap.Logger
	metrics *metrics.Metrics
	cry     crier
	last    pulse.Verdict
	detail  string
}

func (r *pulseReporter) report(v pulse.Verdict) {
	before := r.last
	if before.Process != v.Process {
		before = pulse.Verdict{}
	}
	fields := []zap.Field{zap.Stringer("process", v.Process), zap.String("rest", v.Target.REST), zap.String("rpc", v.Target.RPC)}
	switch {
	case v.Process == leader.Process{}:
	case v.Stuck && !before.Stuck:
		r.metrics.Stuck()
		r.cry.stuck(v)
		r.log.Warn("the JobManager is stuck; nothing is freed because of that, its liveness probe fails",
			append(fields, zap.String("reason", v.Reason()), zap.Duration("silent", v.Silence()))...)
	case before.Stuck && !v.Stuck:
		r.log.Info("the JobManager gives signs of life again", fields...)
	case v.Serving && !before.Serving:
		r.log.Info("the JobManager serves", fields...)
	}
	// What an answer has to say besides, once: a certificate that does not verify
	// is believed in nothing, and must not go unseen.
	if detail := v.REST.Detail; v.REST.OK && detail != r.detail {
		if detail != "" {
			r.log.Warn("the JobManager's REST API answers, but not as it should", zap.String("rest", v.Target.REST), zap.String("reason", hint(detail)))
		}
		r.detail = detail
	}
	r.last = v
}

func hint(detail string) string {
	if strings.Contains(detail, "x509") || strings.Contains(detail, "certificate") {
		return detail + "; --rest-ca-file names the certificates to verify it by"
	}
	return detail
}

// inputs is what the probes look at.
func (d *daemon) inputs() health.Inputs {
	return health.Inputs{
		Snapshot: d.loop.Snapshot(), Beat: d.loop.Beat(), Pulse: d.pulse.Verdict(), PulseBeat: d.pulse.Beat(),
		Policy: d.plan.policy, Kubernetes: d.plan.backend == backendKubernetes,
	}
}

// openSocket makes the pod's socket. Without --socket a pod that has no folder for
// it does without: its JobManager's liveness probe then always passes.
func openSocket(s Settings, log *zap.Logger) (*control.Server, error) {
	c, err := control.Listen(first(s.Socket, control.DefaultPath))
	if err != nil && s.Socket == "" {
		log.Warn("no socket: 'flink-ha check-jobmanager' will always pass (--socket)", zap.Error(err))
		return nil, nil
	}
	if err != nil {
		return nil, refuse("%w (--socket)", err)
	}
	return c, nil
}

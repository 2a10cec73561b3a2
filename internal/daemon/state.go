package daemon

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"flink-ha-sidecar/hastate"
	"flink-ha-sidecar/internal/control"
	"flink-ha-sidecar/internal/status"
	"flink-ha-sidecar/leader"
	"flink-ha-sidecar/leader/kube"
	"flink-ha-sidecar/leader/zookeeper"
	"flink-ha-sidecar/metrics"
)

// newStateStore makes the one of the plan's backend. All sidecars of a cluster have to
// use the same, whatever each may reach, so the HA service decides and nothing else.
// done is called at the very end.
func newStateStore(p *plan, m *metrics.Metrics) (_ hastate.Store, done func(), err error) {
	if p.backend == backendZooKeeper {
		o := p.zookeeper
		o.Count = m.Request
		z, err := zookeeper.NewState(o)
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %w", ErrConfiguration, err)
		}
		return z, z.Close, nil
	}
	k, err := kube.NewState(p.rest, kube.Options{Namespace: p.namespace, ClusterID: p.clusterID, Count: m.Request})
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrConfiguration, err)
	}
	return k, func() {}, nil
}

// journal keeps the history: it hears every decision on the loop, and of a handover
// from elsewhere.
type journal struct {
	mu        sync.Mutex
	historian hastate.Historian
	keeper    *hastate.Keeper
}

// note is called on the loop; it never waits for IO.
func (j *journal) note(s *leader.Snapshot, d leader.Decision) {
	j.mu.Lock()
	changes := j.historian.Note(s, d)
	j.mu.Unlock()
	for _, c := range changes {
		j.keeper.Record([]hastate.Change{c}, s.Outcome == leader.Leading || c.End.Cause != hastate.CauseUnknown)
	}
}

func (j *journal) handOver(s *leader.Snapshot) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.historian.HandOver(s)
}

// firstFor is how long the start waits for the cluster's state: a pause has to be
// known before a lock is freed.
const firstFor = time.Second

// recallPause reads the pause before the loop begins. Where it cannot be read, the one
// that is remembered in the state directory counts.
func (d *daemon) recallPause(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, firstFor)
	defer cancel()
	if p, known := d.keeper.First(ctx); known {
		d.loop.Restored.Pause = p
	}
}

// networkURL is where other pods reach this sidecar; empty if that is nowhere.
func (d *daemon) networkURL(tls bool) string {
	_, port, err := net.SplitHostPort(d.server.Address())
	if err != nil || !d.plan.self.IP.IsValid() {
		return ""
	}
	scheme := "http"
	if tls {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(d.plan.self.IP.String(), port)
}

// stateStatus is for status and history.
func (d *daemon) stateStatus() status.State {
	_, known := d.keeper.Document()
	return status.State{Store: d.keeper.Store.Name(), Known: known, Trouble: d.keeper.Trouble()}
}

// handleState answers the verbs that are about the cluster's state.
func (d *daemon) handleState(s Settings) {
	if d.socket == nil {
		return
	}
	d.socket.HandlePause(func(ctx context.Context, r control.PauseRequest, by string) (leader.Pause, error) {
		now := time.Now()
		p, err := d.keeper.Pause(ctx, leader.Pause{At: now, Until: now.Add(r.For()), By: byWhom(by, s.PodName), Reason: r.Reason})
		if err == nil {
			d.log.Info("paused on request", zap.Time("until", p.Until), zap.String("by", p.By), zap.String("reason", p.Reason))
		}
		return p, err
	}, func(ctx context.Context, by string) error {
		err := d.keeper.Resume(ctx)
		if err == nil {
			d.log.Info("resumed on request", zap.String("by", byWhom(by, s.PodName)))
		}
		return err
	})
	d.socket.Handle("GET "+status.HistoryPath, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		document, _ := d.keeper.Document()
		control.Answer(w, status.HistoryOf(document, d.stateStatus(), d.plan.cluster(s), time.Now()))
	}))
}

// byWhom names who asked, and where.
func byWhom(by, pod string) string {
	if pod == "" {
		return by
	}
	return by + " in pod " + pod
}

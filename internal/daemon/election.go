package daemon

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"flink-ha-sidecar/internal/apiserver"
	"flink-ha-sidecar/internal/control"
	"flink-ha-sidecar/jobmanager/kubelet"
	"flink-ha-sidecar/jobmanager/parent"
	"flink-ha-sidecar/leader"
	"flink-ha-sidecar/leader/vvp"
	"flink-ha-sidecar/metrics"
)

// deprecation is told at the start and in the status.
const deprecation = "vvp-kubernetes is deprecated: its makers removed it, and here the sidecar is the HA service, so that a hung sidecar ends its JobManager; 'flink-ha migrate' moves the cluster to Flink's own Kubernetes HA"

// election is this sidecar's part in vvp-kubernetes: it campaigns, tells the gate
// whether its JobManager may run, and the loop what the gate says.
type election struct {
	*vvp.Elector
	log     *zap.Logger
	metrics *metrics.Metrics
	witness *parent.Witness
	bootID  string
	clock   vvp.Clock
	// told brings to the loop which process it is that was let run.
	told chan leader.Input

	mu     sync.Mutex
	waited string // the reason that was last logged for a gate without a permit
}

// electionRules are the plan's.
func electionRules(s Settings, p *plan) (vvp.Rules, error) {
	if s.PodName == "" {
		return vvp.Rules{}, refuse("--pod-name is not given: with vvp-kubernetes it tells the members apart (downward API metadata.name)")
	}
	r := vvp.Rules{Timing: s.Election, Pod: s.PodName, Run: newRun(), Published: make(map[string]vvp.Published)}
	if err := r.Timing.Validate(); err != nil {
		return r, refuse("vvp-kubernetes: %w (--vvp-lease-duration, --vvp-renew-deadline, --vvp-retry-period, --vvp-kill-time)", err)
	}
	if port, ok := single(p.conf.RESTBindPorts.Value); ok {
		r.Published[leader.RESTServer] = vvp.Published{Address: restBase(p.conf.RESTOverTLS.Value, net.JoinHostPort(p.self.IP.String(), strconv.Itoa(int(port))))}
	}
	rpc := p.conf.RPCPort.Value
	if rpc == 0 {
		rpc = 6123
	}
	r.Published[leader.Dispatcher] = vvp.Published{Address: "pekko.tcp://flink@" + net.JoinHostPort(p.self.IP.String(), strconv.Itoa(int(rpc))) + "/user/rpc/dispatcher"}
	return r, nil
}

// newRun names this run of the sidecar.
func newRun() string {
	raw := make([]byte, 8)
	rand.Read(raw)
	return hex.EncodeToString(raw)
}

func newElection(s Settings, p *plan, m *metrics.Metrics, log *zap.Logger) (*election, error) {
	rules, err := electionRules(s, p)
	if err != nil {
		return nil, err
	}
	clock, err := electionClock()
	if err != nil {
		return nil, refuse("%w", err)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, fmt.Errorf("read the boot's identity: %w", err)
	}
	x := &election{log: log, metrics: m, clock: clock, bootID: strings.TrimSpace(string(boot)), told: make(chan leader.Input)}
	x.witness = parent.New(x.now)
	x.Elector, err = vvp.New(p.rest, vvp.Options{
		Namespace: p.namespace, ClusterID: p.clusterID, Rules: rules, Clock: clock, Count: m.Request, Report: x.report,
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfiguration, err)
	}
	log.Warn("deprecated", zap.String("reason", deprecation))
	return x, nil
}

// now is the clock of everything that is compared with the lock's record.
func (x *election) now() time.Time { return x.clock().Wall }

// permit answers a gate.
func (x *election) permit(r control.PermitRequest, _ time.Time) control.Permit {
	refused := func(why string) control.Permit {
		return control.Permit{Format: control.PermitFormat, Reason: why}
	}
	switch {
	case r.Format != control.PermitFormat:
		return refused(fmt.Sprintf("the gate asks in format %d, this sidecar reads %d", r.Format, control.PermitFormat))
	case r.Observe:
		return refused("this sidecar elects (vvp-kubernetes): run the gate without --observe")
	}
	g := vvp.Gate{Name: r.Gate}
	if c := r.Child; c != nil {
		g.Has, g.Child = true, vvp.Child{Number: c.Number, PID: c.PID, Epoch: c.Epoch, Started: c.Started, Ended: c.Ended, Exit: c.Exit}
	}
	p := x.Permit(g)
	if now := x.State().Gate(); now.Name == g.Name && (!now.Has || now.Child.Ended) {
		x.witness.Waits()
	}
	if p.Unknown {
		return control.Permit{}
	}
	x.refusal(p)
	return control.Permit{
		Format: control.PermitFormat, Run: p.Run, Epoch: p.Epoch,
		StopMS: p.Stop.Milliseconds(), KillMS: p.Kill.Milliseconds(), Reason: p.Reason,
	}
}

// refusal logs each reason once.
func (x *election) refusal(p vvp.Permit) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if p.Reason != x.waited && p.Reason != "" {
		x.log.Info("the gate waits", zap.String("reason", p.Reason))
	}
	x.waited = p.Reason
}

// report is called by the elector, which is locked meanwhile.
func (x *election) report(e vvp.Event) {
	epoch := zap.Stringer("epoch", e.Epoch)
	process := parent.Process(x.bootID, e.Gate, e.Child.PID, e.Child.Started)
	switch e.Kind {
	case vvp.Acquired:
		x.metrics.Election("acquired")
		x.log.Info("lock taken", epoch)
	case vvp.Resumed:
		x.metrics.Election("resumed")
		x.log.Info("tenure of the sidecar before this one taken up", epoch)
	case vvp.Dropped:
		x.metrics.Election("dropped")
		x.log.Warn("tenure over, the gate gets no permit under it any more", epoch, zap.String("reason", e.Reason))
	case vvp.ChildStarted:
		x.log.Info("the gate runs a JobManager", epoch, zap.Int("pid", e.Child.PID))
		x.witness.Runs(process)
	case vvp.ChildEnded:
		x.log.Info("the gate's JobManager has ended", epoch, zap.Int("pid", e.Child.PID), zap.Int("exit", e.Child.Exit), zap.String("proof", string(e.Proof)))
		x.witness.Ended(process, e.Proof)
		x.witness.Waits()
	case vvp.Trouble:
		x.metrics.Election("trouble")
		x.log.Warn("the lock is not as sidecars write it; nobody takes it before it has stood so for a whole lease", zap.String("lock", x.Name()), zap.String("reason", e.Reason))
	case vvp.Mended:
		x.metrics.Election("mended")
		x.log.Warn("the lock was edited by hand; this pod leads, and has put it right", epoch)
	}
}

// attributeChild is how often the loop is told which process holds the lock, until it
// knows.
const attributeChild = 100 * time.Millisecond

// run goes on until serving is done; with ctx the campaign ends.
func (x *election) run(ctx, serving context.Context, snapshot func() *leader.Snapshot) {
	t := time.NewTicker(attributeChild)
	defer t.Stop()
	done := ctx.Done()
	for {
		select {
		case <-t.C:
		case <-done:
			done = nil
			x.Retire()
		case <-serving.Done():
			return
		}
		state := x.State()
		g := state.Gate()
		if !g.Has && g.Name != "" && x.clock().Boot-g.Heard > gateSilence {
			x.witness.Silent("the gate has not asked for a while: does it run?")
		}
		child, leads := state.Leads()
		if s := snapshot(); !leads || s.Bound != nil {
			continue
		}
		t, _ := state.Tenure()
		in := leader.Attributed{Holder: t.Record.Holder, Process: parent.Process(x.bootID, g.Name, child.PID, child.Started)}
		select {
		case x.told <- in:
		case <-serving.Done():
			return
		}
	}
}

// gateSilence is after how long a gate that runs nothing is not counted on.
const gateSilence = 3 * time.Second

// hearKubelet takes the kubelet's word for the end of the gate's container.
func (x *election) hearKubelet(ctx context.Context, s Settings, p *plan, owner func(string)) error {
	client, err := apiserver.New(p.rest)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrConfiguration, err)
	}
	w := kubelet.New(kubelet.Options{
		Client: client, Namespace: podNamespace(p.namespace), Pod: s.PodName, Container: s.Container, Owner: owner,
		Count: func(verb string, err error) { x.metrics.Request(verb+"-pod", apiserver.Outcome(err)) },
	})
	problem := ""
	err = w.Run(ctx, func(e leader.Evidence) {
		if e.Problem != "" && e.Problem != problem {
			x.log.Info("no word of the kubelet for the JobManager", zap.String("reason", e.Problem))
		}
		problem = e.Problem
	}, func(d leader.Death) { x.Proven(d.At, d.Proof) })
	if ctx.Err() != nil {
		return nil
	}
	return err
}

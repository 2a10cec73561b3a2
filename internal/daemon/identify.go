package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"

	"go.uber.org/zap"

	"flink-ha-sidecar/internal/flinkconf"
	"flink-ha-sidecar/jobmanager"
	"flink-ha-sidecar/leader"
)

// identifier stands between the watcher and the loop. For each JobManager that
// is found it reads what that one really runs with, and tells the loop before
// the loop hears of the process.
type identifier struct {
	*jobmanager.Watcher
	plan    *plan
	locator *locator
	log     *zap.Logger
	told    chan leader.Input
	// known is the process that was read last, refusal what came of it.
	known   leader.Process
	refusal string
}

func newIdentifier(w *jobmanager.Watcher, p *plan, l *locator, log *zap.Logger) (*identifier, <-chan leader.Input) {
	i := &identifier{Watcher: w, plan: p, locator: l, log: log, told: make(chan leader.Input)}
	return i, i.told
}

// Run is leader.Processes'.
func (i *identifier) Run(ctx context.Context, changed func(leader.Evidence), ended func(leader.Death)) error {
	i.announce()
	return i.Watcher.Run(ctx, func(e leader.Evidence) {
		if p, sole := e.Sole(); sole && p != i.known {
			i.known = p
			i.identify(ctx, p)
		}
		changed(e)
	}, ended)
}

// announce names what the file alone would rule out, before any JobManager is
// there whose command line could say otherwise.
func (i *identifier) announce() {
	if why := nameRefusal(i.plan.rpcAddress); why != "" {
		i.log.Warn("the guard will be refused unless the JobManager's command line or environment says otherwise", zap.String("reason", why))
	}
}

func (i *identifier) identify(ctx context.Context, p leader.Process) {
	argv, err := i.CommandLine(p)
	if err != nil {
		return // it has ended; the next one is read again
	}
	environ, environErr := i.Environ(p)
	env := i.plan.environ
	if environErr == nil {
		env = environment(environ)
	}
	conf, err := flinkconf.Effective(i.file(p, argv), argv, env)
	refusal := ""
	if err != nil {
		refusal = err.Error()
	} else {
		i.locator.identified(p, conf, flinkconf.Version(argv), environErr == nil)
		self := i.plan.self
		self.Ports = ports(conf)
		i.tell(ctx, leader.Identified{Self: self})
		refusal = i.refuse(conf, environErr == nil)
	}
	if refusal != "" {
		i.log.Warn("guard refused: this JobManager's lock is never freed, the sidecar only observes", zap.Int("pid", p.PID), zap.String("reason", refusal))
	}
	if refusal != i.refusal {
		i.refusal = refusal
		i.tell(ctx, leader.Refused{Reason: refusal})
	}
}

// file is the one that this JobManager has read, where this process may look
// into its container (same user): the official image's entry point writes into
// its own copy. Otherwise it is the one that this sidecar was given.
func (i *identifier) file(p leader.Process, argv []string) flinkconf.File {
	dir, major := flinkconf.ConfigDir(argv), flinkconf.MajorVersion(argv)
	if filepath.IsAbs(dir) {
		if f, err := flinkconf.Load(fmt.Sprintf("/proc/%d/root%s", p.PID, dir), major); err == nil {
			return f
		}
	}
	if f, err := flinkconf.Load(filepath.Dir(i.plan.file.Path), major); err == nil {
		return f
	}
	return i.plan.file
}

func (i *identifier) tell(ctx context.Context, in leader.Input) {
	select {
	case i.told <- in:
	case <-ctx.Done():
	}
}

// refuse says why this JobManager must not be guarded. Without its environment
// an address that is a name may have been overridden; the binding rule takes no
// names either way, so then it is left to that.
func (i *identifier) refuse(conf flinkconf.Config, environKnown bool) string {
	switch {
	case conf.HA.IsSet() && conf.HA.Value != backends[i.plan.backend]:
		return fmt.Sprintf("the JobManager runs with %s, this sidecar watches over %s", conf.HA, i.plan.backend)
	case i.plan.backend == backendZooKeeper:
		if why := i.plan.zookeeperRefusal(conf); why != "" || !environKnown {
			return why
		}
		return nameRefusal(conf.RPCAddress)
	case conf.ClusterID.IsSet() && conf.ClusterID.Value != i.plan.clusterID:
		return fmt.Sprintf("the JobManager runs with %s, this sidecar watches cluster id %q (--cluster-id)", conf.ClusterID, i.plan.clusterID)
	case conf.Namespace.IsSet() && conf.Namespace.Value != i.plan.namespace:
		return fmt.Sprintf("the JobManager runs with %s, this sidecar watches namespace %q (--namespace)", conf.Namespace, i.plan.namespace)
	case environKnown:
		return nameRefusal(conf.RPCAddress)
	}
	return ""
}

// nameRefusal: behind a name all JobManagers of a cluster publish one address.
func nameRefusal(address flinkconf.Setting[string]) string {
	if address.Value == "" {
		return ""
	}
	if _, err := netip.ParseAddr(strings.Trim(address.Value, "[]")); err == nil {
		return ""
	}
	return fmt.Sprintf("%s: a name is no JobManager's own address, all of the cluster publish the same one; start each JobManager with -Djobmanager.rpc.address=<its pod's IP address> (before Flink 2.0 also --host)", address)
}

package daemon

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"
	"k8s.io/client-go/rest"

	"flink-ha-sidecar/internal/flinkconf"
	"flink-ha-sidecar/leader"
	"flink-ha-sidecar/leader/kube"
	"flink-ha-sidecar/leader/zookeeper"
	"flink-ha-sidecar/metrics"
)

// The backends of this release.
const (
	backendKubernetes = "kubernetes"
	backendZooKeeper  = "zookeeper"
	backendVVP        = "vvp-kubernetes"
)

// backends gives each its HA service.
var backends = map[string]flinkconf.HA{
	backendKubernetes: flinkconf.HAKubernetes, backendZooKeeper: flinkconf.HAZooKeeper, backendVVP: flinkconf.HAVVP,
}

// chooseBackend holds the flag against Flink's configuration.
func chooseBackend(flag string, ha flinkconf.Setting[flinkconf.HA]) (string, error) {
	_, known := backends[flag]
	switch {
	case flag != "" && !known:
		return "", refuse("--backend %q: this release knows kubernetes, zookeeper and vvp-kubernetes", flag)
	case flag == backendVVP && ha.Value == flinkconf.HANone: // as it should be: Flink itself runs without HA
		return flag, nil
	case flag != "" && ha.IsSet() && ha.Value != backends[flag]:
		return "", refuse("--backend %s contradicts %s", flag, ha)
	case flag != "":
		return flag, nil
	case ha.Value == flinkconf.HANone:
		return "", refuse("high-availability.type is not set: without Flink's HA service there is no lock to watch over (--backend vvp-kubernetes has the sidecars elect)")
	}
	for name, service := range backends {
		if ha.Value == service {
			return name, nil
		}
	}
	return "", refuse("%s: this release knows kubernetes, zookeeper and vvp-kubernetes alone", ha)
}

// observed is a backend with what helps people to find the lock.
type observed interface {
	leader.Backend
	// Name is the lock's object, and Lookalikes are others like it.
	Name() string
	Lookalikes(ctx context.Context) ([]string, error)
}

// newBackend makes the plan's. done is called at the very end.
func newBackend(s Settings, p *plan, m *metrics.Metrics, log *zap.Logger) (b observed, done func(), err error) {
	if p.backend == backendVVP {
		x, err := newElection(s, p, m, log)
		if err != nil {
			return nil, nil, err
		}
		return x, func() {}, nil
	}
	if p.backend == backendZooKeeper {
		p.zookeeper.Count = m.Request
		z, err := zookeeper.New(p.zookeeper)
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %w", ErrConfiguration, err)
		}
		return z, z.Close, nil
	}
	k, err := kube.New(p.rest, kube.Options{Namespace: p.namespace, ClusterID: p.clusterID, Count: m.Request})
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrConfiguration, err)
	}
	return k, func() {}, nil
}

// rules are the backend's.
func (p *plan) rules() leader.Rules {
	r := leader.DefaultRules()
	r.Self = p.self
	if p.backend == backendVVP { // the elector knows whom it let run
		r.Elects = true
		r.Bind = func(leader.View, leader.View, leader.Self) (string, string) { return "", "" }
	}
	if p.backend == backendZooKeeper {
		r.Bind = leader.BindByOwner
		r.StickyFor += p.zookeeper.SessionTimeout // there is no lease to count from
		r.QueueFor = p.zookeeper.SessionTimeout
	}
	return r
}

// reach finds the way to the lock, and to the API server where that is another.
func (p *plan) reach(s Settings, conf flinkconf.Config) (err error) {
	file := first(s.Kubeconfig, conf.KubeConfig.Value)
	if p.backend != backendZooKeeper {
		p.rest, p.access, err = apiAccess(file, conf.KubeContext.Value)
		return err
	}
	if p.zookeeper, err = zookeeperOptions(conf, p.clusterID); err != nil {
		return err
	}
	// The API server has only the kubelet's word here: without it all works by the
	// processes alone.
	if file != "" {
		p.rest, p.access, err = apiAccess(file, conf.KubeContext.Value)
		return err
	}
	if p.rest, err = rest.InClusterConfig(); err == nil {
		p.access = "service account"
	}
	return nil
}

// lockFields say in the log where the lock is.
func (p *plan) lockFields() []zap.Field {
	fields := []zap.Field{zap.String("backend", p.backend), zap.String("cluster_id", p.clusterID)}
	switch p.backend {
	case backendZooKeeper:
		fields = append(fields, zap.Strings("zookeeper_servers", p.zookeeper.Servers), zap.String("zookeeper_path", p.zookeeper.Path),
			zap.Bool("zookeeper_tls", p.zookeeper.TLS != nil), zap.Duration("session_timeout", p.zookeeper.SessionTimeout))
	case backendKubernetes:
		fields = append(fields, zap.Duration("lease_duration", p.lease), zap.Duration("retry_period", p.retry))
	}
	if p.rest != nil {
		fields = append(fields, zap.String("namespace", p.namespace), zap.String("api_server", p.rest.Host), zap.String("access", p.access))
	}
	return fields
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
	if d.plan.backend == backendVVP {
		d.log.Warn("ConfigMap "+d.backend.Name()+" does not exist, and no gate that waits has this sidecar make it: is the JobManager started by 'flink-ha gate'?", zap.String("gate", d.loop.Snapshot().Evidence.Problem))
		return
	}
	object, service, where := "ConfigMap", "Kubernetes HA", "namespace"
	if d.plan.backend == backendZooKeeper {
		object, service, where = "ZooKeeper node", "ZooKeeper HA", "root path"
	}
	bounded, cancel := context.WithTimeout(serving, 5*time.Second)
	defer cancel()
	names, err := d.backend.Lookalikes(bounded)
	missing := object + " " + d.backend.Name() + " does not exist"
	switch {
	case err != nil:
		d.log.Warn(missing+": is the cluster id right, and does the JobManager run with "+service+"?", zap.Error(err))
	case len(names) == 0:
		d.log.Warn(missing + ", nor any other lock of a Flink cluster in this " + where + ": is the " + where + " right, and does the JobManager run with " + service + "?")
	default:
		d.log.Warn(missing+", but others like it do: is the cluster id right?", zap.Strings("found", names))
	}
}

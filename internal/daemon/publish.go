package daemon

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/util/validation"

	"flink-ha-sidecar/discovery"
	"flink-ha-sidecar/discovery/kube"
	"flink-ha-sidecar/internal/apiserver"
	"flink-ha-sidecar/leader"
	"flink-ha-sidecar/metrics"
)

// publication tells followers and published objects what the loop sees. report is
// called on the loop.
type publication struct {
	tracker    discovery.Tracker
	feed       *discovery.Feed
	publishers []*discovery.Publisher
	file       *discovery.Publisher
}

func newPublication(s Settings, p *plan, backend leader.Backend, m *metrics.Metrics, log *zap.Logger) (*publication, error) {
	pub := &publication{feed: discovery.NewFeed(), tracker: discovery.Tracker{
		Pod: s.PodName, Node: s.NodeName, BlobPort: p.blobPort,
		Owned: func(a leader.Address) bool { return !p.self.SharedNetwork && a.IP.Unmap() == p.self.IP.Unmap() },
	}}
	add := func(store discovery.Store) *discovery.Publisher {
		return &discovery.Publisher{
			Store: store, Lock: backend.Read, Log: log,
			Count: func(outcome string) { m.Published(store.Kind(), outcome) },
		}
	}
	if s.PublishFile != "" {
		pub.file = add(discovery.File{Path: s.PublishFile})
	}
	if !s.Publish {
		return pub, nil
	}
	if p.rest == nil {
		if pub.file == nil {
			log.Info("the leader's address is published nowhere: there is no way to the API server, and --publish-file is not given")
		}
		return pub, nil
	}
	stores, err := objects(s, p, log)
	switch {
	case errors.Is(err, errNoName):
		log.Warn("the leader's address is not published in the API server", zap.Error(err))
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrConfiguration, err)
	}
	for _, store := range stores {
		pub.publishers = append(pub.publishers, add(store))
	}
	return pub, nil
}

var errNoName = errors.New("the cluster id makes no name of an object")

// objects are the stores in the API server.
func objects(s Settings, p *plan, log *zap.Logger) ([]discovery.Store, error) {
	cluster, namespace := p.clusterID, p.namespace
	if p.backend == backendZooKeeper { // there it is a path, and the namespace is nobody's setting
		cluster, namespace = strings.ToLower(strings.Trim(cluster, "/")), podNamespace(p.namespace)
	}
	if name := kube.ObjectName(cluster); len(validation.IsDNS1123Label(name)) > 0 {
		return nil, fmt.Errorf("%w: %q", errNoName, name)
	}
	core, err := apiserver.New(p.rest)
	if err != nil {
		return nil, err
	}
	slices, err := apiserver.NewDiscovery(p.rest)
	if err != nil {
		return nil, err
	}
	var owner *kube.Owner
	if s.PodName != "" && podNamespace(namespace) == namespace {
		owner = kube.NewOwner(core, namespace, s.PodName, log)
	}
	return []discovery.Store{kube.NewConfigMap(core, namespace, cluster, owner), kube.NewEndpointSlice(slices, namespace, cluster, owner)}, nil
}

func (p *publication) report(s *leader.Snapshot) {
	state := p.tracker.Next(s)
	p.feed.Tell(state)
	for _, publisher := range p.publishers {
		publisher.Tell(state)
	}
	if p.file != nil {
		state.Mine = state.Leader.Known() // a file is its own pod's, whoever leads
		p.file.Tell(state)
	}
}

// run publishes until ctx is done.
func (p *publication) run(ctx context.Context) {
	var g errgroup.Group
	for _, publisher := range append(p.publishers[:len(p.publishers):len(p.publishers)], p.file) {
		if publisher != nil {
			g.Go(func() error { publisher.Run(ctx); return nil })
		}
	}
	_ = g.Wait() // none of them fails
}

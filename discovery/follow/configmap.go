package follow

import (
	"context"
	"math/rand/v2"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"flink-ha-sidecar/discovery"
	"flink-ha-sidecar/internal/apiserver"
)

// Watch hears of the published ConfigMap from the API server, as it changes. The
// server says about once a minute that the watch lives.
type Watch struct {
	Client *apiserver.Client
	Ref    apiserver.Ref
}

// Poll reads the published ConfigMap again and again.
type Poll struct {
	Client *apiserver.Client
	Ref    apiserver.Ref
	Every  time.Duration
}

var (
	_ Source = (*Watch)(nil)
	_ Source = (*Poll)(nil)
)

// Places is one.
func (w *Watch) Places() int { return 1 }

// Run follows until the watch is interrupted.
func (w *Watch) Run(ctx context.Context, tell func(News)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watcher := apiserver.Watcher[*corev1.ConfigMap]{
		Client: w.Client, Ref: w.Ref, New: func() *corev1.ConfigMap { return &corev1.ConfigMap{} },
		Seen:        func(cm *corev1.ConfigMap, exists, _ bool) { tell(newsIn(cm, exists)) },
		Interrupted: cancel, Count: func(string, error) {},
		Alive: func() { tell(News{Alive: true}) },
	}
	if err := watcher.Run(ctx); err != nil {
		return context.Cause(ctx)
	}
	return nil
}

// Places is one.
func (p *Poll) Places() int { return 1 }

// readFor bounds one read.
const readFor = 5 * time.Second

// Run reads until one read fails. The first comes at once, the second at a random
// time, so that those who were started together do not ask together.
func (p *Poll) Run(ctx context.Context, tell func(News)) error {
	pause := rand.N(p.Every) + 1
	for ctx.Err() == nil {
		bounded, cancel := context.WithTimeout(ctx, readFor)
		cm := &corev1.ConfigMap{}
		err := p.Client.Get(bounded, p.Ref, cm)
		cancel()
		if err != nil && !apierrors.IsNotFound(err) {
			return err
		}
		tell(newsIn(cm, err == nil))
		sleep(ctx, pause)
		pause = p.Every
	}
	return ctx.Err()
}

func newsIn(cm *corev1.ConfigMap, exists bool) News {
	if !exists {
		return News{Reason: "nothing is published yet"}
	}
	l, ok := discovery.FromRecord(cm.Data)
	switch {
	case !ok:
		return News{Reason: "what is published does not parse"}
	case !l.Known():
		return News{Reason: "the cluster is gone"}
	}
	return News{Leader: l}
}

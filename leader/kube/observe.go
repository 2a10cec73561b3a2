package kube

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"

	"flink-ha-sidecar/internal/apiserver"
	"flink-ha-sidecar/leader"
)

// Observe reads the object and then watches it. A deleted object is a view like
// any other.
func (b *Backend) Observe(ctx context.Context, sink func(leader.View), gap func(error)) error {
	w := apiserver.Watcher[*corev1.ConfigMap]{
		Client: b.client, Ref: b.ref,
		New: func() *corev1.ConfigMap { return &corev1.ConfigMap{} },
		Seen: func(cm *corev1.ConfigMap, exists, resync bool) {
			v := absent(time.Now(), revisionOf(cm.ResourceVersion))
			if exists {
				v = viewOf(cm, v.At)
			}
			v.Resync = resync
			sink(v)
		},
		Interrupted: func(err error) { gap(b.classify("watch", err, false)) },
		Count: func(verb string, err error) {
			if err != nil {
				err = b.classify(verb, err, false)
			}
			b.counted(verb, err)
		},
	}
	return w.Run(ctx)
}

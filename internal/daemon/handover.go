package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"syscall"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"

	"flink-ha-sidecar/internal/apiserver"
	"flink-ha-sidecar/internal/handover"
	"flink-ha-sidecar/jobmanager"
	"flink-ha-sidecar/jobmanager/rest"
	"flink-ha-sidecar/leader"
)

// newHandover composes it, and answers for it on the socket.
func (d *daemon) newHandover(s Settings) error {
	roots, err := restRoots(s.RESTCAFile)
	if err != nil {
		return err
	}
	peers := &http.Client{Transport: &http.Transport{
		Proxy: nil, DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
	}}
	h := &handover.Handover{
		Snapshot: d.loop.Snapshot,
		Flink:    &leadersREST{client: rest.New(roots, d.log), base: func() string { return d.pulse.Verdict().Target.REST }},
		Standbys: func(ctx context.Context) ([]string, string) {
			if q := d.loop.Snapshot().View.Contenders; q != nil && len(q) < 2 {
				return nil, "nobody else stands in the queue for the lock"
			}
			document, known := d.keeper.Document()
			if !known {
				return nil, "the other sidecars are not known: " + d.keeper.Trouble()
			}
			return handover.Ready(ctx, peers, document.Members, d.keeper.Pod, d.plan.clusterID)
		},
		Signal: signalEnder{d.watcher},
		Begins: d.journal.handOver,
	}
	if d.plan.rest != nil && s.PodName != "" {
		client, err := apiserver.New(d.plan.rest)
		if err != nil {
			return refuse("%w", err)
		}
		h.Delete = podEnder{client, apiserver.Ref{Namespace: podNamespace(d.plan.namespace), Resource: "pods", Name: s.PodName}}
	}
	d.handover = h
	d.socket.HandleHandover(func(ctx context.Context, r handover.Request, by string, say func(string)) (handover.Report, error) {
		log := d.log.With(zap.String("by", by))
		log.Info("handover asked for", zap.Bool("force", r.Force), zap.Bool("delete_pod", r.DeletePod), zap.Bool("pre_stop", r.PreStop))
		report, err := h.Run(ctx, r, func(step string) {
			log.Info("handover", zap.String("step", step))
			say(step)
		})
		if err != nil {
			log.Warn("handover did not come to its end", zap.Error(err))
		} else {
			log.Info("handed over", zap.Any("report", report))
		}
		return report, err
	})
	return nil
}

// leadersREST asks this pod's JobManager while it leads.
type leadersREST struct {
	client *rest.Client
	base   func() string
}

var errNoREST = errors.New("where this JobManager's REST API is, is not known")

func (f *leadersREST) Jobs(ctx context.Context) ([]handover.Job, error) {
	base := f.base()
	if base == "" {
		return nil, errNoREST
	}
	found, err := f.client.Jobs(ctx, base)
	var jobs []handover.Job
	for _, j := range found {
		jobs = append(jobs, handover.Job(j))
	}
	return jobs, err
}

func (f *leadersREST) Trigger(ctx context.Context, job string) (string, error) {
	return f.client.TriggerCheckpoint(ctx, f.base(), job)
}

func (f *leadersREST) Completed(ctx context.Context, job, trigger string) (bool, error) {
	return f.client.CheckpointCompleted(ctx, f.base(), job, trigger)
}

// signalEnder ends the process and leaves the pod.
type signalEnder struct{ watcher *jobmanager.Watcher }

func (e signalEnder) String() string { return "SIGTERM" }

func (e signalEnder) Check(_ context.Context, p leader.Process) error { return e.watcher.MaySignal(p) }

func (e signalEnder) End(_ context.Context, p leader.Process) error {
	return e.watcher.Signal(p, syscall.SIGTERM)
}

// podEnder deletes this pod, which ends the JobManager as the pod's own settings say.
type podEnder struct {
	client *apiserver.Client
	ref    apiserver.Ref
}

func (e podEnder) String() string { return "deletion of the pod" }

func (e podEnder) Check(ctx context.Context, _ leader.Process) error { return e.delete(ctx, true) }

func (e podEnder) End(ctx context.Context, _ leader.Process) error { return e.delete(ctx, false) }

func (e podEnder) delete(ctx context.Context, dryRun bool) error {
	pod := &corev1.Pod{}
	if err := e.client.Get(ctx, e.ref, pod); err != nil {
		return fmt.Errorf("get %s: %w", e.ref, err)
	}
	if err := e.client.Delete(ctx, e.ref, pod.UID, dryRun); err != nil {
		return fmt.Errorf("delete %s: %w", e.ref, err)
	}
	return nil
}

// untilHandedOver is done when ctx is and no handover is under way any more, within
// the time that the sidecar has for its end.
func (d *daemon) untilHandedOver(ctx context.Context) (context.Context, context.CancelFunc) {
	looping, cancel := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() {
		defer cancel()
		if d.handover == nil {
			return
		}
		bounded, stop := context.WithTimeout(looping, d.loop.Grace)
		defer stop()
		d.handover.Idle(bounded)
	})
	return looping, cancel
}

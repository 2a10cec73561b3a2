// Package events writes Kubernetes Events about this pod: for people who look at it
// with kubectl. They are courtesy: nothing waits for them, and what cannot be
// written is counted and left out.
package events

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"flink-ha-sidecar/internal/apiserver"
)

// Reason is the machine's word for what happened.
type Reason string

// The reasons, all about the pod that the Event names.
const (
	LeaderChanged   Reason = "LeaderChanged"
	LockReleased    Reason = "LockReleased"
	ReleaseRefused  Reason = "ReleaseRefused"
	JobManagerStuck Reason = "JobManagerStuck"
	Paused          Reason = "Paused"
	Resumed         Reason = "Resumed"
)

// Rights are the verbs needed: on events, which Kubernetes cannot restrict to a name,
// and on this one pod, without which an Event does not show with kubectl describe.
var (
	Rights    = []string{"create"}
	PodRights = []string{"get"}
)

// What became of an Event, for counting.
const (
	Sent      = "sent"
	Dropped   = "dropped"
	Forbidden = "forbidden"
	Failed    = "failed"
)

const (
	// component names the writer.
	component = "flink-ha"
	// burst Events may be written at once, then one each refill: a pod in a crash
	// loop must not fill the store.
	burst  = 20
	refill = 30 * time.Second
	// sendFor bounds one request.
	sendFor = 5 * time.Second
	// offFor is how long nothing is tried after a refusal.
	offFor = 10 * time.Minute
	// maxMessage is what the API server takes (validation of core/v1 Event).
	maxMessage = 1024
)

// Options say about which pod.
type Options struct {
	Client    *apiserver.Client
	Namespace string
	Pod       string
	// Node is where it runs, may be empty.
	Node string
	Log  *zap.Logger
	// Count is called once an Event with what became of it. May be nil.
	Count func(outcome string)
}

// Recorder writes them one after the other. A nil one takes and drops all.
type Recorder struct {
	o      Options
	queue  chan *corev1.Event
	bucket bucket
	uid    types.UID
	off    time.Time
	told   bool
}

// New returns a recorder that has not asked anything yet.
func New(o Options) *Recorder {
	if o.Count == nil {
		o.Count = func(string) {}
	}
	return &Recorder{o: o, queue: make(chan *corev1.Event, burst), bucket: bucket{tokens: burst}}
}

// Normal and Warning take an Event to be written. They never wait.
func (r *Recorder) Normal(reason Reason, format string, args ...any) {
	r.take(corev1.EventTypeNormal, reason, fmt.Sprintf(format, args...))
}

// Warning is for what wants a look.
func (r *Recorder) Warning(reason Reason, format string, args ...any) {
	r.take(corev1.EventTypeWarning, reason, fmt.Sprintf(format, args...))
}

func (r *Recorder) take(kind string, reason Reason, message string) {
	if r == nil {
		return
	}
	now := metav1.Now()
	message = strings.ToValidUTF8(message[:min(len(message), maxMessage)], "")
	e := &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.o.Namespace, GenerateName: shorten(r.o.Pod) + "."},
		Type:       kind, Reason: string(reason), Message: message,
		FirstTimestamp: now, LastTimestamp: now, Count: 1,
		Source:              corev1.EventSource{Component: component, Host: r.o.Node},
		ReportingController: component, ReportingInstance: r.o.Pod,
	}
	select {
	case r.queue <- e:
	default:
		r.o.Count(Dropped)
	}
}

// shorten leaves room in a name of 253 bytes for what the server adds.
func shorten(pod string) string { return pod[:min(len(pod), 200)] }

// Run writes until ctx is done, and then for at most a second what is still there.
func (r *Recorder) Run(ctx context.Context) {
	if r == nil {
		return
	}
	for {
		select {
		case e := <-r.queue:
			r.write(ctx, e)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			for len(r.queue) > 0 && last.Err() == nil {
				r.write(last, <-r.queue)
			}
			return
		}
	}
}

func (r *Recorder) write(ctx context.Context, e *corev1.Event) {
	now := time.Now()
	switch {
	case now.Before(r.off):
		r.o.Count(Forbidden)
		return
	case !r.bucket.take(now):
		r.o.Count(Dropped)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, sendFor)
	defer cancel()
	e.InvolvedObject = corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: r.o.Namespace, Name: r.o.Pod, UID: r.podUID(ctx)}
	err := r.o.Client.Create(ctx, apiserver.Ref{Namespace: r.o.Namespace, Resource: "events"}, e, &corev1.Event{})
	switch {
	case err == nil:
		r.told = false
		r.o.Count(Sent)
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		r.off = now.Add(offFor)
		r.o.Count(Forbidden)
		r.complain("Kubernetes Events are off: they may not be written", err)
	default:
		r.o.Count(Failed)
		r.complain("a Kubernetes Event was not written", err)
	}
}

// complain tells the first of several failures in a row.
func (r *Recorder) complain(what string, err error) {
	if !r.told {
		r.told = true
		r.o.Log.Warn(what, zap.Error(err))
	}
}

// podUID is asked for once; without the right to it Events are written all the same.
func (r *Recorder) podUID(ctx context.Context) types.UID {
	if r.uid != "" {
		return r.uid
	}
	pod := &corev1.Pod{}
	err := r.o.Client.Get(ctx, apiserver.Ref{Namespace: r.o.Namespace, Resource: "pods", Name: r.o.Pod}, pod)
	if err == nil {
		r.uid = pod.UID
	}
	return r.uid
}

// bucket bounds a rate.
type bucket struct {
	tokens int
	filled time.Time
}

// take reports whether one more may pass at now.
func (b *bucket) take(now time.Time) bool {
	if b.filled.IsZero() {
		b.filled = now
	}
	if n := int(now.Sub(b.filled) / refill); n > 0 {
		b.tokens, b.filled = min(burst, b.tokens+n), b.filled.Add(time.Duration(n)*refill)
	}
	if b.tokens == 0 {
		return false
	}
	b.tokens--
	return true
}

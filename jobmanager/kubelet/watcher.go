package kubelet

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"flink-ha-sidecar/internal/apiserver"
	"flink-ha-sidecar/leader"
)

// Options says which pod and which of its containers.
type Options struct {
	Client    *apiserver.Client
	Namespace string
	Pod       string
	// Container is the JobManager's; empty to find it.
	Container string
	// Count is called once a request with its verb.
	Count func(verb string, err error)
	// Owner is told once what kind of object manages this pod, "" if none does. May
	// be nil.
	Owner func(kind string)
}

// Watcher follows the status of this pod. It needs the verbs get and watch on
// this one pod.
type Watcher struct {
	o   Options
	ref apiserver.Ref

	mu  sync.Mutex
	uid string
	// told holds the containers whose death has been told.
	told map[leader.Process]bool
}

var _ leader.Processes = (*Watcher)(nil)

// New returns a watcher that has not asked anything yet.
func New(o Options) *Watcher {
	return &Watcher{o: o, told: make(map[leader.Process]bool), ref: apiserver.Ref{Namespace: o.Namespace, Resource: "pods", Name: o.Pod}}
}

// lookFor bounds the read that a look needs.
const lookFor = 2 * time.Second

// Look reads the pod now, from a quorum.
func (w *Watcher) Look(ctx context.Context) leader.Evidence {
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	pod := &corev1.Pod{}
	err := w.o.Client.Get(ctx, w.ref, pod)
	w.o.Count("get", err)
	if err != nil {
		return leader.Evidence{At: time.Now(), Problem: w.trouble(err)}
	}
	e, _ := w.take(pod)
	return e
}

// Run tells what the status says until ctx is done.
func (w *Watcher) Run(ctx context.Context, changed func(leader.Evidence), ended func(leader.Death)) error {
	follow := apiserver.Watcher[*corev1.Pod]{
		Client: w.o.Client, Ref: w.ref, Count: w.o.Count,
		New: func() *corev1.Pod { return &corev1.Pod{} },
		Seen: func(pod *corev1.Pod, exists, _ bool) {
			if !exists { // a missing object is not a dead process
				changed(leader.Evidence{At: time.Now(), Problem: w.ref.String() + " does not exist"})
				return
			}
			e, deaths := w.take(pod)
			for _, d := range deaths {
				ended(d)
			}
			changed(e)
		},
		Interrupted: func(err error) {
			// An outage does not unsay what was said; the next look asks anew.
			if !w.heard() || apierrors.IsForbidden(err) {
				changed(leader.Evidence{At: time.Now(), Problem: w.trouble(err)})
			}
		},
	}
	return follow.Run(ctx)
}

// take turns a pod into evidence and the deaths that were not told before.
func (w *Watcher) take(pod *corev1.Pod) (leader.Evidence, []leader.Death) {
	now := time.Now()
	e := leader.Evidence{At: now, Proof: leader.ProofContainerStatus}
	if why := w.another(pod); why != "" {
		e.Problem = why
		return e, nil
	}
	container, err := containerOf(pod, w.o.Container)
	if err != nil {
		e.Problem = err.Error()
		return e, nil
	}
	said := read(pod, container, now)
	if said.isRunning {
		e.Alive, e.Started = []leader.Process{said.running}, said.started
	} else {
		e.Problem = fmt.Sprintf("the kubelet does not say that container %s runs", container)
	}
	return e, w.untold(said.deaths)
}

// another notices a new pod under the same name, as StatefulSets make them: what
// is said of it is not about this pod.
func (w *Watcher) another(pod *corev1.Pod) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.uid == "" {
		w.uid = string(pod.UID)
		if w.o.Owner != nil {
			w.o.Owner(managerOf(pod))
		}
	}
	if w.uid != string(pod.UID) {
		return fmt.Sprintf("%s is another pod by now (uid %s)", w.ref, pod.UID)
	}
	return ""
}

func managerOf(pod *corev1.Pod) string {
	for _, o := range pod.OwnerReferences {
		if o.Controller != nil && *o.Controller {
			return o.Kind
		}
	}
	return ""
}

func (w *Watcher) untold(deaths []leader.Death) []leader.Death {
	w.mu.Lock()
	defer w.mu.Unlock()
	var fresh []leader.Death
	for _, d := range deaths {
		if !w.told[d.Process] {
			w.told[d.Process] = true
			fresh = append(fresh, d)
		}
	}
	return fresh
}

func (w *Watcher) trouble(err error) string {
	if apierrors.IsForbidden(err) {
		return fmt.Sprintf("the kubelet's word is not to be had: get and watch on %s are not permitted", w.ref)
	}
	// Each attempt fails in its own words; one line must do for all of them.
	return "the kubelet's word is not to be had: the API server does not answer"
}

// heard reports whether this pod has been seen.
func (w *Watcher) heard() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.uid != ""
}

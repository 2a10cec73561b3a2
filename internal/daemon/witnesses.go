package daemon

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"flink-ha-sidecar/internal/apiserver"
	"flink-ha-sidecar/jobmanager/kubelet"
	"flink-ha-sidecar/leader"
	"flink-ha-sidecar/metrics"
)

// witnesses are the two that can tell of the JobManager: the processes, seen
// directly, and the kubelet's word. What is seen counts; the word is taken where
// nothing is seen.
type witnesses struct {
	direct, word leader.Processes
	// who is what word is called for people.
	who string

	mu                   sync.Mutex
	lastDirect, lastWord leader.Evidence
	// lastEnd is when no process was seen any more, after one was.
	lastEnd time.Time
}

// withWord adds the kubelet's word where this pod's name is known.
func withWord(direct leader.Processes, s Settings, p *plan, m *metrics.Metrics, ownedBy func(kind string)) (leader.Processes, error) {
	if s.PodName == "" || p.rest == nil {
		return direct, nil
	}
	client, err := apiserver.New(p.rest)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfiguration, err)
	}
	return &witnesses{who: "kubelet", direct: direct, word: kubelet.New(kubelet.Options{
		Client: client, Namespace: podNamespace(p.namespace), Pod: s.PodName, Container: s.Container, Owner: ownedBy,
		Count: func(verb string, err error) { m.Request(verb+"-pod", apiserver.Outcome(err)) },
	})}, nil
}

// serviceAccountNamespace is where Kubernetes tells a pod its namespace.
const serviceAccountNamespace = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// podNamespace is this pod's own, which need not be the lock's.
func podNamespace(otherwise string) string {
	raw, err := os.ReadFile(serviceAccountNamespace)
	if err != nil {
		return otherwise
	}
	return strings.TrimSpace(string(raw))
}

// Run is leader.Processes'. A death is passed on whoever tells it: it names its
// process or container exactly, and matters only to a holder that is bound to it.
func (w *witnesses) Run(ctx context.Context, changed func(leader.Evidence), ended func(leader.Death)) error {
	g, ctx := errgroup.WithContext(ctx)
	var telling sync.Mutex // the loop takes one thing at a time, in order
	tell := func(keep *leader.Evidence) func(leader.Evidence) {
		return func(e leader.Evidence) {
			telling.Lock()
			defer telling.Unlock()
			changed(w.keep(keep, e))
		}
	}
	tellEnd := func(d leader.Death) {
		telling.Lock()
		defer telling.Unlock()
		ended(d)
	}
	g.Go(func() error { return w.direct.Run(ctx, tell(&w.lastDirect), tellEnd) })
	g.Go(func() error { return w.word.Run(ctx, tell(&w.lastWord), tellEnd) })
	return g.Wait()
}

func (w *witnesses) keep(which *leader.Evidence, e leader.Evidence) leader.Evidence {
	w.mu.Lock()
	defer w.mu.Unlock()
	if which == &w.lastDirect {
		w.noteEnd(e)
	}
	*which = e
	return merge(w.lastDirect, w.timely(w.lastWord), w.who)
}

// Look is leader.Processes'.
func (w *witnesses) Look(ctx context.Context) leader.Evidence {
	direct := w.direct.Look(ctx)
	word, asked := leader.Evidence{}, len(direct.Alive) == 0
	if asked {
		word = w.word.Look(ctx)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noteEnd(direct)
	if !asked {
		word = w.lastWord
	}
	return merge(direct, w.timely(word), w.who)
}

// noteEnd keeps when the processes were first seen to be gone.
func (w *witnesses) noteEnd(direct leader.Evidence) {
	if len(w.lastDirect.Alive) > 0 && len(direct.Alive) == 0 {
		w.lastEnd = direct.At
	}
}

// timely leaves out of the kubelet's word what is past: it hears of an end later than
// the kernel tells it, and until then calls a container alive whose process was seen
// to end. Times of the kubelet are cut off to the second, which errs on that side.
func (w *witnesses) timely(word leader.Evidence) leader.Evidence {
	if len(word.Alive) == 0 || w.lastEnd.IsZero() || word.Started.After(w.lastEnd) {
		return word
	}
	word.Alive, word.Problem = nil, "the "+w.who+" has not heard yet that the JobManager ended"
	return word
}

// merge prefers what was seen; what the other says goes with it as a second
// opinion. Several processes are no reason to take the word: it could not tell
// them apart either.
func merge(direct, word leader.Evidence, who string) leader.Evidence {
	direct.Proof = leader.ProofPidfd
	switch {
	case word.At.IsZero():
		return direct
	case len(direct.Alive) > 0:
		direct.Second = who + ": " + said(word)
		return direct
	case len(word.Alive) == 0 && !direct.At.IsZero():
		if word.Problem != "" {
			direct.Problem += "; " + word.Problem
		}
		return direct
	}
	if !direct.At.IsZero() {
		word.Second = "processes: " + said(direct)
	}
	return word
}

func said(e leader.Evidence) string {
	if p, sole := e.Sole(); sole {
		return p.String() + " runs"
	}
	return e.Problem
}

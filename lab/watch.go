package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

// Where Flink and its Kubernetes client keep the lock and the addresses.
const (
	leaderAnnotation = "control-plane.alpha.kubernetes.io/leader"
	leaderKeyPrefix  = "org.apache.flink.k8s.leader."
)

// LockVersion is one version of the lock's ConfigMap as the watch showed it.
type LockVersion struct {
	// At is when the watch event arrived, some milliseconds after the write.
	At              time.Time
	UID             types.UID
	ResourceVersion string
	// Gone says that there is no such ConfigMap; then nothing below is set.
	Gone bool
	// Gap says that versions before this one may have been missed.
	Gap bool
	// Record is the annotation as it stands, the fields below what it says; a
	// record that is no JSON leaves them empty.
	Record      string
	Holder      string
	AcquireTime string
	RenewTime   string
	// Addresses are the published ones: component to address. Fresh has those of
	// them that were written since the present holder took the lock; the others
	// are left from the one before.
	Addresses map[string]string
	Fresh     map[string]string
	// Queue lists the owners of all places in the queue for the lock, the holder
	// first; nil with Kubernetes HA, whose lock gets free before it is taken.
	Queue []string

	raw map[string]string // component to "session,address"
}

// Free tells whether the lock is there and nobody holds it.
func (v LockVersion) Free() bool { return !v.Gone && v.Record != "" && v.Holder == "" }

// SameTenure tells whether both versions show one holder that did not let go in
// between.
func (v LockVersion) SameTenure(w LockVersion) bool {
	return v.UID == w.UID && v.Holder == w.Holder && v.AcquireTime == w.AcquireTime
}

// LeaderIP is the address of the present leader, known once it has published its
// dispatcher; empty before.
func (v LockVersion) LeaderIP() string {
	if v.Holder == "" {
		return ""
	}
	return hostOf(v.Fresh["dispatcher"])
}

// hostOf is the host in an address, as in pekko.tcp://flink@127.0.0.1:6123/user/rpc/dispatcher_1;
// empty if there is none.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	host, _, err := net.SplitHostPort(u.Host)
	if err != nil {
		return ""
	}
	return host
}

// LockWatch watches the lock of one cluster on a connection of its own, apart
// from all that is tested, and keeps every version with its time.
type LockWatch struct {
	client corev1.ConfigMapInterface
	name   string
	// latch, if not nil, is where the lock is instead of a ConfigMap.
	latch *latch

	mu       sync.Mutex
	versions []LockVersion
	changed  chan struct{} // closed and replaced at each new version
}

// NewLockWatch prepares a watch; [LockWatch.Run] does it.
func NewLockWatch(c *ControlPlane, namespace, name string) (*LockWatch, error) {
	client, err := c.ConfigMaps(namespace)
	if err != nil {
		return nil, err
	}
	return &LockWatch{client: client, name: name, changed: make(chan struct{})}, nil
}

// Run watches until ctx is done, through any outage of the API server.
func (w *LockWatch) Run(ctx context.Context) {
	retry := time.NewTicker(50 * time.Millisecond)
	defer retry.Stop()
	follow := w.follow
	if w.latch != nil {
		follow = w.followLatch
	}
	for ctx.Err() == nil {
		_ = follow(ctx) // whatever it is, the next attempt is soon
		select {
		case <-ctx.Done():
		case <-retry.C:
		}
	}
}

// follow lists, then watches until the connection ends.
func (w *LockWatch) follow(ctx context.Context) error {
	options := metav1.ListOptions{FieldSelector: "metadata.name=" + w.name}
	list, err := w.client.List(ctx, options)
	if err != nil {
		return err
	}
	var listed *v1.ConfigMap
	if len(list.Items) > 0 {
		listed = &list.Items[0]
	}
	w.add(listed, true)
	options.ResourceVersion = list.ResourceVersion
	events, err := w.client.Watch(ctx, options)
	if err != nil {
		return err
	}
	defer events.Stop()
	for event := range events.ResultChan() {
		object, ok := event.Object.(*v1.ConfigMap)
		if !ok {
			return fmt.Errorf("watch %s: %v", w.name, event.Object)
		}
		if event.Type == watch.Deleted {
			object = nil
		}
		w.add(object, false)
	}
	return nil
}

// add notes a version; nil is its absence.
func (w *LockWatch) add(object *v1.ConfigMap, gap bool) {
	v := LockVersion{At: time.Now(), Gap: gap, Gone: object == nil}
	if object != nil {
		v = readLock(object, v)
	}
	w.keep(v)
}

func (w *LockWatch) keep(v LockVersion) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.versions); n > 0 {
		last := w.versions[n-1]
		same := last.Gone == v.Gone && last.UID == v.UID && last.ResourceVersion == v.ResourceVersion
		if v.Queue != nil { // it has no version, and may be read again without a change
			same = same && last.Record == v.Record && maps.Equal(last.Addresses, v.Addresses) && maps.Equal(last.Fresh, v.Fresh)
		}
		if same && (v.Gap || v.Queue != nil || v.Gone) {
			return // a reconnection that missed nothing
		}
		if v.Queue == nil {
			v.Fresh = fresh(last, v)
		}
	}
	w.versions = append(w.versions, v)
	close(w.changed)
	w.changed = make(chan struct{})
}

func readLock(object *v1.ConfigMap, v LockVersion) LockVersion {
	v.UID, v.ResourceVersion = object.UID, object.ResourceVersion
	v.Record = object.Annotations[leaderAnnotation]
	var record struct{ HolderIdentity, AcquireTime, RenewTime string }
	if json.Unmarshal([]byte(v.Record), &record) == nil {
		v.Holder, v.AcquireTime, v.RenewTime = record.HolderIdentity, record.AcquireTime, record.RenewTime
	}
	v.Addresses, v.raw = map[string]string{}, map[string]string{}
	for key, value := range object.Data {
		component, ok := strings.CutPrefix(key, leaderKeyPrefix)
		if !ok {
			continue
		}
		_, address, _ := strings.Cut(value, ",")
		v.Addresses[component], v.raw[component] = address, value
	}
	return v
}

// fresh returns the addresses of v that were written in v's tenure, given the
// version before. The first version of a tenure has none.
func fresh(last, v LockVersion) map[string]string {
	if !last.SameTenure(v) || v.Gone {
		return nil
	}
	result := maps.Clone(last.Fresh)
	if result == nil {
		result = map[string]string{}
	}
	for component, value := range v.raw {
		if last.raw[component] != value {
			result[component] = v.Addresses[component]
		}
	}
	maps.DeleteFunc(result, func(component, _ string) bool { _, there := v.raw[component]; return !there })
	return result
}

// Versions are all versions seen so far, oldest first.
func (w *LockWatch) Versions() []LockVersion {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.versions)
}

// Last is the version seen last, the zero value before the first.
func (w *LockWatch) Last() LockVersion {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.versions) == 0 {
		return LockVersion{Gone: true}
	}
	return w.versions[len(w.versions)-1]
}

// WaitFor returns the first version, of those seen already and those to come,
// that arrived at or after since and that matches.
func (w *LockWatch) WaitFor(ctx context.Context, since time.Time, match func(LockVersion) bool) (LockVersion, error) {
	for seen := 0; ; {
		w.mu.Lock()
		versions, changed := w.versions, w.changed
		w.mu.Unlock()
		for ; seen < len(versions); seen++ {
			if v := versions[seen]; !v.At.Before(since) && match(v) {
				return v, nil
			}
		}
		select {
		case <-ctx.Done():
			return LockVersion{}, fmt.Errorf("watch lock %s: %w", w.name, ctx.Err())
		case <-changed:
		}
	}
}

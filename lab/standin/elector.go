// Package standin holds the lock of Flink's Kubernetes HA as a JobManager does,
// without a JVM: the same record, the same requests, the same times. It lets a
// test have hundreds of leaders die where real ones would take hours.
//
// What it does was read in fabric8 6.6, 6.9 and 7.3, which agree in it, and in
// Flink 2.3: a contender polls every 1.0 to 2.2 retry-periods and takes a lock
// that is free or past its own lease-duration; a leader renews each retry-period
// and gives up at the renew-deadline. Each write is a JSON merge patch under the
// resourceVersion that was read.
package standin

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

const annotation = "control-plane.alpha.kubernetes.io/leader"

// ErrDeposed is what a leader ends with that finds its lock in other hands, or
// freed. In the second case it has taken it once more, as a real one does, whose
// JVM then exits with status 239 and leaves the lock to run out.
var ErrDeposed = errors.New("lost the lock while leading")

// Elector is one JobManager's part in the election.
type Elector struct {
	Client    corev1.ConfigMapInterface
	ClusterID string
	// Address is the IP that is published.
	Address string
	// Publish says whether a leader publishes its addresses at all: one that is
	// killed right after its grant has not.
	Publish bool

	RetryPeriod   time.Duration
	LeaseDuration time.Duration
	RenewDeadline time.Duration

	Log *slog.Logger

	identity string // a UUID, kept for life
}

// New returns an elector with an identity of its own.
func New(e Elector) *Elector {
	e.identity = newUUID()
	return &e
}

func (e *Elector) name() string { return e.ClusterID + "-cluster-config-map" }

// Run contends and leads until ctx is done, and returns nil then with the lock as
// it is: see [Elector.Release]. It returns [ErrDeposed] as soon as it is.
func (e *Elector) Run(ctx context.Context) error {
	for {
		if err := e.acquire(ctx); err != nil {
			return nil // ctx is done
		}
		if err := e.lead(ctx); err != nil || ctx.Err() != nil {
			return err
		}
		e.Log.Info("DefaultDispatcherRunner was revoked the leadership with leader id of " + e.identity)
	}
}

// acquire returns nil once this elector holds the lock.
func (e *Elector) acquire(ctx context.Context) error {
	for {
		got, err := e.tryAcquireOrRenew(ctx)
		if err != nil && ctx.Err() == nil {
			e.Log.Error("Exception occurred while acquiring lock", "error", err)
		}
		if got != refused {
			return nil
		}
		jitter := time.Duration(mathrand.Float64() * 1.2 * float64(e.RetryPeriod))
		if err := sleep(ctx, e.RetryPeriod+jitter); err != nil {
			return err
		}
	}
}

// lead renews until the renew-deadline passes without a success, and publishes
// beside it.
func (e *Elector) lead(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	session := newUUID()
	e.Log.Info("DefaultDispatcherRunner was granted leadership with leader id "+session+".", "holder", e.identity)
	if e.Publish {
		wg.Go(func() { e.publish(ctx, session) })
	}
	for deadline := time.Now().Add(e.RenewDeadline); ; {
		got, err := e.tryAcquireOrRenew(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil && got != renewed:
			return ErrDeposed
		case err == nil:
			deadline = time.Now().Add(e.RenewDeadline)
		case time.Now().After(deadline):
			return nil
		default:
			e.Log.Debug("Exception occurred while renewing lock", "error", err)
		}
		if err := sleep(ctx, e.RetryPeriod); err != nil {
			return nil
		}
	}
}

// outcome is what became of one attempt at the lock; an error goes with refused.
type outcome int

const (
	refused  outcome = iota // another holds it
	acquired                // it was free, or past
	renewed                 // it was held already
)

// tryAcquireOrRenew reads the lock and writes it if it may: one attempt.
func (e *Elector) tryAcquireOrRenew(ctx context.Context) (outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, max(time.Second, e.RenewDeadline/2))
	defer cancel()
	now := time.Now()
	fresh := record{
		HolderIdentity: &e.identity, LeaseDuration: formatDuration(e.LeaseDuration), AcquireTime: formatTime(now), RenewTime: formatTime(now),
	}
	object, err := e.Client.Get(ctx, e.name(), metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return refused, fmt.Errorf("read lock: %w", err)
	}
	var old record
	if err == nil {
		old, err = parseRecord(object.Annotations[annotation])
	}
	if err != nil {
		// No object, or no record in it that can be read: fabric8 does not tell
		// the two apart, and fails here for ever in the second case.
		return acquired.unless(e.create(ctx, fresh))
	}
	switch {
	case old.heldBy(e.identity):
		fresh.LeaderTransitions, fresh.AcquireTime = old.LeaderTransitions, old.AcquireTime
		return renewed.unless(e.write(ctx, fresh, object.ResourceVersion))
	case old.free(e.LeaseDuration, now):
		fresh.LeaderTransitions = old.LeaderTransitions + 1
		return acquired.unless(e.write(ctx, fresh, object.ResourceVersion))
	}
	return refused, nil
}

func (o outcome) unless(err error) (outcome, error) {
	if err != nil {
		return refused, err
	}
	return o, nil
}

// labels are Flink's; the operator goes by them.
func (e *Elector) labels() map[string]string {
	return map[string]string{"app": e.ClusterID, "type": "flink-native-kubernetes"}
}

func (e *Elector) create(ctx context.Context, r record) error {
	_, err := e.Client.Create(ctx, &v1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Name: e.name(), Labels: e.labels(), Annotations: map[string]string{annotation: r.String()},
	}}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create lock: %w", err)
	}
	return nil
}

func (e *Elector) write(ctx context.Context, r record, version string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"resourceVersion": version, "labels": e.labels(), "annotations": map[string]string{annotation: r.String()},
	}})
	if err != nil {
		return fmt.Errorf("write lock: %w", err)
	}
	if _, err := e.Client.Patch(ctx, e.name(), types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("write lock: %w", err)
	}
	return nil
}

// Release lets go of the lock if it is held; call it after [Elector.Run] has
// returned.
func (e *Elector) Release(ctx context.Context) error {
	object, err := e.Client.Get(ctx, e.name(), metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("read lock: %w", err)
	}
	old, err := parseRecord(object.Annotations[annotation])
	if err != nil || !old.heldBy(e.identity) {
		return err
	}
	now := formatTime(time.Now())
	return e.write(ctx, record{
		LeaseDuration: formatDuration(time.Second), AcquireTime: now, RenewTime: now, LeaderTransitions: old.LeaderTransitions,
	}, object.ResourceVersion)
}

// Retake takes the lock once more, as the second elector does that Flink 2.3
// starts while it shuts down.
func (e *Elector) Retake(ctx context.Context) error {
	if err := sleep(ctx, 10*time.Millisecond); err != nil {
		return err
	}
	got, err := e.tryAcquireOrRenew(ctx)
	if err == nil && got == refused {
		err = errors.New("another holds it")
	}
	if err != nil {
		return fmt.Errorf("retake lock: %w", err)
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

package standin

import (
	"context"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// jobID is what Flink gives the job of an application that names none.
const jobID = "00000000000000000000000000000000"

// step is one write of a new leader to the addresses it publishes.
type step struct {
	after     time.Duration // the grant; as seen on Flink 2.3
	component string
	address   string // printf form with the IP; empty: remove the key
}

// steps are a new leader's writes: first the addresses of its predecessor go,
// then each component announces itself as it is ready.
var steps = []step{
	{17 * time.Millisecond, "dispatcher", ""},
	{36 * time.Millisecond, "resourcemanager", ""},
	{55 * time.Millisecond, "restserver", ""},
	{100 * time.Millisecond, "restserver", "http://%s:8081"},
	{165 * time.Millisecond, "resourcemanager", "pekko.tcp://flink@%s:6123/user/rpc/resourcemanager_0"},
	{290 * time.Millisecond, "dispatcher", "pekko.tcp://flink@%s:6123/user/rpc/dispatcher_1"},
	{620 * time.Millisecond, "job-" + jobID, "pekko.tcp://flink@%s:6123/user/rpc/jobmanager_2"},
}

// publish does the steps, each at its time; it returns with ctx.
func (e *Elector) publish(ctx context.Context, session string) {
	granted := time.Now()
	for _, s := range steps {
		if sleep(ctx, s.after-time.Since(granted)) != nil {
			return
		}
		if err := e.publishOne(ctx, s, session); err != nil && ctx.Err() == nil {
			e.Log.Error("Exception occurred while publishing", "component", s.component, "error", err)
		}
	}
}

// Unpublish removes this leader's addresses, as Flink does in an orderly end while
// it still holds the lock.
func (e *Elector) Unpublish(ctx context.Context) error {
	for _, component := range []string{"job-" + jobID, "dispatcher", "resourcemanager", "restserver"} {
		if err := e.publishOne(ctx, step{component: component}, ""); err != nil {
			return err
		}
	}
	return nil
}

// publishOne replaces the whole object as Flink does, under the version it read,
// and again if a renewal came in between; it stops as soon as the lock is
// another's.
func (e *Elector) publishOne(ctx context.Context, s step, session string) error {
	for range 15 {
		object, err := e.Client.Get(ctx, e.name(), metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("read lock: %w", err)
		}
		held, err := parseRecord(object.Annotations[annotation])
		if err != nil || !held.heldBy(e.identity) || !s.apply(object, session, e.Address) {
			return err
		}
		_, err = e.Client.Update(ctx, object, metav1.UpdateOptions{})
		if err == nil {
			return nil
		}
		if !apierrors.IsConflict(err) {
			return fmt.Errorf("write address: %w", err)
		}
	}
	return fmt.Errorf("write address: 15 conflicts")
}

// apply changes the object and tells whether that changed anything.
func (s step) apply(object *v1.ConfigMap, session, ip string) bool {
	key := "org.apache.flink.k8s.leader." + s.component
	if s.address == "" {
		_, there := object.Data[key]
		delete(object.Data, key)
		return there
	}
	if object.Data == nil {
		object.Data = map[string]string{}
	}
	object.Data[key] = session + "," + fmt.Sprintf(s.address, ip)
	return true
}

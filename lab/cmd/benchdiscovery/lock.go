package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

const (
	annotation = "control-plane.alpha.kubernetes.io/leader"
	leaderKey  = "org.apache.flink.k8s.leader."
	timeLayout = "2006-01-02T15:04:05.000000Z"
)

// lock is written as Flink 2.3 writes it; the job's key is there too, as large as it
// is in a small cluster.
type lock struct {
	client   corev1.ConfigMapInterface
	object   *v1.ConfigMap
	acquired time.Time
	last     time.Time // renewal
	number   int
}

// steps are a new leader's writes after the one that takes the lock, each so long
// after it (seen on Flink 2.3). An empty address removes the key.
var steps = []struct {
	after     time.Duration
	component string
	address   string
}{
	{17 * time.Millisecond, "dispatcher", ""},
	{36 * time.Millisecond, "resourcemanager", ""},
	{55 * time.Millisecond, "restserver", ""},
	{100 * time.Millisecond, "restserver", "http://%s:8081"},
	{165 * time.Millisecond, "resourcemanager", "pekko.tcp://flink@%s:6123/user/rpc/resourcemanager_0"},
	{290 * time.Millisecond, "dispatcher", "pekko.tcp://flink@%s:6123/user/rpc/dispatcher_1"},
}

func newLock(ctx context.Context, client corev1.ConfigMapInterface, cluster string) (*lock, error) {
	l := &lock{client: client, acquired: time.Now()}
	object := &v1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Name: cluster + "-cluster-config-map", Labels: map[string]string{"app": cluster, "type": "flink-native-kubernetes"},
		Annotations: map[string]string{annotation: l.record(time.Now())},
	}, Data: map[string]string{
		"checkpointID-00000000000000000000000000000000": "42", "counter": "42",
		leaderKey + "job-00000000000000000000000000000000": "00000000-0000-4000-8000-000000000000,pekko.tcp://flink@10.9.0.1:6123/user/rpc/jobmanager_2",
	}}
	var err error
	if l.object, err = client.Create(ctx, object, metav1.CreateOptions{}); err != nil {
		return nil, fmt.Errorf("create lock: %w", err)
	}
	return l, nil
}

// session names the leader of a change.
func session(number int) string { return fmt.Sprintf("bbbbbbbb-0000-4000-8000-%012d", number) }

// numberOf is the reverse.
func numberOf(session string) int {
	n, err := strconv.Atoi(session[strings.LastIndexByte(session, '-')+1:])
	if err != nil {
		return 0 // not one of ours
	}
	return n
}

func (l *lock) record(renewed time.Time) string {
	return fmt.Sprintf(`{"holderIdentity":"aaaaaaaa-0000-4000-8000-%012d","leaseDuration":"PT15S","acquireTime":%q,"renewTime":%q,"leaderTransitions":%d}`,
		l.number, l.acquired.UTC().Format(timeLayout), renewed.UTC().Format(timeLayout), l.number)
}

func (l *lock) write(ctx context.Context) (err error) {
	l.object, err = l.client.Update(ctx, l.object, metav1.UpdateOptions{})
	if err != nil {
		return fmt.Errorf("write lock: %w", err)
	}
	return nil
}

// renew is the leader's renewal.
func (l *lock) renew(ctx context.Context) error {
	l.last = time.Now()
	l.object.Annotations[annotation] = l.record(time.Now())
	return l.write(ctx)
}

// renewed is when the last renewal began.
func (l *lock) renewed() time.Time { return l.last }

// change makes the JobManager at ip the leader, and returns the time just before both
// its REST and its RPC address stood there.
func (l *lock) change(ctx context.Context, ip string) (time.Time, error) {
	l.number++
	l.acquired = time.Now()
	if err := l.renew(ctx); err != nil {
		return time.Time{}, err
	}
	var at time.Time
	for _, s := range steps {
		if err := sleep(ctx, time.Until(l.acquired.Add(s.after))); err != nil {
			return at, err
		}
		if s.address == "" {
			delete(l.object.Data, leaderKey+s.component)
		} else {
			l.object.Data[leaderKey+s.component] = session(l.number) + "," + fmt.Sprintf(s.address, ip)
		}
		if s.component == "resourcemanager" && s.address != "" {
			at = time.Now()
		}
		if err := l.write(ctx); err != nil {
			return at, err
		}
	}
	return at, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

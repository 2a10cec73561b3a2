package events

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	rbacv1 "k8s.io/api/rbac/v1"

	"flink-ha-sidecar/internal/apiserver"
	"flink-ha-sidecar/lab/labtest"
)

func TestRateIsBounded(t *testing.T) {
	var b bucket
	b.tokens = burst
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	passed := 0
	for range 10 * burst {
		if b.take(now) {
			passed++
		}
	}
	if passed != burst {
		t.Errorf("%d pass at once, want %d", passed, burst)
	}
	if b.take(now.Add(refill - 1)) {
		t.Error("one more passes too early")
	}
	if !b.take(now.Add(refill)) || b.take(now.Add(refill)) {
		t.Errorf("after %v not exactly one more passes", refill)
	}
	for range 10 * burst {
		b.take(now.Add(time.Hour))
	}
	if b.tokens != 0 {
		t.Errorf("%d are left after an hour and as many as fit", b.tokens)
	}
}

func TestTakingNeverWaits(t *testing.T) {
	var nobody *Recorder
	nobody.Normal(Paused, "nobody writes")
	nobody.Run(t.Context())
	dropped := 0
	r := New(Options{Pod: strings.Repeat("p", 300), Count: func(o string) {
		if o == Dropped {
			dropped++
		}
	}})
	for range burst + 7 {
		r.Warning(ReleaseRefused, "%s", strings.Repeat("ü", 2000))
	}
	if dropped != 7 {
		t.Errorf("%d were dropped, want 7", dropped)
	}
	if e := <-r.queue; len(e.Message) > maxMessage || len(e.GenerateName) > 210 || !strings.HasPrefix(e.Message, "üü") {
		t.Errorf("a message of %d bytes, a name of %d", len(e.Message), len(e.GenerateName))
	}
}

// TestIntegrationEvents writes to a real API server, with the rights named and without.
func TestIntegrationEvents(t *testing.T) {
	plane := labtest.ControlPlane(t)
	admin, err := kubernetes.NewForConfig(plane.Config())
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		rules []rbacv1.PolicyRule
		want  string
		lines int
	}{
		"with the right":    {[]rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"events"}, Verbs: Rights}}, Sent, 0},
		"without the right": {nil, Forbidden, 1},
	} {
		t.Run(name, func(t *testing.T) {
			path, _, err := plane.UserKubeConfig(t.Context(), "default", row.rules...)
			if err != nil {
				t.Fatal(err)
			}
			config, err := clientcmd.BuildConfigFromFlags("", path)
			if err != nil {
				t.Fatal(err)
			}
			client, err := apiserver.New(config)
			if err != nil {
				t.Fatal(err)
			}
			core, logs := observer.New(zap.InfoLevel)
			pod := "pod-" + strings.ReplaceAll(name, " ", "-")
			outcomes := make(chan string, 10)
			attempt := func() string {
				r := New(Options{Client: client, Namespace: "default", Pod: pod, Log: zap.New(core), Count: func(o string) { outcomes <- o }})
				ctx, cancel := context.WithCancel(t.Context())
				var wg sync.WaitGroup
				wg.Go(func() { r.Run(ctx) })
				defer wg.Wait()
				defer cancel()
				r.Normal(LockReleased, "freed after %d ms", 8)
				first := <-outcomes
				if row.want == Forbidden {
					r.Normal(LockReleased, "again")
					<-outcomes
				}
				return first
			}
			got := attempt()
			for deadline := time.Now().Add(20 * time.Second); got != row.want && time.Now().Before(deadline); got = attempt() {
				logs.TakeAll() // the rights are not heeded yet
			}
			if got != row.want || logs.Len() != row.lines {
				t.Errorf("got %q and %d log lines %v, want %q and %d", got, logs.Len(), logs.All(), row.want, row.lines)
			}
			list, err := admin.CoreV1().Events("default").List(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.name=" + pod})
			if err != nil {
				t.Fatal(err)
			}
			if row.want == Forbidden {
				if len(list.Items) != 0 {
					t.Errorf("%d Events, want none", len(list.Items))
				}
				return
			}
			if len(list.Items) == 0 {
				t.Fatal("no Event is there")
			}
			if e := list.Items[0]; e.Reason != "LockReleased" || e.Message != "freed after 8 ms" || e.Type != "Normal" || e.Source.Component != "flink-ha" || e.InvolvedObject.Kind != "Pod" {
				t.Errorf("got %+v", e)
			}
		})
	}
}

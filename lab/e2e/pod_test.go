package e2e

import (
	"crypto/rand"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typed "k8s.io/client-go/kubernetes/typed/core/v1"

	"flink-ha-sidecar/lab"
)

// TestIntegrationTheKubeletsWordNeedsItsRights runs a sidecar that cannot see its
// JobManager's process: with all rights it goes by the pod's status, and without
// one of them it says which pod it may not look at. Without get it frees nothing;
// without watch a death is heard only when the pod is read again.
func TestIntegrationTheKubeletsWordNeedsItsRights(t *testing.T) {
	for _, missing := range []string{"", "get", "watch"} {
		name := "without " + missing
		if missing == "" {
			name = "with all of them"
		}
		t.Run(name, func(t *testing.T) {
			p := shared(t)
			t.Parallel()
			pod := newPod(t, p.control)
			o := p.standIns()
			o.JobManagers = 1
			o.SidecarKubeConfig, o.SidecarRights = "", without("pods", missing)
			o.SidecarArgs = []string{"--pod-name", pod.name, "--jobmanager-match", "no process has this argument"}
			c := start(t, o)
			s := c.Sidecars[0]
			var leader *lab.JobManager
			eventually(t, "a leader", func() bool { leader = c.LeaderNow(); return leader != nil })
			if missing == "" {
				awaitBound(t, c, s)
			} else {
				awaitSaid(t, s, "no JobManager process", "get and watch on pods default/"+pod.name+" are not permitted")
				eventually(t, "a forbidden request is counted", func() bool {
					return metric(t, s, "flink_ha_backend_requests_total", `verb="`+missing+`-pod"`, `outcome="forbidden"`) > 0
				})
			}
			if missing == "get" { // it hears what is told, and can never ask
				code, text := probe(t, s, "/readyz")
				if code != http.StatusServiceUnavailable || !strings.Contains(text, "pods default/"+pod.name+" are not permitted") {
					t.Errorf("/readyz: status %d, %q; want it to name the pod", code, text)
				}
			}
			signal(t, leader, syscall.SIGKILL)
			pod.ended(t)
			switch missing {
			case "":
				awaitSaid(t, s, msgFreed)
			case "get":
				over := timeOf(t, c.Lock.Last().RenewTime).Add(c.Settings.LeaseDuration)
				eventually(t, "the lease has run out", func() bool { return time.Now().After(over) })
				mustNotFree(t, s)
			}
			mustLive(t, s)
		})
	}
}

// labPod is a pod on the API server that no kubelet runs: the test writes its
// status.
type labPod struct {
	name string
	pods typed.PodInterface
}

// newPod creates one whose container runs.
func newPod(t *testing.T, plane *lab.ControlPlane) *labPod {
	t.Helper()
	client, err := typed.NewForConfig(plane.Config())
	if err != nil {
		t.Fatal(err)
	}
	p := &labPod{name: "jm-" + strings.ToLower(rand.Text()[:8]), pods: client.Pods("default")}
	_, err = p.pods.Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: p.name},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "jobmanager", Image: "flink"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p.says(t, corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(time.Now().Add(-time.Minute))}})
	return p
}

// ended says that the container has just ended.
func (p *labPod) ended(t *testing.T) {
	t.Helper()
	p.says(t, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ContainerID: p.container(), FinishedAt: metav1.Now(), Reason: "Error", ExitCode: 137,
	}})
}

func (p *labPod) container() string { return "containerd://" + p.name }

func (p *labPod) says(t *testing.T, state corev1.ContainerState) {
	t.Helper()
	pod, err := p.pods.Get(t.Context(), p.name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pod.Status.Phase = corev1.PodRunning
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "jobmanager", ContainerID: p.container(), State: state}}
	if _, err := p.pods.UpdateStatus(t.Context(), pod, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

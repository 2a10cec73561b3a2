package kubelet

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"flink-ha-sidecar/leader"
)

var (
	finished = metav1.NewTime(time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC))
	seen     = finished.Add(800 * time.Millisecond)
)

func terminated(id string, change func(*corev1.ContainerStateTerminated)) *corev1.ContainerStateTerminated {
	t := &corev1.ContainerStateTerminated{ContainerID: id, FinishedAt: finished, Reason: "Error", ExitCode: 137}
	if change != nil {
		change(t)
	}
	return t
}

func TestOnlyATerminationThatTheKubeletKnowsIsAProof(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		cs   corev1.ContainerStatus
		dead string
	}{
		{"running", corev1.ContainerStatus{ContainerID: "c://1", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}, ""},
		{"terminated", corev1.ContainerStatus{ContainerID: "c://1", State: corev1.ContainerState{Terminated: terminated("c://1", nil)}}, "c://1"},
		{"terminated, and its successor runs", corev1.ContainerStatus{ContainerID: "c://2", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
			LastTerminationState: corev1.ContainerState{Terminated: terminated("c://1", nil)}}, "c://1"},
		{"terminated, and its successor waits", corev1.ContainerStatus{ContainerID: "c://1", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}},
			LastTerminationState: corev1.ContainerState{Terminated: terminated("c://1", nil)}}, "c://1"},
		{"the kubelet has lost track of it", corev1.ContainerStatus{State: corev1.ContainerState{Terminated: terminated("c://1",
			func(t *corev1.ContainerStateTerminated) { t.Reason = "ContainerStatusUnknown" })}}, ""},
		{"no time is told", corev1.ContainerStatus{State: corev1.ContainerState{Terminated: terminated("c://1",
			func(t *corev1.ContainerStateTerminated) { t.FinishedAt = metav1.Time{} })}}, ""},
		{"no container is named", corev1.ContainerStatus{State: corev1.ContainerState{Terminated: terminated("", nil)}}, ""},
		{"waiting for the first time", corev1.ContainerStatus{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}}}, ""},
	} {
		tt.cs.Name = "jobmanager"
		pod := &corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodFailed, ContainerStatuses: []corev1.ContainerStatus{{Name: "other", State: corev1.ContainerState{Terminated: terminated("c://9", nil)}}, tt.cs}}}
		got := read(pod, "jobmanager", seen)
		switch {
		case tt.dead == "" && len(got.deaths) > 0:
			t.Errorf("%s: %v is dead, want no proof", tt.name, got.deaths)
		case tt.dead != "" && (len(got.deaths) != 1 || got.deaths[0].Process != leader.Process{ContainerID: tt.dead}):
			t.Errorf("%s: %v, want the death of %s", tt.name, got.deaths, tt.dead)
		case tt.dead != "" && (!got.deaths[0].At.Equal(finished.Time) || !got.deaths[0].Seen.Equal(seen)):
			t.Errorf("%s: died %v, seen %v; want the kubelet's time and ours", tt.name, got.deaths[0].At, got.deaths[0].Seen)
		}
	}
}

func TestContainerIsTheOneAskedForOrTheOnlyOneThatItCanBe(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		have  []string
		asked string
		want  string
	}{
		{"Flink's native mode", []string{"logs", "flink-main-container"}, "", "flink-main-container"},
		{"Flink's examples", []string{"jobmanager", "logs"}, "", "jobmanager"},
		{"the only other one", []string{"flink-ha", "main"}, "", "main"},
		{"the one asked for", []string{"jobmanager", "main"}, "main", "main"},
		{"the one asked for is not there", []string{"jobmanager"}, "main", ""},
		{"it cannot be told", []string{"a", "b"}, "", ""},
	} {
		pod := &corev1.Pod{}
		for _, n := range tt.have {
			pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: n})
		}
		got, err := containerOf(pod, tt.asked)
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%s: %q, %v; want %q", tt.name, got, err, tt.want)
		}
	}
}

func TestAnotherPodUnderTheSameNameSaysNothing(t *testing.T) {
	t.Parallel()
	w := New(Options{Pod: "jm-0", Namespace: "default"})
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "1"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main"}}},
		Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "main", ContainerID: "c://1", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}}}
	if e, _ := w.take(pod); len(e.Alive) != 1 {
		t.Fatalf("evidence %+v, want the running container", e)
	}
	pod.UID = "2"
	pod.Status.ContainerStatuses[0].State = corev1.ContainerState{Terminated: terminated("c://1", nil)}
	if e, deaths := w.take(pod); len(e.Alive) > 0 || len(deaths) > 0 || e.Problem == "" {
		t.Errorf("evidence %+v, deaths %v; want a problem and nothing else", e, deaths)
	}
}

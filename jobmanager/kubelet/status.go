// Package kubelet takes the kubelet's word for the life and death of this pod's
// JobManager container, from the status of this pod alone. It is the proof that
// is left where the JobManager's process cannot be seen.
//
// The status may lag behind what happens. So a container counts as dead only when
// its own termination is told, with a time and a reason that the kubelet knows; a
// container that has merely vanished from the status proves nothing.
package kubelet

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"flink-ha-sidecar/leader"
)

// The names that a JobManager's container usually has: that of Flink's native
// Kubernetes mode and its operator, and that of Flink's examples.
var usualNames = []string{"flink-main-container", "jobmanager"}

// ownName is this sidecar's container where it is not a native sidecar.
const ownName = "flink-ha"

// statusUnknown is the reason that the kubelet gives when it has lost track of a
// container: nobody saw it end (kubelet, convertToAPIContainerStatuses).
const statusUnknown = "ContainerStatusUnknown"

// containerOf finds the JobManager's container: the one asked for, else one with
// a usual name, else the only one there is beside this sidecar.
func containerOf(pod *corev1.Pod, asked string) (string, error) {
	var names []string
	for _, c := range pod.Spec.Containers {
		if c.Name != ownName {
			names = append(names, c.Name)
		}
	}
	if asked != "" {
		if slices.Contains(names, asked) {
			return asked, nil
		}
		return "", fmt.Errorf("pod %s has no container %q (--container), it has %s", pod.Name, asked, strings.Join(names, ", "))
	}
	for _, usual := range usualNames {
		if slices.Contains(names, usual) {
			return usual, nil
		}
	}
	if len(names) == 1 {
		return names[0], nil
	}
	return "", fmt.Errorf("which container of pod %s is the JobManager's? give one of %s with --container", pod.Name, strings.Join(names, ", "))
}

// word is what one status says of one container.
type word struct {
	running   leader.Process
	started   time.Time
	isRunning bool
	deaths    []leader.Death
}

// read takes the word out of a pod's status.
func read(pod *corev1.Pod, container string, seen time.Time) word {
	var w word
	for _, cs := range pod.Status.ContainerStatuses {
		if cs.Name != container {
			continue
		}
		if r := cs.State.Running; r != nil && cs.ContainerID != "" {
			w.running, w.started, w.isRunning = leader.Process{ContainerID: cs.ContainerID}, r.StartedAt.Time, true
		}
		for _, t := range []*corev1.ContainerStateTerminated{cs.State.Terminated, cs.LastTerminationState.Terminated} {
			if d, proven := death(t, seen); proven {
				w.deaths = append(w.deaths, d)
			}
		}
	}
	return w
}

// death turns a termination into a proof, if it is one. Its time is told in whole
// seconds, cut off: the container ended within the second after it, which is what
// leader.Rules.Slack allows for.
func death(t *corev1.ContainerStateTerminated, seen time.Time) (leader.Death, bool) {
	if t == nil || t.ContainerID == "" || t.FinishedAt.IsZero() || t.Reason == statusUnknown {
		return leader.Death{}, false
	}
	return leader.Death{
		Process: leader.Process{ContainerID: t.ContainerID},
		At:      t.FinishedAt.Time, Seen: seen, Proof: leader.ProofContainerStatus,
	}, true
}

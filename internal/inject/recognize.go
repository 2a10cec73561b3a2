package inject

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"flink-ha-sidecar/internal/manifest"
	"flink-ha-sidecar/jobmanager"
)

const (
	kindDeployment      = "Deployment"
	kindFlinkDeployment = "FlinkDeployment"
)

// podKinds are the kinds that hold a pod template, or are a pod.
var podKinds = []string{kindDeployment, "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "Pod"}

// podPath is where the pod of each kind is.
func podPath(kind string) []string {
	switch kind {
	case "Pod":
		return nil
	case "CronJob":
		return []string{"spec", "jobTemplate", "spec", "template"}
	}
	return []string{"spec", "template"}
}

// role is what a container runs.
type role int

const (
	roleUnknown role = iota
	roleJobManager
	roleTaskManager
)

// jobManagerWords are what the official image's entry point and Flink's scripts
// take for a JobManager, and taskManagerWords for a TaskManager; main classes are
// looked for beside them.
var (
	jobManagerWords  = []string{"jobmanager", "standalone-job", "jobmanager.sh", "standalone-job.sh", "kubernetes-jobmanager.sh"}
	taskManagerWords = []string{"taskmanager", "taskmanager.sh", "kubernetes-taskmanager.sh",
		"org.apache.flink.runtime.taskexecutor.TaskManagerRunner", "org.apache.flink.kubernetes.taskmanager.KubernetesTaskExecutorRunner"}
)

// words are the words of a container's command and arguments; an argument may be
// a whole shell script.
func words(container *yaml.Node) []string {
	var all []string
	for _, text := range append(manifest.Texts(container, "command"), manifest.Texts(container, "args")...) {
		all = append(all, strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n\"';&|", r) })...)
	}
	return all
}

// roleOf goes by the first word that tells.
func roleOf(container *yaml.Node) role {
	for _, w := range words(container) {
		switch base := path.Base(w); {
		case slices.Contains(jobManagerWords, base), slices.Contains(jobmanager.EntryPoints, w):
			return roleJobManager
		case slices.Contains(taskManagerWords, base), slices.Contains(taskManagerWords, w):
			return roleTaskManager
		}
	}
	return roleUnknown
}

// labelRole goes by the label "component" of Flink's examples, its native mode and
// the operator, and by Kubernetes' recommended one.
func labelRole(o, pod *yaml.Node) role {
	for _, labels := range []*yaml.Node{manifest.Get(pod, "metadata", "labels"), manifest.Get(o, "metadata", "labels")} {
		for _, key := range []string{"component", "app.kubernetes.io/component"} {
			switch strings.ToLower(manifest.Text(labels, key)) {
			case "jobmanager":
				return roleJobManager
			case "taskmanager":
				return roleTaskManager
			}
		}
	}
	return roleUnknown
}

// usualNames are the names of a JobManager's container: Flink's examples', and
// native mode's. A TaskManager's is called like the second as well.
var usualNames = []string{"jobmanager", "flink-main-container"}

// jobManagerOf finds the JobManager's container of a pod; nil if the pod is
// somebody else's.
func (r *run) jobManagerOf(o, pod *yaml.Node) (*yaml.Node, error) {
	containers := ownContainers(pod)
	byRole := map[role][]*yaml.Node{}
	for _, c := range containers {
		byRole[roleOf(c)] = append(byRole[roleOf(c)], c)
	}
	label := labelRole(o, pod)
	named := r.Deployment != "" // object has compared the name
	var candidates []*yaml.Node
	switch {
	case len(byRole[roleJobManager]) > 0:
		candidates = byRole[roleJobManager]
	case label == roleTaskManager, len(byRole[roleTaskManager]) > 0 && !named:
		return nil, nil
	case label == roleJobManager, named:
		candidates = byUsualName(byRole[roleUnknown])
	default:
		if i := manifest.IndexNamed(containers, usualNames[0]); i >= 0 {
			return containers[i], nil
		}
		return nil, nil
	}
	if r.Container != "" {
		if i := manifest.IndexNamed(containers, r.Container); i >= 0 {
			return containers[i], nil
		}
		return nil, fmt.Errorf("it has no container %q (--container), it has %s", r.Container, names(containers))
	}
	switch len(candidates) {
	case 0:
		return nil, errors.New("it has no container that could be the JobManager's")
	case 1:
		return candidates[0], nil
	}
	return nil, fmt.Errorf("which of its containers is the JobManager's? give one of %s with --container", names(candidates))
}

// byUsualName narrows containers down to the one with a usual name, if there is.
func byUsualName(containers []*yaml.Node) []*yaml.Node {
	for _, name := range usualNames {
		if i := manifest.IndexNamed(containers, name); i >= 0 {
			return containers[i : i+1]
		}
	}
	return containers
}

// ownContainers are a pod's, without what was added.
func ownContainers(pod *yaml.Node) []*yaml.Node {
	return slices.DeleteFunc(slices.Clone(manifest.List(pod, "spec", "containers")), isOurs)
}

func isOurs(element *yaml.Node) bool {
	name := manifest.Text(element, "name")
	return name == sidecarName || name == installName
}

func names(list []*yaml.Node) string {
	var all []string
	for _, e := range list {
		all = append(all, manifest.Text(e, "name"))
	}
	return strings.Join(all, ", ")
}

// refuseOther refuses a JobManager that is not in a Deployment, and passes by
// whatever else there is.
func (r *run) refuseOther(o *yaml.Node, kind string) error {
	if r.Remove || !slices.Contains(podKinds, kind) || manifest.Get(o, "metadata", "ownerReferences") != nil {
		return nil // what a controller made is changed at its owner
	}
	pod := manifest.Get(o, podPath(kind)...)
	if pod == nil {
		return nil
	}
	if jm, err := r.jobManagerOf(o, pod); jm == nil && err == nil {
		return nil
	}
	return fmt.Errorf("a JobManager in a %s: the sidecar is added to Deployments and FlinkDeployments alone; run it as a Deployment", kind)
}

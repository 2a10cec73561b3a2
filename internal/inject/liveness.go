package inject

import (
	"fmt"
	"path"
	"slices"

	"go.yaml.in/yaml/v3"

	"flink-ha-sidecar/internal/manifest"
)

// livenessCommand asks the sidecar whether this JobManager is stuck.
var livenessCommand = []string{path.Join(binPath, "flink-ha"), "check-jobmanager"}

// jobManagerProbe is the JobManager's own livenessProbe: by it the kubelet ends a
// stuck JobManager.
//
// The command has a limit of its own and answers within 0.3 s, but only once it
// runs. The kubelet counts what exceeds timeoutSeconds as failed, on a node without
// CPU to spare too, where the JobManager is slow and not stuck. A long limit costs a
// real verdict nothing, that comes at once; so it takes two runs of 30 s each
// without any answer before the kubelet's own limit ends a JobManager.
//
// Nothing is stuck before --hung-after (20 s), so the first seconds, when the JVM
// needs the CPU, are left to it. A stopped process never sees SIGTERM, and one that
// has been silent for so long has nothing left to do in its period of grace.
func jobManagerProbe() *probe {
	return &probe{
		Exec:                &execAction{Command: livenessCommand},
		InitialDelaySeconds: 10, PeriodSeconds: 5, TimeoutSeconds: 30, FailureThreshold: 2,
		TerminationGracePeriodSeconds: 1,
	}
}

// livenessOf names a container's probe among what was added.
func livenessOf(container string) string { return "containers/" + container + "/livenessProbe" }

// addLiveness gives the JobManager's container its probe. One that is there is
// somebody's decision, and stays.
func (r *run) addLiveness(p *pod, result *Result) error {
	t := p.template
	theirs := manifest.Get(manifest.Named(t.view, p.jobManager, "spec", "containers"), "livenessProbe")
	if theirs != nil {
		if !slices.Contains(manifest.Texts(theirs, "exec", "command"), livenessCommand[1]) {
			result.Notes = append(result.Notes, fmt.Sprintf(
				"container %s keeps its own livenessProbe, so a stuck JobManager is reported and not ended; for that, remove it, or let it run %s (timeoutSeconds: 30, terminationGracePeriodSeconds: 1)",
				p.jobManager, livenessCommand))
		}
		return nil
	}
	c, _, err := t.container(p.jobManager)
	if err != nil {
		return err
	}
	manifest.Delete(c, "livenessProbe") // a null keeps no place
	manifest.Set(c, "livenessProbe", manifest.Make(jobManagerProbe()))
	t.added = append(t.added, livenessOf(p.jobManager))
	return nil
}

// removeLiveness removes a container's probe if it was added, and is still ours.
func removeLiveness(c *yaml.Node, added []string) {
	if slices.Contains(added, livenessOf(manifest.Text(c, "name"))) &&
		slices.Equal(manifest.Texts(c, "livenessProbe", "exec", "command"), livenessCommand) {
		manifest.Delete(c, "livenessProbe")
	}
}

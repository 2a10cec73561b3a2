package inject

import (
	"errors"
	"fmt"
	"path"
	"slices"

	"go.yaml.in/yaml/v3"

	"flink-ha-sidecar/internal/manifest"
)

// backendVVP is the HA service in which the sidecars elect, and gates start and end
// the JobManagers.
const backendVVP = "vvp-kubernetes"

// entryPoint is the official image's, which a container has that gives no command.
const entryPoint = "/docker-entrypoint.sh"

// commandOf and gateOf name what was added to a container's command: all of it, or
// the gate in front.
func commandOf(container string) string { return "containers/" + container + "/command" }
func gateOf(container string) string    { return "containers/" + container + "/command/gate" }

// addGate lets the JobManager be started by a gate, which is the sidecar's to open.
func (r *run) addGate(p *pod, result *Result) error {
	c, _, err := p.template.container(p.jobManager)
	if err != nil {
		return err
	}
	for _, name := range []string{"livenessProbe", "startupProbe"} {
		if theirs := manifest.Get(c, name); theirs != nil && !slices.Contains(manifest.Texts(theirs, "exec", "command"), livenessCommand[1]) {
			return fmt.Errorf("container %s has a %s of its own: with %s a standby's JobManager does not run, and the kubelet would go on ending it; remove the probe", p.jobManager, name, backendVVP)
		}
	}
	gate := []string{path.Join(binPath, "flink-ha"), "gate"}
	if r.ResumeFrom != "" {
		gate = append(gate, "--resume-from", r.ResumeFrom)
	} else {
		result.Notes = append(result.Notes, "each JobManager begins without state: give --resume-from with the folder of this job's checkpoints, or FLINK_HA_RESUME_COMMAND in its environment")
	}
	gate = append(gate, "--")
	command := manifest.Get(c, "command")
	added := gateOf(p.jobManager)
	if command == nil {
		added = commandOf(p.jobManager)
		command = manifest.Make([]string{entryPoint})
		command.Style = yaml.FlowStyle
		manifest.Set(c, "command", command)
		result.Notes = append(result.Notes, "the gate starts "+entryPoint+", the official image's; if the image has another entry point, set it as command")
	}
	if command.Kind != yaml.SequenceNode {
		return errors.New("the JobManager's command is no list")
	}
	var front []*yaml.Node
	for _, word := range gate {
		front = append(front, manifest.Scalar(word))
	}
	command.Content = append(front, command.Content...)
	p.template.added = append(p.template.added, added)
	return nil
}

// removeGate takes it out of a container's command again.
func removeGate(c *yaml.Node, added []string) {
	name, words := manifest.Text(c, "name"), manifest.Texts(c, "command")
	if len(words) < 2 || words[0] != path.Join(binPath, "flink-ha") || words[1] != "gate" {
		return // somebody else's by now
	}
	command := manifest.Get(c, "command")
	switch end := slices.Index(words, "--"); {
	case slices.Contains(added, commandOf(name)):
		manifest.Delete(c, "command")
	case slices.Contains(added, gateOf(name)) && end >= 0:
		command.Content = command.Content[end+1:]
	}
}

// checkVVP is check for a cluster whose sidecars elect: Flink has no HA service.
func (c *flinkConf) checkVVP(result *Result) error {
	if c.HA.IsSet() && c.HA.Value.String() != "none" {
		return fmt.Errorf("--backend %s contradicts %s: under it Flink runs without an HA service of its own, set high-availability.type: NONE", backendVVP, c.HA)
	}
	c.byFile = false // Flink's file tells nothing of this service
	if name := result.Cluster.ID + "-ha-leader"; c.complete && c.RPCAddress.Value != name {
		result.Notes = append(result.Notes, fmt.Sprintf("jobmanager.rpc.address is %q: the JobManagers come and go, and TaskManagers find them by the Service %s (--services); set it to that name", c.RPCAddress.Value, name))
	}
	return nil
}

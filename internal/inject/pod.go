package inject

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"flink-ha-sidecar/internal/manifest"
)

// binPath is where the JobManager's container finds the program.
var binPath = path.Join(mountPath, "bin")

// pod is a JobManager's pod as far as the sidecar depends on it.
type pod struct {
	template *template
	// jobManager is the name of the JobManager's container.
	jobManager string
	conf       *flinkConf
	cluster    Cluster
	classic    bool
	quality    quality
	// hostNetwork is for pods that Flink itself puts there.
	hostNetwork bool
}

// add puts all of it into the template.
func (r *run) add(p *pod, result *Result) error {
	view := p.template.view
	if manifest.Text(view, "spec", "hostPID") == "true" {
		return fmt.Errorf("hostPID: the sidecar would see the processes of the whole node; remove it")
	}
	if r.SharePIDs && manifest.Text(view, "spec", "shareProcessNamespace") == "false" {
		return fmt.Errorf("shareProcessNamespace is false: remove it, or give --share-pids=false to go by the kubelet's word alone, which comes up to a second later")
	}
	label, err := labelValue(p.cluster.ID)
	if err != nil {
		return err
	}
	if err := r.addToSpec(p, result); err != nil {
		return err
	}
	return p.template.mark(label)
}

// addToSpec adds containers and volume, and what they need of the pod.
func (r *run) addToSpec(p *pod, result *Result) error {
	t := p.template
	if r.SharePIDs && manifest.Text(t.view, "spec", "shareProcessNamespace") != "true" {
		spec, err := manifest.Mapping(t.own, "spec")
		if err != nil {
			return err
		}
		manifest.Set(spec, "shareProcessNamespace", manifest.Make(true))
		t.added = append(t.added, "shareProcessNamespace")
	}
	for _, secret := range r.ImagePullSecrets {
		if manifest.Named(t.view, secret, "spec", "imagePullSecrets") == nil {
			if err := t.append(map[string]string{"name": secret}, "spec", "imagePullSecrets"); err != nil {
				return err
			}
			t.added = append(t.added, "imagePullSecrets/"+secret)
		}
	}
	user := userOf(t.view, p.jobManager, result)
	if err := t.append(r.installer(p, user), "spec", "initContainers"); err != nil {
		return err
	}
	where := "initContainers"
	if p.classic {
		where = "containers"
	}
	if err := t.append(r.sidecar(p, user), "spec", where); err != nil {
		return err
	}
	volume := struct {
		Name     string   `yaml:"name"`
		EmptyDir struct{} `yaml:"emptyDir"`
	}{Name: volumeName}
	if err := t.append(volume, "spec", "volumes"); err != nil {
		return err
	}
	if err := t.appendToContainer(p.jobManager, mount{Name: volumeName, MountPath: mountPath, ReadOnly: true}); err != nil {
		return err
	}
	if p.cluster.Backend == backendVVP {
		if err := r.addGate(p, result); err != nil {
			return err
		}
	}
	return r.addLiveness(p, result)
}

// The parts of a container, in the order in which they are written.
type (
	container struct {
		Name            string    `yaml:"name"`
		Image           string    `yaml:"image"`
		ImagePullPolicy string    `yaml:"imagePullPolicy,omitempty"`
		Args            []string  `yaml:"args,flow"`
		RestartPolicy   string    `yaml:"restartPolicy,omitempty"`
		Env             []any     `yaml:"env,omitempty"`
		Ports           []port    `yaml:"ports,omitempty"`
		StartupProbe    *probe    `yaml:"startupProbe,omitempty"`
		LivenessProbe   *probe    `yaml:"livenessProbe,omitempty"`
		ReadinessProbe  *probe    `yaml:"readinessProbe,omitempty"`
		Resources       resources `yaml:"resources,omitempty"`
		SecurityContext security  `yaml:"securityContext"`
		VolumeMounts    []any     `yaml:"volumeMounts"`
	}
	variable struct {
		Name      string    `yaml:"name"`
		Value     string    `yaml:"value,omitempty"`
		ValueFrom *fieldRef `yaml:"valueFrom,omitempty"`
	}
	fieldRef struct {
		FieldRef struct {
			FieldPath string `yaml:"fieldPath"`
		} `yaml:"fieldRef"`
	}
	port struct {
		Name          string `yaml:"name"`
		ContainerPort int    `yaml:"containerPort"`
	}
	probe struct {
		HTTPGet                       *httpGet    `yaml:"httpGet,omitempty"`
		Exec                          *execAction `yaml:"exec,omitempty"`
		InitialDelaySeconds           int         `yaml:"initialDelaySeconds,omitempty"`
		PeriodSeconds                 int         `yaml:"periodSeconds"`
		TimeoutSeconds                int         `yaml:"timeoutSeconds"`
		FailureThreshold              int         `yaml:"failureThreshold"`
		TerminationGracePeriodSeconds int         `yaml:"terminationGracePeriodSeconds,omitempty"`
	}
	httpGet struct {
		Path string `yaml:"path"`
		Port string `yaml:"port"`
	}
	execAction struct {
		Command []string `yaml:"command,flow"`
	}
	mount struct {
		Name      string `yaml:"name"`
		MountPath string `yaml:"mountPath"`
		SubPath   string `yaml:"subPath,omitempty"`
		ReadOnly  bool   `yaml:"readOnly,omitempty"`
	}
	// security is what the restricted Pod Security Standard asks of a container,
	// and a read-only root beside it.
	security struct {
		RunAsUser                int64    `yaml:"runAsUser"`
		RunAsGroup               int64    `yaml:"runAsGroup,omitempty"`
		RunAsNonRoot             bool     `yaml:"runAsNonRoot"`
		ReadOnlyRootFilesystem   bool     `yaml:"readOnlyRootFilesystem"`
		AllowPrivilegeEscalation bool     `yaml:"allowPrivilegeEscalation"`
		Capabilities             drop     `yaml:"capabilities"`
		SeccompProfile           typeOnly `yaml:"seccompProfile"`
	}
	drop struct {
		Drop []string `yaml:"drop,flow"`
	}
	typeOnly struct {
		Type string `yaml:"type"`
	}
)

func newProbe(path string, period, timeout, failures int) *probe {
	return &probe{HTTPGet: &httpGet{path, portName}, PeriodSeconds: period, TimeoutSeconds: timeout, FailureThreshold: failures}
}

func fromField(name, field string) variable {
	v := variable{Name: name, ValueFrom: &fieldRef{}}
	v.ValueFrom.FieldRef.FieldPath = field
	return v
}

// base is what both containers of ours have in common.
func (r *run) base(p *pod, name string, user owner) container {
	c := container{
		Name: name, Image: r.Image, ImagePullPolicy: r.ImagePullPolicy,
		Resources: p.quality.resources(r.CPU, r.Memory),
		SecurityContext: security{
			RunAsUser: user.user, RunAsGroup: user.group, RunAsNonRoot: true, ReadOnlyRootFilesystem: true,
			Capabilities: drop{[]string{"ALL"}}, SeccompProfile: typeOnly{"RuntimeDefault"},
		},
		VolumeMounts: []any{mount{Name: volumeName, MountPath: mountPath}},
	}
	return c
}

// installer copies the program to where the JobManager's container finds it.
func (r *run) installer(p *pod, user owner) container {
	c := r.base(p, installName, user)
	c.Args = []string{"install", binPath}
	return c
}

// sidecar is the container that all this is about.
func (r *run) sidecar(p *pod, user owner) container {
	c := r.base(p, sidecarName, user)
	c.Args = []string{"run"}
	if !p.classic {
		c.RestartPolicy = "Always"
	}
	c.Env = r.environment(p)
	c.Ports = []port{{Name: portName, ContainerPort: r.Port}}
	// Only the loop itself can fail the first two: an API server that is away, or a
	// JobManager that is dead, never restarts a sidecar.
	c.StartupProbe = newProbe("/startupz", 1, 2, 60)
	c.LivenessProbe = newProbe("/livez", 10, 3, 3)
	c.ReadinessProbe = newProbe("/readyz", 5, 3, 2)
	for _, m := range p.conf.mounts {
		c.VolumeMounts = append(c.VolumeMounts, mount{
			Name: manifest.Text(m, "name"), MountPath: manifest.Text(m, "mountPath"), SubPath: manifest.Text(m, "subPath"), ReadOnly: true,
		})
	}
	return c
}

// owner is the user that a container runs as; group 0 leaves it to the runtime.
type owner struct{ user, group int64 }

// flinkUser is that of the official image.
const flinkUser = 9999

// userOf is the JobManager's, so that the sidecar may read its environment and
// its files.
func userOf(view *yaml.Node, jm string, result *Result) owner {
	context := func(key string) (int64, bool) {
		for _, at := range []*yaml.Node{manifest.Named(view, jm, "spec", "containers"), manifest.Get(view, "spec")} {
			if n, err := strconv.ParseInt(manifest.Text(at, "securityContext", key), 10, 64); err == nil {
				return n, true
			}
		}
		return 0, false
	}
	user, known := context("runAsUser")
	group, _ := context("runAsGroup")
	switch {
	case !known && group == 0:
		return owner{flinkUser, flinkUser}
	case !known:
		return owner{flinkUser, group}
	case user == 0:
		result.Notes = append(result.Notes, "the JobManager runs as root; the sidecar runs as 9999, which cannot read the environment of the JobManager's process")
		return owner{flinkUser, flinkUser}
	}
	return owner{user, group}
}

// labelValue makes a cluster id a label's value: with ZooKeeper HA it is a path.
func labelValue(id string) (string, error) {
	value := strings.ReplaceAll(strings.Trim(id, "/"), "/", "-")
	for i, c := range value {
		alphanumeric := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		edge := i == 0 || i == len(value)-1
		if !alphanumeric && (edge || !strings.ContainsRune("-_.", c)) {
			return "", fmt.Errorf("cluster id %q cannot be a label's value (letters, digits, '-', '_', '.')", id)
		}
	}
	if value == "" || len(value) > 63 {
		return "", fmt.Errorf("cluster id %q cannot be a label's value (1 to 63 characters)", id)
	}
	return value, nil
}

package inject

import (
	"errors"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"flink-ha-sidecar/internal/flinkconf"
	"flink-ha-sidecar/internal/manifest"
)

// operatorKnowsNative: the CRD of the operator knows initContainers[].restartPolicy
// since 1.9; below, the API server drops it, and the sidecar would be an init
// container that never ends.
func (o Options) operatorKnowsNative() (bool, error) {
	if o.OperatorVersion == "" {
		return true, nil
	}
	major, minor, ok := version(o.OperatorVersion)
	if !ok {
		return false, errors.New("--operator-version " + o.OperatorVersion + " is no version, as in 1.8.0")
	}
	return major > 1 || (major == 1 && minor >= 9), nil
}

// flinkDeployment changes a FlinkDeployment: the pod template of its JobManager.
func (r *run) flinkDeployment(o *yaml.Node) (*Result, error) {
	result := &Result{Object: nameOf(o)}
	own := []string{"spec", "jobManager", "podTemplate"}
	found := remove(manifest.Get(o, own...))
	if found {
		manifest.Prune(o, own...)
	}
	switch {
	case r.Remove && !found:
		return nil, nil
	case r.Remove:
		return result, nil
	}
	if r.Container != "" && r.Container != flinkContainer && r.Deployment != "" {
		return nil, errors.New("--container " + r.Container + ": in a FlinkDeployment the JobManager's container is always " + flinkContainer)
	}
	if r.Backend == backendVVP {
		return nil, errors.New("--backend " + backendVVP + ": Flink itself writes the command of a FlinkDeployment's JobManager, where no gate can be put; run it as a Deployment")
	}
	conf, err := r.operatorConf(o)
	if err != nil {
		return nil, err
	}
	result.Cluster.Pods = manifest.Text(o, "metadata", "namespace")
	result.Cluster.Workload = manifest.Text(o, "metadata", "name")
	if err := conf.check(r, result); err != nil {
		return nil, err
	}
	native, err := r.operatorKnowsNative()
	if err != nil {
		return nil, err
	}
	t, err := operatorTemplate(o, conf, result)
	if err != nil {
		return nil, err
	}
	result.Cluster.ServiceAccount = first(manifest.Text(o, "spec", "serviceAccount"), serviceAccount(t.view))
	p := &pod{
		template: t, jobManager: flinkContainer, conf: &conf.flinkConf, cluster: result.Cluster, classic: r.Classic || !native,
		quality:     qualityOf(t.view, flinkContainer, conf.quality(o)),
		hostNetwork: strings.EqualFold(conf.texts["kubernetes.hostnetwork.enabled"], "true"),
	}
	return result, r.add(p, result)
}

// haOff is how a FlinkDeployment without HA is refused: the operator may have
// defaults of its own, so the flag can say otherwise.
const haOff = "spec.flinkConfiguration sets no high-availability.type; set it, or give --backend if the operator's default configuration does"

// flinkContainer is Flink's name of the main container (Constants.MAIN_CONTAINER_NAME).
const flinkContainer = "flink-main-container"

// operatorConf is a FlinkDeployment's configuration.
type operatorConf struct {
	flinkConf
	texts map[string]string
}

// confVolume is the volume with Flink's configuration. Flink adds it to the pod by
// itself, in native mode and for the operator's standalone mode, after the pod
// template was read (Constants.FLINK_CONF_VOLUME, FlinkConfMountDecorator): so a
// template may mount it, and must not define it.
const confVolume = "flink-config-volume"

func (r *run) operatorConf(o *yaml.Node) (*operatorConf, error) {
	name := manifest.Text(o, "metadata", "name")
	if name == "" {
		return nil, errors.New("it has no metadata.name, which is its cluster id")
	}
	file := flinkconf.File{Values: map[string]flinkconf.Value{}}
	if node := manifest.Get(o, "spec", "flinkConfiguration"); node != nil {
		raw, err := yaml.Marshal(node)
		if err != nil {
			return nil, err
		}
		if file, err = flinkconf.Parse("spec.flinkConfiguration", raw); err != nil {
			return nil, err
		}
	}
	c := &operatorConf{texts: make(map[string]string)}
	for key, value := range file.Values {
		c.texts[key] = value.Text
	}
	// The operator sets both from the object's name and namespace.
	file.Values["kubernetes.cluster-id"] = flinkconf.Value{Text: name, From: "metadata.name"}
	if ns := manifest.Text(o, "metadata", "namespace"); ns != "" {
		file.Values["kubernetes.namespace"] = flinkconf.Value{Text: ns, From: "metadata.namespace"}
	} else {
		delete(file.Values, "kubernetes.namespace")
	}
	// In both modes JobManagers advertise their pod's IP address.
	file.Values["jobmanager.rpc.address"] = flinkconf.Value{Text: "$(POD_IP)", From: "the operator"}
	var err error
	if c.Config, err = flinkconf.Effective(file, nil, nil); err != nil {
		return nil, err
	}
	if !c.HA.IsSet() && r.Backend == "" {
		return nil, errors.New(haOff)
	}
	if c.HA.Value == flinkconf.HAZooKeeper && !c.ZooKeeper.ClusterID.IsSet() {
		c.ZooKeeper.ClusterID = c.ClusterID // Flink takes it over (KubernetesClusterDescriptor)
	}
	c.dir, c.byFile = first(c.texts["kubernetes.flink.conf.dir"], defaultConfDir), true
	c.mounts = []*yaml.Node{manifest.Make(mount{Name: confVolume, MountPath: c.dir})}
	return c, nil
}

// quality is the class of the container that Flink makes: by default its limits
// are its requests (kubernetes.jobmanager.*.limit-factor is 1).
func (c *operatorConf) quality(o *yaml.Node) quality {
	for _, key := range []string{"kubernetes.jobmanager.cpu.limit-factor", "kubernetes.jobmanager.memory.limit-factor"} {
		if f := c.texts[key]; f != "" && !same(f, "1") {
			return burstable
		}
	}
	given := manifest.Get(o, "spec", "jobManager", "resources")
	for _, name := range []string{"cpu", "memory"} {
		request, limit := manifest.Text(given, "requests", name), manifest.Text(given, "limits", name)
		if request != "" && limit != "" && !same(request, limit) {
			return burstable
		}
	}
	return guaranteed
}

// version takes major and minor out of a version such as "1.8.0" or "v1.10".
func version(text string) (major, minor int, ok bool) {
	parts := strings.Split(strings.TrimPrefix(text, "v"), ".")
	if len(parts) < 2 {
		return 0, 0, false
	}
	major, errMajor := strconv.Atoi(parts[0])
	minor, errMinor := strconv.Atoi(parts[1])
	return major, minor, errMajor == nil && errMinor == nil
}

package inject

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"strings"

	"go.yaml.in/yaml/v3"

	"flink-ha-sidecar/internal/flinkconf"
	"flink-ha-sidecar/internal/manifest"
)

// defaultConfDir is where the official image has Flink's configuration.
const defaultConfDir = "/opt/flink/conf"

// confFiles are the names of Flink's configuration, the one that Flink 2 reads
// first.
var confFiles = []string{"config.yaml", "flink-conf.yaml"}

// flinkConf is what the manifests tell of a JobManager's configuration.
type flinkConf struct {
	flinkconf.Config
	// dir is where the JobManager's container has the files.
	dir string
	// mounts are those of the JobManager's container at dir or below.
	mounts []*yaml.Node
	// complete: the file was in the input, so what is not set is really not set.
	complete bool
	// missing says why it is not complete.
	missing string
	// byFile: the sidecar can read ID and HA service from its mounts, by itself.
	byFile bool
}

// configMaps collects the data of every ConfigMap of the input.
func configMaps(files []*manifest.File) map[string]*yaml.Node {
	found := make(map[string]*yaml.Node)
	for _, f := range files {
		for _, d := range f.Documents {
			if d.Body() == nil {
				continue
			}
			for _, o := range objects(d.Body()) {
				if data := manifest.Get(o, "data"); data != nil && manifest.Text(o, "kind") == "ConfigMap" {
					found[manifest.Text(o, "metadata", "namespace")+"/"+manifest.Text(o, "metadata", "name")] = data
				}
			}
		}
	}
	return found
}

// confOf reads what a Deployment's JobManager runs with: the files that it mounts,
// its environment, its arguments.
func (r *run) confOf(o, pod, jm *yaml.Node) (*flinkConf, error) {
	env := environment(jm)
	argv := javaArguments(jm)
	c := &flinkConf{dir: first(flinkconf.ConfigDir(argv), env["FLINK_CONF_DIR"], defaultConfDir)}
	for _, m := range manifest.List(jm, "volumeMounts") {
		if at := path.Clean(manifest.Text(m, "mountPath")); at == c.dir || strings.HasPrefix(at, c.dir+"/") {
			c.mounts = append(c.mounts, m)
		}
	}
	file, err := r.confFile(o, pod, c)
	if err != nil {
		return nil, err
	}
	if c.Config, err = flinkconf.Effective(file, argv, env); err != nil {
		return nil, err
	}
	alone, err := flinkconf.Effective(file, nil, nil)
	if err != nil {
		return nil, err
	}
	c.byFile = c.complete && alone.HA.IsSet() && alone.HA.Value == c.HA.Value && alone.ClusterID.Value == c.ClusterID.Value
	return c, nil
}

// confFile finds the file behind the mounts in a ConfigMap of the input.
func (r *run) confFile(o, pod *yaml.Node, c *flinkConf) (flinkconf.File, error) {
	if len(c.mounts) == 0 {
		c.missing = "its container mounts nothing at " + c.dir
	}
	for _, m := range c.mounts {
		volume := manifest.Named(pod, manifest.Text(m, "name"), "spec", "volumes")
		for _, source := range append(manifest.List(volume, "projected", "sources"), volume) {
			source = manifest.Get(source, "configMap")
			if source == nil {
				continue
			}
			name := manifest.Text(source, "name")
			data, known := r.maps[manifest.Text(o, "metadata", "namespace")+"/"+name]
			if !known {
				c.missing = fmt.Sprintf("ConfigMap %q, mounted at %s, is not in the input", name, manifest.Text(m, "mountPath"))
				continue
			}
			for _, file := range confFiles {
				key := keyOf(source, m, c.dir, file)
				if text := manifest.Get(data, key); text != nil {
					c.complete, c.missing = true, ""
					return flinkconf.Parse("ConfigMap "+name+"/"+file, []byte(text.Value))
				}
			}
		}
	}
	if c.missing == "" {
		c.missing = "no ConfigMap of the input is mounted at " + c.dir + " with a config.yaml or flink-conf.yaml in it"
	}
	return flinkconf.File{Values: map[string]flinkconf.Value{}}, nil
}

// keyOf is the key of a ConfigMap that a mount shows as this file; "" if it does
// not.
func keyOf(source, mount *yaml.Node, dir, file string) string {
	wanted := file
	if sub := manifest.Text(mount, "subPath"); sub != "" {
		if path.Clean(manifest.Text(mount, "mountPath")) != path.Join(dir, file) {
			return ""
		}
		wanted = sub
	}
	items := manifest.List(source, "items")
	if items == nil {
		return wanted
	}
	for _, item := range items {
		if manifest.Text(item, "path") == wanted {
			return manifest.Text(item, "key")
		}
	}
	return ""
}

// environment is the plain values of a container's variables.
func environment(container *yaml.Node) map[string]string {
	env := make(map[string]string)
	for _, e := range manifest.List(container, "env") {
		env[manifest.Text(e, "name")] = manifest.Text(e, "value")
	}
	return env
}

// javaArguments puts the arguments behind the word that starts a JobManager into
// the shape of the command line that Flink's scripts make of them.
func javaArguments(container *yaml.Node) []string {
	argv := []string{"java", "JobManager"}
	all := words(container)
	for i, w := range all {
		if roleOf(&yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{manifest.Scalar("args"), manifest.Make([]string{w})}}) == roleJobManager {
			rest := all[i+1:]
			for len(rest) > 0 && (rest[0] == "start-foreground" || rest[0] == "start") {
				rest = rest[1:]
			}
			return append(argv, rest...)
		}
	}
	return argv
}

// check refuses what no sidecar can watch over, and notes what it can only look at.
func (c *flinkConf) check(r *run, result *Result) error {
	backend := r.Backend
	switch c.HA.Value {
	case flinkconf.HAVVP:
		return fmt.Errorf("%s: Flink itself has no such HA service. Either set high-availability.type: NONE and give --backend %s: then the sidecars elect; or move to Flink's own, flink-ha migrate shows how", c.HA, backendVVP)
	case flinkconf.HAKubernetes, flinkconf.HAZooKeeper:
		backend = c.HA.Value.String()
		if r.Backend == backendVVP {
			return c.checkVVP(result)
		}
		if r.Backend != "" && r.Backend != backend {
			return fmt.Errorf("--backend %s contradicts %s", r.Backend, c.HA)
		}
	case flinkconf.HANone:
		if r.Backend != backendVVP && c.HA.IsSet() || c.complete && r.Backend == "" {
			return errors.New("the HA service of Flink is off: set high-availability.type, without it there is no lock to watch over")
		}
	default:
		return fmt.Errorf("%s: the sidecar watches over kubernetes and zookeeper alone", c.HA)
	}
	id := c.ClusterID
	if backend == flinkconf.HAZooKeeper.String() {
		id = c.ZooKeeper.ClusterID
		if !c.complete && !id.IsSet() {
			id.Value = "" // Flink's default says nothing where the file was not seen
		}
	}
	if r.ClusterID != "" && id.IsSet() && id.Value != r.ClusterID {
		return fmt.Errorf("--cluster-id %s contradicts %s", r.ClusterID, id)
	}
	result.Cluster.ID, result.Cluster.Backend = first(r.ClusterID, id.Value), backend
	if result.Cluster.ID == "" {
		why := ""
		if c.missing != "" {
			why = " (" + c.missing + ")"
		}
		return fmt.Errorf("no cluster id: kubernetes.cluster-id is not set in what can be seen%s; set it, or give --cluster-id", why)
	}
	if r.Namespace != "" && c.Namespace.IsSet() && c.Namespace.Value != r.Namespace {
		return fmt.Errorf("--namespace %s contradicts %s", r.Namespace, c.Namespace)
	}
	result.Cluster.Namespace = first(r.Namespace, c.Namespace.Value)
	if !c.complete && !c.Namespace.IsSet() {
		result.Cluster.Namespace = r.Namespace // Flink's default says nothing where the file was not seen
	}
	if backend == backendVVP {
		return c.checkVVP(result)
	}
	c.noteAddress(result)
	return nil
}

// noteAddress tells of an address that is a name: the sidecar would observe only.
func (c *flinkConf) noteAddress(result *Result) {
	address := c.RPCAddress
	if !c.complete || strings.Contains(address.Value, "$") { // set by the environment
		return
	}
	if _, err := netip.ParseAddr(strings.Trim(address.Value, "[]")); err != nil {
		result.Notes = append(result.Notes, fmt.Sprintf(
			"jobmanager.rpc.address is %q, a name: the sidecar will observe and free nothing until each JobManager advertises its pod's IP address; add -Djobmanager.rpc.address=$(POD_IP) to its arguments (before Flink 2.0: --host $(POD_IP))", address.Value))
	}
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

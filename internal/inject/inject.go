// Package inject adds the sidecar to the manifests of Flink clusters, and takes
// it out again.
package inject

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"flink-ha-sidecar/internal/manifest"
)

// Options says what is added.
type Options struct {
	// Remove takes out what an earlier run added, and adds nothing.
	Remove bool

	Image            string
	ImagePullPolicy  string
	ImagePullSecrets []string
	// Classic adds an ordinary container in place of a native sidecar.
	Classic bool
	// OperatorVersion is that of the Flink Kubernetes operator, as in "1.8.0"; empty:
	// one that knows native sidecars.
	OperatorVersion string
	// SharePIDs lets the sidecar see the JobManager's process.
	SharePIDs bool
	CPU       string
	Memory    string
	Port      int

	// Deployment, Container, ClusterID, Backend and Namespace answer what a
	// manifest leaves open.
	Deployment string
	Container  string
	ClusterID  string
	Backend    string
	Namespace  string

	// ResumeFrom is where a JobManager under a gate finds what to go on from.
	ResumeFrom string
}

// Names of what is added to a pod.
const (
	sidecarName = "flink-ha"
	installName = "flink-ha-install"
	volumeName  = "flink-ha"
	portName    = "flink-ha"
	// LabelCluster is on the pods of one Flink cluster.
	LabelCluster = "flink-ha/cluster"
	// annotationAdded lists what was added that does not carry our name.
	annotationAdded = "flink-ha/added"
	// mountPath is where the volume is: state and socket of the sidecar, and below
	// bin the program for the JobManager's container.
	mountPath = "/run/flink-ha"
)

// Result is one manifest that the sidecar was added to, or taken out of.
type Result struct {
	// Object is for people: "Deployment prod/jobmanager".
	Object  string
	Changed bool
	// Cluster is what was learned of the Flink cluster; empty with Remove.
	Cluster Cluster
	// Notes are lines that people should read.
	Notes []string
}

// Cluster is what the rights of a sidecar depend on.
type Cluster struct {
	ID string
	// Namespace is the lock's, empty if only the pod's is known; Pods is the pod's
	// own, empty if the manifest has none.
	Namespace string
	Pods      string
	// Backend is "kubernetes", "zookeeper" or "vvp-kubernetes"; empty if the manifests
	// do not tell.
	Backend        string
	ServiceAccount string
	// Workload is the name of the Deployment, which Flink and its operator call like
	// the FlinkDeployment.
	Workload string
}

// Inject changes the documents of all files. What it cannot do it refuses by name,
// and then nothing may be written.
func Inject(files []*manifest.File, o Options) ([]Result, error) {
	run := &run{Options: o, maps: configMaps(files)}
	var results []Result
	for _, f := range files {
		for _, d := range f.Documents {
			found, err := run.document(d)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", f.Name, err)
			}
			results = append(results, found...)
		}
	}
	if o.Deployment != "" && len(results) == 0 {
		return nil, fmt.Errorf("no Deployment or FlinkDeployment %q in the input (--deployment)", o.Deployment)
	}
	return results, nil
}

// run is one call of Inject.
type run struct {
	Options
	// maps is the data of the ConfigMaps of the input, by namespace/name.
	maps map[string]*yaml.Node
}

// document changes one document, or the items of a list.
func (r *run) document(d *manifest.Document) ([]Result, error) {
	if d.Body() == nil || !r.mayConcern(d.Body()) {
		return nil, nil
	}
	var results []Result
	changed, err := d.Edit(func(body *yaml.Node) error {
		for _, o := range objects(body) {
			result, err := r.object(o)
			if err != nil {
				return fmt.Errorf("%s: %w", nameOf(o), err)
			}
			if result != nil {
				results = append(results, *result)
			}
		}
		return nil
	})
	for i := range results {
		results[i].Changed = changed
	}
	return results, err
}

// objects are the items of a List, else the object itself.
func objects(body *yaml.Node) []*yaml.Node {
	if kind := manifest.Text(body, "kind"); strings.HasSuffix(kind, "List") && manifest.Get(body, "items") != nil {
		return manifest.List(body, "items")
	}
	return []*yaml.Node{body}
}

// mayConcern keeps the documents that cannot hold a JobManager from being looked
// at any closer.
func (r *run) mayConcern(body *yaml.Node) bool {
	return slices.ContainsFunc(objects(body), func(o *yaml.Node) bool {
		kind := manifest.Text(o, "kind")
		return kind == kindFlinkDeployment || slices.Contains(podKinds, kind)
	})
}

// object changes one object; nil if it is no JobManager's.
func (r *run) object(o *yaml.Node) (*Result, error) {
	if r.Deployment != "" && manifest.Text(o, "metadata", "name") != r.Deployment {
		return nil, nil
	}
	switch kind := manifest.Text(o, "kind"); kind {
	case kindFlinkDeployment:
		return r.flinkDeployment(o)
	case kindDeployment:
		return r.deployment(o)
	default:
		return nil, r.refuseOther(o, kind)
	}
}

// nameOf is kind namespace/name, for people.
func nameOf(o *yaml.Node) string {
	name := manifest.Text(o, "metadata", "name")
	if ns := manifest.Text(o, "metadata", "namespace"); ns != "" {
		name = ns + "/" + name
	}
	return manifest.Text(o, "kind") + " " + name
}

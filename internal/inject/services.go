package inject

import (
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/validation"
)

// The parts of a Service, in the order in which they are written.
type (
	service struct {
		APIVersion string      `yaml:"apiVersion"`
		Kind       string      `yaml:"kind"`
		Metadata   metadata    `yaml:"metadata"`
		Spec       serviceSpec `yaml:"spec"`
	}
	serviceSpec struct {
		ClusterIP       string            `yaml:"clusterIP,omitempty"`
		PublishNotReady bool              `yaml:"publishNotReadyAddresses,omitempty"`
		Selector        map[string]string `yaml:"selector,omitempty"`
		Ports           []servicePort     `yaml:"ports"`
	}
	servicePort struct {
		Name     string `yaml:"name"`
		Port     int    `yaml:"port"`
		Protocol string `yaml:"protocol"`
	}
)

// restPort is the leader Service's, whatever the leader's own is: that one is in the
// EndpointSlice.
const restPort = 8081

// WriteServices writes two Services for each cluster: one whose name reaches the
// leader's REST, and one by which followers find the sidecars.
func WriteServices(w io.Writer, clusters []Cluster, sidecarPort int) error {
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	e.CompactSeqIndent()
	written := make(map[string]bool)
	for _, c := range clusters {
		pair, err := c.services(sidecarPort)
		if err != nil {
			return err
		}
		for _, s := range pair {
			key := s.Metadata.Namespace + "/" + s.Metadata.Name
			if written[key] {
				continue
			}
			written[key] = true
			if err := e.Encode(s); err != nil {
				return fmt.Errorf("write services: %w", err)
			}
		}
	}
	return e.Close()
}

// services are a cluster's.
func (c Cluster) services(sidecarPort int) ([]service, error) {
	label, err := labelValue(c.ID)
	if err != nil {
		return nil, err
	}
	of := func(suffix, namespace string, spec serviceSpec) service {
		return service{"v1", "Service", metadata{Name: c.object() + suffix, Namespace: namespace, Labels: ownLabels()}, spec}
	}
	leader := serviceSpec{Ports: []servicePort{{"rest", restPort, "TCP"}}}
	if c.Backend == backendVVP {
		leader.ClusterIP = "None" // TaskManagers need all of the leader's ports by this name
	}
	both := []service{
		// Without a selector: the leader's sidecar writes its EndpointSlice, and finds
		// the port by this name.
		of("-ha-leader", c.published(), leader),
		// A sidecar knows the leader whether or not its own JobManager is ready.
		of("-ha-sidecars", first(c.Pods, c.published()), serviceSpec{
			ClusterIP: "None", PublishNotReady: true, Selector: map[string]string{LabelCluster: label},
			Ports: []servicePort{{portName, sidecarPort, "TCP"}},
		}),
	}
	for _, s := range both {
		if problems := validation.IsDNS1035Label(s.Metadata.Name); len(problems) > 0 {
			return nil, fmt.Errorf("%q cannot be a Service's name (lower-case letters, digits and '-', a letter first, at most 63): cluster id %q has no Services, leave --services out", s.Metadata.Name, c.ID)
		}
	}
	return both, nil
}

// object is what the names of published objects begin with: with ZooKeeper HA the
// cluster id is a path.
func (c Cluster) object() string {
	if c.Backend == "zookeeper" {
		return strings.ToLower(strings.Trim(c.ID, "/"))
	}
	return c.ID
}

// published is the namespace of published objects: the lock's, with ZooKeeper HA the
// pods' own.
func (c Cluster) published() string {
	if c.Backend == "zookeeper" {
		return c.Pods
	}
	return first(c.Namespace, c.Pods)
}

// ownLabels are on every object that is written beside the manifests.
func ownLabels() map[string]string {
	return map[string]string{"app.kubernetes.io/managed-by": "flink-ha"}
}

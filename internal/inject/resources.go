package inject

import (
	"fmt"
	"path"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/api/resource"

	"flink-ha-sidecar/internal/manifest"
)

// quality is a pod's quality of service class. It decides who is killed first when
// a node runs out of memory, so a sidecar must not change it.
type quality int

const (
	bestEffort quality = iota
	burstable
	guaranteed
)

var qualityNames = [...]string{"BestEffort", "Burstable", "Guaranteed"}

// String is Kubernetes' name of the class.
func (q quality) String() string { return qualityNames[q] }

// resources of one container.
type resources struct {
	Requests *amounts `yaml:"requests,omitempty"`
	Limits   *amounts `yaml:"limits,omitempty"`
}

type amounts struct {
	CPU    string `yaml:"cpu,omitempty"`
	Memory string `yaml:"memory,omitempty"`
}

// resources keep the class: none at all in a BestEffort pod, limits equal to the
// requests in a Guaranteed one. In between memory alone is limited: a limit of the
// CPU would only delay a release.
func (q quality) resources(cpu, memory string) resources {
	switch q {
	case bestEffort:
		return resources{}
	case guaranteed:
		return resources{Requests: &amounts{cpu, memory}, Limits: &amounts{cpu, memory}}
	default:
		return resources{Requests: &amounts{cpu, memory}, Limits: &amounts{Memory: memory}}
	}
}

// memoryLimit is GOMEMLIMIT, nine tenths of the limit: the collector then works
// harder before the kernel kills. Empty without a limit.
func (q quality) memoryLimit(memory string) string {
	if q == bestEffort {
		return ""
	}
	limit := resource.MustParse(memory) // Check has parsed it
	return fmt.Sprintf("%dKiB", limit.Value()*9/10/1024)
}

const (
	// ownMemory is what a sidecar is left beside its followers. It uses 6 MiB without
	// any; the rest is for its program, which is read from the image again where there
	// is no room for all of it, and for what comes at once.
	ownMemory = 20 << 20
	// followerMemory is what each waiting follower takes, the kernel's part included:
	// 35 KiB were seen, without TLS.
	followerMemory = 40 << 10
)

// followers is the --max-followers that a memory limit can carry, at least 10: whoever
// comes later asks another sidecar, where one more would get this one killed. Empty
// without a limit.
func (q quality) followers(memory string) string {
	if q == bestEffort {
		return ""
	}
	limit := resource.MustParse(memory) // Check has parsed it
	return fmt.Sprint(max((limit.Value()-ownMemory)/followerMemory/10*10, 10))
}

// qualityOf computes the class of a pod without our containers (Kubernetes
// documentation, "Pod Quality of Service Classes"). flinks is the class of the
// container that Flink itself gives its resources, and its name; "" for none.
func qualityOf(pod *yaml.Node, flinks string, flinkQuality quality) quality {
	any, all := flinks != "" && flinkQuality != bestEffort, true
	if flinks != "" {
		all = flinkQuality == guaranteed
	}
	for _, list := range []string{"containers", "initContainers"} {
		for _, c := range manifest.List(pod, "spec", list) {
			if isOurs(c) || (list == "containers" && manifest.Text(c, "name") == flinks) {
				continue
			}
			for _, name := range []string{"cpu", "memory"} {
				request, limit := manifest.Text(c, "resources", "requests", name), manifest.Text(c, "resources", "limits", name)
				any = any || isPositive(request) || isPositive(limit)
				// A request that is not given is the limit.
				all = all && isPositive(limit) && (request == "" || same(request, limit))
			}
		}
	}
	switch {
	case !any:
		return bestEffort
	case all:
		return guaranteed
	}
	return burstable
}

func isPositive(amount string) bool {
	q, err := resource.ParseQuantity(amount)
	return err == nil && q.Sign() > 0
}

func same(a, b string) bool {
	x, errX := resource.ParseQuantity(a)
	y, errY := resource.ParseQuantity(b)
	return errX == nil && errY == nil && x.Cmp(y) == 0
}

// Check refuses options that cannot be written into a manifest.
func (o Options) Check() error {
	for _, q := range []struct{ flag, amount string }{{"--cpu", o.CPU}, {"--memory", o.Memory}} {
		if !isPositive(q.amount) {
			return fmt.Errorf("%s %q is no amount, as in 20m or 48Mi", q.flag, q.amount)
		}
	}
	switch o.ImagePullPolicy {
	case "", "Always", "IfNotPresent", "Never":
	default:
		return fmt.Errorf("--image-pull-policy %q is none of Always, IfNotPresent, Never", o.ImagePullPolicy)
	}
	switch {
	case o.Image == "" && !o.Remove:
		return fmt.Errorf("--image is missing: the image with this program")
	case strings.ContainsAny(o.Image, " \t\n"):
		return fmt.Errorf("--image %q has a blank in it", o.Image)
	case o.Backend != "" && o.Backend != "kubernetes" && o.Backend != "zookeeper" && o.Backend != backendVVP:
		return fmt.Errorf("--backend %q: this release knows kubernetes, zookeeper and %s", o.Backend, backendVVP)
	case o.ResumeFrom != "" && o.Backend != backendVVP:
		return fmt.Errorf("--resume-from is for --backend %s: Flink's own HA services know what to go on from", backendVVP)
	case o.ResumeFrom != "" && !path.IsAbs(o.ResumeFrom):
		return fmt.Errorf("--resume-from %q is no absolute path", o.ResumeFrom)
	case o.Port < 1 || o.Port > 65535:
		return fmt.Errorf("--port %d is no port", o.Port)
	}
	_, err := o.operatorKnowsNative()
	return err
}

package migrate

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"flink-ha-sidecar/internal/manifest"
)

// facts are what the workloads of the input tell of the cluster.
type facts struct {
	version            version
	namespace, account string
}

// settings are what containers are started with: it counts beside what a ConfigMap
// says. Where two tell different things it is not known which of them counts.
type settings map[string][]string

func (s settings) of(key string) string {
	if len(s[key]) == 1 {
		return s[key][0]
	}
	return ""
}

// learn takes what one file tells of settings and workloads.
func (r *run) learn(s *source) {
	if s.yaml == nil {
		return
	}
	for _, d := range s.yaml.Documents {
		if d.Root == nil {
			continue
		}
		plain, err := manifest.Plain(d.Root)
		if err != nil || manifest.Text(plain.Content[0], "kind") == "" {
			continue // Edit refuses it, or it is a configuration of its own
		}
		for _, o := range objects(plain.Content[0]) {
			r.learnPod(manifest.Text(o, "metadata", "namespace"), manifest.Get(o, podPath(manifest.Text(o, "kind"))...))
		}
	}
}

// learnPod takes settings and version of what runs Flink, and of a JobManager
// namespace and service account as well.
func (r *run) learnPod(namespace string, pod *yaml.Node) {
	for _, h := range inPod(pod, func(line int) int { return line }) {
		c := h.conf
		if h.text != nil {
			c = newLines(h.text.Value, 1)
		}
		for _, key := range []string{keyStorage, keyClusterID, keyNamespace} {
			if e, found := c.get(key); found && !slices.Contains(r.told[key], e.value) {
				r.told[key] = append(r.told[key], e.value)
			}
		}
		if !r.facts.version.known() {
			r.facts.version = h.version
		}
	}
	if slices.ContainsFunc(manifest.List(pod, "spec", "containers"), runsJobManager) {
		r.facts.namespace = first(r.facts.namespace, namespace)
		r.facts.account = first(r.facts.account, manifest.Text(pod, "spec", "serviceAccountName"), manifest.Text(pod, "spec", "serviceAccount"))
	}
}

func runsJobManager(container *yaml.Node) bool {
	all := strings.Join(append(manifest.Texts(container, "command"), manifest.Texts(container, "args")...), " ")
	return strings.Contains(all, "jobmanager") || strings.Contains(all, "standalone-job")
}

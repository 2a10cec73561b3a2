package migrate

import (
	"slices"

	"go.yaml.in/yaml/v3"

	"flink-ha-sidecar/internal/manifest"
)

// holder is one configuration within an object: as nodes, or as a text.
type holder struct {
	way     Way
	version version

	conf conf
	// then notes what else of the object matters, once it was migrated.
	then func(r *run, s *source)

	text *yaml.Node
	// line is the file's of the text's first line; legacy is its form.
	line   int
	legacy bool
}

// platformPaths are where objects of Ververica Platform have their configuration:
// Deployment and DeploymentDefaults, SessionCluster, and the custom resources that
// wrap a Deployment.
var platformPaths = [][]string{
	{"spec", "template", "spec"}, {"spec"}, {"spec", "deployment", "spec", "template", "spec"}, {"spec", "spec", "template", "spec"},
}

const flinkConfiguration = "flinkConfiguration"

// holders are an object's.
func holders(o *yaml.Node, line func(int) int) []holder {
	switch kind := manifest.Text(o, "kind"); kind {
	case "ConfigMap":
		return inConfigMap(o, line)
	case "FlinkDeployment":
		return inFlinkDeployment(o, line)
	default:
		for _, path := range platformPaths {
			if h, found := onPlatform(o, path, line); found {
				return []holder{h}
			}
		}
		return inPod(manifest.Get(o, podPath(kind)...), line)
	}
}

// podPath is where a workload has its pod.
func podPath(kind string) []string {
	switch kind {
	case "Pod":
		return nil
	case "CronJob":
		return []string{"spec", "jobTemplate", "spec", "template"}
	}
	return []string{"spec", "template"}
}

func onPlatform(o *yaml.Node, path []string, line func(int) int) (holder, bool) {
	root := manifest.Get(o, append(slices.Clone(path), flinkConfiguration)...)
	if root == nil || root.Kind != yaml.MappingNode {
		return holder{}, false
	}
	spec := manifest.Get(o, path...)
	v := versionOf(first(manifest.Text(spec, "artifact", "flinkVersion"), manifest.Text(spec, "flinkVersion")))
	return holder{way: ByPlatform, version: v, conf: &tree{root: root, line: line}}, true
}

func inFlinkDeployment(o *yaml.Node, line func(int) int) []holder {
	root := manifest.Get(o, "spec", flinkConfiguration)
	if root == nil || root.Kind != yaml.MappingNode {
		return nil
	}
	h := holder{way: ByOperator, version: versionOf(manifest.Text(o, "spec", "flinkVersion")), conf: &tree{root: root, line: line}}
	h.then = func(r *run, s *source) {
		if mode := manifest.Get(o, "spec", "job", "upgradeMode"); mode != nil && mode.Value == "last-state" {
			r.note(s, line(mode.Line), "upgradeMode last-state takes over what Flink's HA service has kept, which here is nothing yet: apply this change with upgradeMode savepoint, and go back afterwards")
		}
	}
	return []holder{h}
}

func inConfigMap(o *yaml.Node, line func(int) int) []holder {
	var found []holder
	data := manifest.Get(o, "data")
	if data == nil || data.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(data.Content); i += 2 {
		name, value := data.Content[i].Value, data.Content[i+1]
		if value.Kind == yaml.ScalarNode && (isLegacy(name) || isStandard(name)) {
			found = append(found, holder{text: value, legacy: isLegacy(name), line: firstLine(value, line)})
		}
	}
	return found
}

// firstLine is the file's of a text's first line: that of a block begins below its
// key.
func firstLine(text *yaml.Node, line func(int) int) int {
	if text.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return line(text.Line) + 1
	}
	return line(text.Line)
}

// inPod looks at what containers are started with: -D options and FLINK_PROPERTIES.
func inPod(pod *yaml.Node, line func(int) int) []holder {
	var found []holder
	for _, c := range manifest.List(pod, "spec", "containers") {
		v := imageVersion(manifest.Text(c, "image"))
		for _, list := range []string{"command", "args"} {
			if n := manifest.Get(c, list); n != nil && n.Kind == yaml.SequenceNode {
				found = append(found, holder{version: v, conf: &arguments{list: n, line: line}})
			}
		}
		if e := manifest.Named(c, "FLINK_PROPERTIES", "env"); e != nil {
			if text := manifest.Get(e, "value"); text != nil {
				found = append(found, holder{version: v, text: text, legacy: true, line: firstLine(text, line)})
			}
		}
	}
	return found
}

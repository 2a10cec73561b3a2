package inject

import (
	"errors"
	"strings"

	"go.yaml.in/yaml/v3"

	"flink-ha-sidecar/internal/manifest"
)

// mergeByName is the key by which the operator merges lists by name.
const mergeByName = "kubernetes.operator.pod-template.merge-arrays-by-name"

// operatorTemplate is the JobManager's pod template of a FlinkDeployment, above
// the common one.
func operatorTemplate(o *yaml.Node, conf *operatorConf, result *Result) (*template, error) {
	base := manifest.Get(o, "spec", "podTemplate")
	own, err := manifest.Mapping(o, "spec", "jobManager", "podTemplate")
	if err != nil {
		return nil, err
	}
	t := &template{own: own, base: base, byName: strings.EqualFold(conf.texts[mergeByName], "true")}
	t.view = merged(base, own, t.byName)
	if t.view == nil {
		t.view = &yaml.Node{Kind: yaml.MappingNode}
	}
	below := manifest.Named(base, flinkContainer, "spec", "containers")
	mounts := manifest.List(below, "volumeMounts")
	if !twice(mounts) || manifest.List(manifest.Named(own, flinkContainer, "spec", "containers"), "volumeMounts") != nil {
		return t, nil
	}
	const why = "spec.podTemplate mounts one volume twice in " + flinkContainer + ", and of two the operator keeps one when it merges by name"
	if t.byName {
		return nil, errors.New(why + "; move these volumeMounts to spec.jobManager.podTemplate and spec.taskManager.podTemplate")
	}
	if conf.texts[mergeByName] == "" {
		result.Notes = append(result.Notes, why+": if the operator's default configuration sets "+mergeByName+", set it to \"false\" here")
	}
	return t, nil
}

// twice reports whether a name occurs twice.
func twice(list []*yaml.Node) bool {
	seen := make(map[string]bool)
	for _, e := range list {
		name := manifest.Text(e, "name")
		if seen[name] {
			return true
		}
		seen[name] = true
	}
	return false
}

// merged lays one pod template over another as the operator does
// (FlinkUtils.mergePodTemplates); neither is changed.
func merged(base, over *yaml.Node, byName bool) *yaml.Node {
	switch {
	case base == nil:
		return manifest.Copy(over)
	case over == nil:
		return manifest.Copy(base)
	case base.Kind == yaml.MappingNode && over.Kind == yaml.MappingNode:
		result := manifest.Copy(base)
		for i := 0; i+1 < len(over.Content); i += 2 {
			key, value := over.Content[i].Value, over.Content[i+1]
			manifest.Set(result, key, merged(manifest.Get(result, key), value, byName))
		}
		return result
	case base.Kind == yaml.SequenceNode && over.Kind == yaml.SequenceNode:
		return mergedLists(base, over, byName)
	}
	return manifest.Copy(over)
}

func mergedLists(base, over *yaml.Node, byName bool) *yaml.Node {
	result := manifest.Copy(base)
	byName = byName && allNamed(base.Content) && allNamed(over.Content)
	for i, e := range over.Content {
		if byName {
			i = manifest.IndexNamed(result.Content, manifest.Text(e, "name"))
		}
		if i < 0 || i >= len(result.Content) {
			result.Content = append(result.Content, manifest.Copy(e))
		} else {
			result.Content[i] = merged(result.Content[i], e, byName)
		}
	}
	return result
}

func allNamed(list []*yaml.Node) bool {
	for _, e := range list {
		if manifest.Text(e, "name") == "" {
			return false
		}
	}
	return true
}

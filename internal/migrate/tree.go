package migrate

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"flink-ha-sidecar/internal/manifest"
)

// tree is a configuration in YAML: nested or dotted keys or any mix of both, as in
// config.yaml and in flinkConfiguration.
type tree struct {
	root *yaml.Node
	// line turns a node's line into the file's.
	line func(int) int

	// mapping is the one with the HA service's key, at position at; keys are added
	// there behind it. nested: it is not the root, so what is added is nested too.
	mapping *yaml.Node
	at      int
	nested  bool
}

// spot is where an entry stands.
type spot struct {
	mapping *yaml.Node
	i       int
	// prefix is that of the mapping, as in "high-availability.".
	prefix string
}

func (t *tree) get(key string) (entry, bool) {
	s, found := find(t.root, key, "")
	if !found {
		return entry{}, false
	}
	return entry{key: key, value: s.mapping.Content[s.i+1].Value, line: t.line(s.mapping.Content[s.i].Line), at: s}, true
}

func find(mapping *yaml.Node, key, prefix string) (spot, bool) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		name, value := mapping.Content[i].Value, mapping.Content[i+1]
		if name == key && value.Kind == yaml.ScalarNode && value.ShortTag() != "!!null" {
			return spot{mapping, i, prefix}, true
		}
		if rest, within := strings.CutPrefix(key, name+"."); within && value.Kind == yaml.MappingNode {
			if s, found := find(value, rest, prefix+name+"."); found {
				return s, true
			}
		}
	}
	return spot{}, false
}

func (t *tree) change(e entry, key, value string) {
	s := e.at.(spot)
	if rest, within := strings.CutPrefix(key, s.prefix); within {
		s.mapping.Content[s.i].Value = rest
	}
	n := s.mapping.Content[s.i+1]
	n.Value, n.Tag = value, "!!str"
	if t.mapping == nil {
		t.mapping, t.at, t.nested = s.mapping, s.i, s.prefix != ""
	}
}

func (t *tree) add(key, value string) {
	in, rest := deepest(t.root, key)
	node := manifest.Scalar(value)
	if t.nested {
		parts := strings.Split(rest, ".")
		for i := len(parts) - 1; i > 0; i-- {
			node = &yaml.Node{Kind: yaml.MappingNode, Style: in.Style & yaml.FlowStyle, Content: []*yaml.Node{manifest.Scalar(parts[i]), node}}
		}
		rest = parts[0]
	}
	if in != t.mapping {
		in.Content = append(in.Content, manifest.Scalar(rest), node)
		return
	}
	t.at += 2
	in.Content = slices.Insert(in.Content, t.at, manifest.Scalar(rest), node)
}

// deepest is the mapping that has most of a key already, and what is left of it.
func deepest(mapping *yaml.Node, key string) (*yaml.Node, string) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		rest, within := strings.CutPrefix(key, mapping.Content[i].Value+".")
		if within && mapping.Content[i+1].Kind == yaml.MappingNode {
			return deepest(mapping.Content[i+1], rest)
		}
	}
	return mapping, key
}

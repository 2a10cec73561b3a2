package migrate

import (
	"strings"

	"go.yaml.in/yaml/v3"

	"flink-ha-sidecar/internal/manifest"
)

// flat is a config.yaml whose HA service stands in a line of its own at the root: it
// is looked up as YAML, and changed by the line, so that blank lines stay as well.
type flat struct {
	tree
	*lines
}

// newFlat returns nil for a text that is not written so.
func newFlat(text string, number int) *flat {
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(text), &document); err != nil || document.Kind != yaml.DocumentNode {
		return nil
	}
	root, err := manifest.Plain(document.Content[0])
	if err != nil || root.Kind != yaml.MappingNode || root.Style&yaml.FlowStyle != 0 {
		return nil
	}
	f := &flat{tree: tree{root: root, line: func(line int) int { return number + line - 1 }}, lines: newLines(text, number)}
	e, found := named(&f.tree)
	if !found {
		return nil
	}
	if _, key, _, value, _, ok := split(f.text[e.line-number]); !ok || key != e.key || strings.Trim(value, `"'`) != e.value {
		return nil
	}
	return f
}

func (f *flat) get(key string) (entry, bool) {
	e, found := f.tree.get(key)
	if !found {
		return e, false
	}
	for i, n := range f.number { // lines that were added have moved it
		if _, k, _, _, _, ok := split(f.text[i]); ok && n == e.line && k == key {
			e.at = i
		}
	}
	return e, true
}

func (f *flat) change(e entry, key, value string) { f.lines.change(e, key, value) }

func (f *flat) add(key, value string) { f.lines.add(key, value) }

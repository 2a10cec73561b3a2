package migrate

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"flink-ha-sidecar/internal/manifest"
)

// written is a config.yaml that is looked up as YAML and changed by the line, so that
// blank lines and columns stay as well: the HA service stands in a line of its own, and
// what keys are added to is in block style.
type written struct {
	tree
	*lines
	// service is the HA service's entry.
	service entry
}

// newWritten returns nil for a text that is not written so.
func newWritten(text string, number int) *written {
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(text), &document); err != nil || document.Kind != yaml.DocumentNode {
		return nil
	}
	root, err := manifest.Plain(document.Content[0])
	if err != nil || root.Kind != yaml.MappingNode {
		return nil
	}
	w := &written{tree: tree{root: root, line: func(line int) int { return number + line - 1 }}, lines: newLines(text, number)}
	var found bool
	if w.service, found = named(w); !found {
		return nil
	}
	if _, key, _, value, _, ok := split(w.text[w.service.at.(int)]); !ok || !strings.HasSuffix(w.service.key, key) || strings.Trim(value, `"'`) != w.service.value {
		return nil
	}
	for _, key := range []string{w.service.key, keyStorage, keyRetry, keyClusterID, keyNamespace} {
		if in, _ := deepest(root, key); in.Style&yaml.FlowStyle != 0 {
			return nil
		}
	}
	return w
}

// index is where a line of the file is by now, as long as it was not added.
func (w *written) index(line int) int { return slices.Index(w.number, line) }

func (w *written) get(key string) (entry, bool) {
	e, found := w.tree.get(key)
	if found {
		e.at = w.index(e.line)
	}
	return e, found
}

// change keeps what a nested key has in front of it.
func (w *written) change(e entry, key, value string) {
	i := e.at.(int)
	before, short, between, _, behind, _ := split(w.text[i])
	if prefix, nested := strings.CutSuffix(e.key, short); nested && strings.HasPrefix(key, prefix) {
		short = key[len(prefix):]
	}
	w.text[i] = before + short + between + value + behind
	if w.after < 0 {
		w.after = i
	}
}

// add puts a key below the mapping that has most of it: behind the HA service if that
// is its own, else first. One that no mapping has any of goes behind the HA service at
// the root, or to the end.
func (w *written) add(key, value string) {
	in, rest := deepest(w.root, key)
	s, _ := find(w.root, w.service.key, "")
	switch in {
	case s.mapping:
		w.lines.add(rest, value)
	case w.root:
		w.insert(len(w.text), rest+": "+value)
	default:
		child := in.Content[0]
		w.insert(w.index(w.line(keyOf(w.root, in).Line))+1, strings.Repeat(" ", child.Column-1)+rest+": "+value)
	}
}

// insert puts a line in at a place.
func (w *written) insert(at int, line string) {
	end := "\n"
	if strings.HasSuffix(w.text[0], "\r\n") {
		end = "\r\n"
	}
	if at > 0 && !strings.HasSuffix(w.text[at-1], "\n") {
		w.text[at-1] += end
	}
	number := 0
	if at > 0 {
		number = w.number[at-1]
	}
	w.text = slices.Insert(w.text, at, line+end)
	w.number = slices.Insert(w.number, at, number)
	if at <= w.after {
		w.after++
	}
}

// keyOf is the key whose value is this mapping.
func keyOf(mapping, value *yaml.Node) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i+1] == value {
			return mapping.Content[i]
		}
		if key := keyOf(mapping.Content[i+1], value); key != nil && mapping.Content[i+1].Kind == yaml.MappingNode {
			return key
		}
	}
	return nil
}

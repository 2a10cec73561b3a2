package flinkconf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	// maxDepth bounds nested mappings and aliases.
	maxDepth = 64
	// maxNodes bounds what a few lines of aliases to aliases can grow into.
	maxNodes = 100_000
)

var (
	errDeep  = errors.New("nested too deeply")
	errLarge = errors.New("the file is too large")
)

// parseStandard reads config.yaml: YAML, with nested or dotted keys or any mix.
// As in Flink 2.3 a key that stands twice in one mapping, a key that is no string
// and a key without a value are errors; the same dotted key by two ways is none,
// the last counts.
func parseStandard(path string, raw []byte) (File, error) {
	f := File{Path: path, Values: make(map[string]Value)}
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	var document, second yaml.Node
	err := decoder.Decode(&document)
	if errors.Is(err, io.EOF) {
		return f, nil
	}
	if err != nil {
		return File{}, yamlError(path, err)
	}
	switch err := decoder.Decode(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		return File{}, yamlError(path, err)
	default:
		return File{}, fmt.Errorf("%s:%d: a second YAML document, Flink reads one", path, second.Line)
	}
	root := document.Content[0]
	if root.ShortTag() == "!!null" {
		return f, nil
	}
	if root.Kind != yaml.MappingNode {
		return File{}, fmt.Errorf("%s:%d: not a mapping of keys to values", path, root.Line)
	}
	return f, (&flattener{File: &f}).mapping("", root, 0)
}

// yamlError puts the line, which the parser's message holds unless it is the
// first, behind the path.
func yamlError(path string, err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if line, message, ok := strings.Cut(rest, ": "); ok {
			return fmt.Errorf("%s:%s: %s", path, line, oneLine(message))
		}
	}
	return fmt.Errorf("%s:1: %s", path, oneLine(text))
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// flattener turns a tree into dotted keys.
type flattener struct {
	*File
	nodes int
}

// enter counts a node and refuses it beyond the bounds.
func (f *flattener) enter(depth int) error {
	if f.nodes++; f.nodes > maxNodes {
		return errLarge
	}
	if depth > maxDepth {
		return errDeep
	}
	return nil
}

// mapping adds the entries of a mapping under prefix.
func (f *flattener) mapping(prefix string, mapping *yaml.Node, depth int) error {
	if err := f.enter(depth); err != nil {
		return fmt.Errorf("%s:%d: %w", f.Path, mapping.Line, err)
	}
	seen := make(map[string]int, len(mapping.Content)/2)
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		if key.Kind != yaml.ScalarNode || (key.ShortTag() != "!!str" && key.ShortTag() != "!!merge") {
			return fmt.Errorf("%s:%d: key %s%s is not a string", f.Path, key.Line, prefix, key.Value)
		}
		if line, twice := seen[key.Value]; twice {
			return fmt.Errorf("%s:%d: key %s%s is already at line %d", f.Path, key.Line, prefix, key.Value, line)
		}
		seen[key.Value] = key.Line
		if value.Kind == yaml.AliasNode {
			value = value.Alias
		}
		name := prefix + key.Value
		if value.Kind == yaml.MappingNode {
			if err := f.mapping(name+".", value, depth+1); err != nil {
				return err
			}
			continue
		}
		text, err := f.flowText(value, 0)
		if err != nil {
			return fmt.Errorf("%s:%d: key %s: %w", f.Path, key.Line, name, err)
		}
		if earlier, ok := f.Values[name]; ok {
			f.warn("%s:%d: key %s was already set at %s, the last one counts", f.Path, key.Line, name, earlier.From)
		}
		f.Values[name] = Value{Text: text, From: f.Path + ":" + strconv.Itoa(key.Line)}
	}
	return nil
}

// flowText is the text of a value: a scalar as it stands, a list or what is in it
// in YAML's flow style, which is how Flink turns a list into a string.
func (f *flattener) flowText(n *yaml.Node, depth int) (string, error) {
	if err := f.enter(depth); err != nil {
		return "", err
	}
	switch n.Kind {
	case yaml.AliasNode:
		return f.flowText(n.Alias, depth+1)
	case yaml.ScalarNode:
		if n.ShortTag() == "!!null" {
			return "", errors.New("there is no value, which Flink refuses")
		}
		return n.Value, nil
	case yaml.SequenceNode, yaml.MappingNode:
		texts := make([]string, len(n.Content))
		for i, c := range n.Content {
			text, err := f.flowText(c, depth+1)
			if err != nil {
				return "", err
			}
			texts[i] = text
		}
		if n.Kind == yaml.SequenceNode {
			return "[" + strings.Join(texts, ", ") + "]", nil
		}
		var pairs []string
		for i := 0; i+1 < len(texts); i += 2 {
			pairs = append(pairs, texts[i]+": "+texts[i+1])
		}
		return "{" + strings.Join(pairs, ", ") + "}", nil
	default:
		return "", errors.New("not a value")
	}
}

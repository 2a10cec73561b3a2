package manifest

import (
	"errors"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Get returns the value at a path of keys; nil if one of them is not there. A
// null counts as not there.
func Get(n *yaml.Node, path ...string) *yaml.Node {
	for _, key := range path {
		if n = child(n, key); n == nil {
			return nil
		}
	}
	return n
}

func child(mapping *yaml.Node, key string) *yaml.Node {
	if i := indexOf(mapping, key); i >= 0 && mapping.Content[i+1].ShortTag() != "!!null" {
		return mapping.Content[i+1]
	}
	return nil
}

// indexOf is the position of a key in a mapping, -1 if it has none.
func indexOf(mapping *yaml.Node, key string) int {
	if mapping == nil || mapping.Kind != yaml.MappingNode {
		return -1
	}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return i
		}
	}
	return -1
}

// Text is the scalar at a path, "" if there is none.
func Text(n *yaml.Node, path ...string) string {
	if v := Get(n, path...); v != nil && v.Kind == yaml.ScalarNode {
		return v.Value
	}
	return ""
}

// List is the elements of the list at a path.
func List(n *yaml.Node, path ...string) []*yaml.Node {
	if v := Get(n, path...); v != nil && v.Kind == yaml.SequenceNode {
		return v.Content
	}
	return nil
}

// Texts is the scalars of the list at a path.
func Texts(n *yaml.Node, path ...string) []string {
	var texts []string
	for _, e := range List(n, path...) {
		if e.Kind == yaml.ScalarNode {
			texts = append(texts, e.Value)
		}
	}
	return texts
}

// Named is the element of the list at a path whose name is this; nil if there is
// none.
func Named(n *yaml.Node, name string, path ...string) *yaml.Node {
	list := List(n, path...)
	if i := IndexNamed(list, name); i >= 0 {
		return list[i]
	}
	return nil
}

// IndexNamed is the position of the element whose name is this, or -1.
func IndexNamed(list []*yaml.Node, name string) int {
	return slices.IndexFunc(list, func(e *yaml.Node) bool { return Text(e, "name") == name })
}

// Mapping returns the mapping at a path, made where it is missing. Something else
// in its place is an error.
func Mapping(n *yaml.Node, path ...string) (*yaml.Node, error) {
	return ensure(n, yaml.MappingNode, path)
}

// Sequence returns the list at a path, made where it is missing. Something else
// in its place is an error.
func Sequence(n *yaml.Node, path ...string) (*yaml.Node, error) {
	return ensure(n, yaml.SequenceNode, path)
}

func ensure(n *yaml.Node, kind yaml.Kind, path []string) (*yaml.Node, error) {
	for i, key := range path {
		want := yaml.MappingNode
		if i == len(path)-1 {
			want = kind
		}
		next := child(n, key)
		if next == nil {
			next = &yaml.Node{Kind: want}
			Set(n, key, next)
		}
		if next.Kind != want {
			return nil, fmt.Errorf("line %d: %s is not what it should be", next.Line, key)
		}
		if len(next.Content) == 0 {
			next.Style = n.Style & yaml.FlowStyle // "{}" grows into lines
		}
		n = next
	}
	return n, nil
}

// Set puts a value under a key of a mapping, at the end if the key is new.
func Set(mapping *yaml.Node, key string, value *yaml.Node) {
	if i := indexOf(mapping, key); i >= 0 {
		mapping.Content[i+1] = value
		return
	}
	mapping.Content = append(mapping.Content, Scalar(key), value)
}

// Delete removes a key of a mapping and reports whether it was there.
func Delete(mapping *yaml.Node, key string) bool {
	i := indexOf(mapping, key)
	if i < 0 {
		return false
	}
	mapping.Content = slices.Delete(mapping.Content, i, i+2)
	return true
}

// Prune removes the key at the end of a path if its value is empty, and then what
// that leaves empty in turn.
func Prune(n *yaml.Node, path ...string) {
	for len(path) > 0 {
		parent, key := Get(n, path[:len(path)-1]...), path[len(path)-1]
		value := child(parent, key)
		if value == nil || value.Kind == yaml.ScalarNode || len(value.Content) > 0 {
			return
		}
		Delete(parent, key)
		path = path[:len(path)-1]
	}
}

// Scalar makes a string.
func Scalar(text string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(text)
	return n
}

// Make turns a Go value into a node; it must be one that YAML can say.
func Make(value any) *yaml.Node {
	n := &yaml.Node{}
	if err := n.Encode(value); err != nil {
		panic(err) // a defect of ours: no input comes here
	}
	return n
}

// Copy is a deep copy with its own style, comments and places.
func Copy(n *yaml.Node) *yaml.Node {
	if n == nil {
		return nil
	}
	c := *n
	c.Content = make([]*yaml.Node, len(n.Content))
	for i, e := range n.Content {
		c.Content[i] = Copy(e)
	}
	return &c
}

// Equal reports whether two nodes say the same, whatever their style, comments
// and places.
func Equal(a, b *yaml.Node) bool {
	if a.Kind != b.Kind || a.ShortTag() != b.ShortTag() || a.Value != b.Value || a.Anchor != b.Anchor || len(a.Content) != len(b.Content) {
		return false
	}
	for i := range a.Content {
		if !Equal(a.Content[i], b.Content[i]) {
			return false
		}
	}
	return true
}

const (
	// maxNodes bounds what a few lines of aliases to aliases can grow into.
	maxNodes = 200_000
	maxDepth = 200
)

// Plain copies a document's content without anchors, aliases and merge keys, each
// replaced by what it stands for: a change in one place must not change another.
// It refuses a key that stands twice in one mapping.
func Plain(n *yaml.Node) (*yaml.Node, error) {
	left := maxNodes
	return plain(n, &left, 0)
}

func plain(n *yaml.Node, left *int, depth int) (*yaml.Node, error) {
	if *left--; *left < 0 || depth > maxDepth {
		return nil, errors.New("its aliases grow beyond all bounds")
	}
	if n.Kind == yaml.AliasNode {
		c, err := plain(n.Alias, left, depth+1)
		if err == nil {
			c.HeadComment, c.LineComment, c.FootComment = n.HeadComment, n.LineComment, n.FootComment
		}
		return c, err
	}
	c := *n
	c.Anchor = ""
	c.Content = make([]*yaml.Node, 0, len(n.Content))
	for _, e := range n.Content {
		p, err := plain(e, left, depth+1)
		if err != nil {
			return nil, err
		}
		c.Content = append(c.Content, p)
	}
	if c.Kind == yaml.MappingNode {
		return &c, merge(&c)
	}
	return &c, nil
}

// merge replaces the merge keys of a mapping by what they bring (YAML 1.1, "Merge
// Key Language-Independent Type"): its own keys win, then the first that is merged.
func merge(mapping *yaml.Node) error {
	var merged []*yaml.Node
	for i := 0; i+1 < len(mapping.Content); {
		key, value := mapping.Content[i], mapping.Content[i+1]
		if key.ShortTag() != "!!merge" {
			if first := indexOf(mapping, key.Value); first < i {
				return fmt.Errorf("line %d: key %q stands twice, first at line %d", key.Line, key.Value, mapping.Content[first].Line)
			}
			i += 2
			continue
		}
		if value.Kind == yaml.SequenceNode {
			merged = append(merged, value.Content...)
		} else {
			merged = append(merged, value)
		}
		mapping.Content = slices.Delete(mapping.Content, i, i+2)
	}
	for _, m := range merged {
		if m.Kind != yaml.MappingNode {
			return fmt.Errorf("line %d: the merge key takes a mapping", m.Line)
		}
		for i := 0; i+1 < len(m.Content); i += 2 {
			if indexOf(mapping, m.Content[i].Value) < 0 {
				mapping.Content = append(mapping.Content, m.Content[i], m.Content[i+1])
			}
		}
	}
	return nil
}

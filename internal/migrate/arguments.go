package migrate

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// arguments are a container's, as far as they set Flink's options: -Dkey=value, in
// one word or in two.
type arguments struct {
	list *yaml.Node
	line func(int) int
	at   int
	two  bool
}

func (a *arguments) get(key string) (entry, bool) {
	for i := len(a.list.Content) - 1; i >= 0; i-- { // the last one counts
		n := a.list.Content[i]
		text, one := strings.CutPrefix(n.Value, "-D")
		two := !one && i > 0 && a.list.Content[i-1].Value == "-D"
		name, value, found := strings.Cut(text, "=")
		if n.Kind == yaml.ScalarNode && (one || two) && found && name == key {
			return entry{key: key, value: value, line: a.line(n.Line), at: i}, true
		}
	}
	return entry{}, false
}

func (a *arguments) change(e entry, key, value string) {
	n := a.list.Content[e.at.(int)]
	a.at, a.two = e.at.(int), !strings.HasPrefix(n.Value, "-D")
	n.Value = a.word(key, value)
}

func (a *arguments) word(key, value string) string {
	if a.two {
		return key + "=" + value
	}
	return "-D" + key + "=" + value
}

func (a *arguments) add(key, value string) {
	like := a.list.Content[a.at]
	more := []*yaml.Node{{Kind: yaml.ScalarNode, Tag: "!!str", Style: like.Style, Value: a.word(key, value)}}
	if a.two {
		more = append([]*yaml.Node{{Kind: yaml.ScalarNode, Tag: "!!str", Style: like.Style, Value: "-D"}}, more...)
	}
	a.list.Content = slices.Insert(a.list.Content, a.at+1, more...)
	a.at += len(more)
}

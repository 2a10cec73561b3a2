// Package manifest reads and writes Kubernetes manifests as people write them: a
// document that nobody changes keeps every byte, one that is changed keeps its
// comments and its order.
package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// File is one file of YAML documents.
type File struct {
	// Name is for people, as in "jobmanager.yaml" or "standard input".
	Name      string
	Documents []*Document
}

// Document is one YAML document of a file.
type Document struct {
	// Line is that of its first line in the file, from 1.
	Line int
	// Root is its content; nil if it holds comments at most.
	Root *yaml.Node

	// before is the marker line that begins it, "" for the first.
	before string
	raw    string
	// changed is set by Edit: raw does not count any more.
	changed bool
}

// Parse splits a file into its documents. Only what is before "---" and behind it
// is looked at for that, so that an unchanged document keeps its bytes. An error
// names file and line.
func Parse(name string, content []byte) (*File, error) {
	f := &File{Name: name}
	d := &Document{Line: 1}
	number := 0
	var body strings.Builder
	finish := func() error {
		d.raw = body.String()
		body.Reset()
		f.Documents = append(f.Documents, d)
		return d.parse(name)
	}
	for line := range strings.Lines(string(content)) {
		number++
		if !isMarker(line) {
			body.WriteString(line)
			continue
		}
		if number > 1 {
			if err := finish(); err != nil {
				return nil, err
			}
		}
		d = &Document{Line: number}
		if rest := strings.TrimSpace(line[3:]); rest == "" || rest[0] == '#' {
			d.before = line
			d.Line++
		} else { // "--- {a: b}": the marker is part of the document
			body.WriteString(line)
		}
	}
	return f, finish()
}

// isMarker tells a line that begins a document: three hyphens at its start, which
// no scalar can hold there (YAML 1.2, "Document Markers").
func isMarker(line string) bool {
	rest, found := strings.CutPrefix(line, "---")
	return found && (rest == "" || strings.ContainsRune(" \t\r\n", rune(rest[0])))
}

func (d *Document) parse(name string) error {
	decoder := yaml.NewDecoder(strings.NewReader(d.raw))
	var root yaml.Node
	err := decoder.Decode(&root)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return d.parseError(name, err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		if err != nil {
			return d.parseError(name, err)
		}
		return fmt.Errorf("%s: document at line %d: a further document follows without \"---\"", name, d.Line)
	}
	if len(root.Content) == 1 && root.Content[0].ShortTag() != "!!null" {
		d.Root = &root
	}
	return nil
}

// parseError turns the line within the document into that within the file.
func (d *Document) parseError(name string, err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if n, scanErr := fmt.Sscanf(text, "line %d:", &line); n == 1 && scanErr == nil {
		_, text, _ = strings.Cut(text, ": ")
	}
	return fmt.Errorf("%s:%d: not YAML: %s", name, d.Line+line-1, strings.Join(strings.Fields(text), " "))
}

// Body is the document's top node; nil if there is none.
func (d *Document) Body() *yaml.Node {
	if d.Root == nil {
		return nil
	}
	return d.Root.Content[0]
}

// Edit applies a change to a copy of the document's content without anchors and
// aliases, and reports whether it then says something else. Only then the copy
// takes the content's place.
func (d *Document) Edit(change func(body *yaml.Node) error) (changed bool, err error) {
	before, err := Plain(d.Root)
	if err != nil {
		return false, fmt.Errorf("document at line %d: %w", d.Line, err)
	}
	after := Copy(before)
	if err := change(after.Content[0]); err != nil || Equal(before, after) {
		return false, err
	}
	d.Root, d.changed = after, true
	return true, nil
}

// Write writes the file: unchanged documents byte for byte.
func (f *File) Write(w io.Writer) error {
	for _, d := range f.Documents {
		text := d.raw
		if d.changed {
			var err error
			if text, err = d.encode(); err != nil {
				return fmt.Errorf("%s: document at line %d: %w", f.Name, d.Line, err)
			}
		}
		if _, err := io.WriteString(w, d.before+text); err != nil {
			return err
		}
	}
	return nil
}

// encode writes the content in the style that the document had.
func (d *Document) encode() (string, error) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	style := styleOf(d.raw)
	e.SetIndent(style.indent)
	if style.compact {
		e.CompactSeqIndent()
	}
	if err := errors.Join(e.Encode(d.Root), e.Close()); err != nil {
		return "", fmt.Errorf("write YAML: %w", err)
	}
	return b.String(), nil
}

// style is how a document is indented.
type style struct {
	indent int
	// compact: a list's hyphens stand below the first letter of its key.
	compact bool
}

// styleOf looks at the first nested mapping and at the first list in block style.
func styleOf(raw string) style {
	s := style{indent: 2, compact: true}
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(raw), &root); err != nil || len(root.Content) == 0 {
		return s
	}
	var indented, listed bool
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			if value.Style&yaml.FlowStyle != 0 || value.Line == key.Line {
				continue
			}
			switch value.Kind {
			case yaml.MappingNode:
				if by := value.Column - key.Column; !indented && by >= 2 && by <= 9 {
					indented, s.indent = true, by
				}
			case yaml.SequenceNode:
				if !listed {
					listed, s.compact = true, value.Column == key.Column
				}
			}
		}
		for _, c := range n.Content {
			walk(c)
		}
	}
	walk(root.Content[0])
	return s
}

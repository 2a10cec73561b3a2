package migrate

import (
	"errors"
	"strings"

	"go.yaml.in/yaml/v3"

	"flink-ha-sidecar/internal/manifest"
)

// source is one file of the input.
type source struct {
	name, content string
	// conf is set for a text that is changed line by line, yaml for everything that
	// is YAML.
	conf textual
	yaml *manifest.File
	// changed has the lines at which the old service was replaced.
	changed map[int]bool
}

// textual is a configuration that is written back as a text.
type textual interface {
	conf
	String() string
}

// read tells the two kinds of files apart: by the name, and where that says nothing
// by whether it is YAML.
func read(in Input) (*source, error) {
	s := &source{name: in.Name, content: in.Content}
	if isLegacy(in.Name) {
		s.conf = newLines(in.Content, 1)
		return s, nil
	}
	var err error
	if s.yaml, err = manifest.Parse(in.Name, []byte(in.Content)); err != nil || len(s.yaml.Documents) != 1 {
		return s, err
	}
	if body := s.yaml.Documents[0].Body(); body != nil && manifest.Text(body, "kind") == "" {
		if f := newWritten(in.Content, 1); f != nil {
			s.conf = f
		}
	}
	return s, nil
}

func (s *source) text() (string, error) {
	if s.conf != nil {
		return s.conf.String(), nil
	}
	var b strings.Builder
	err := s.yaml.Write(&b)
	return b.String(), err
}

// change migrates every configuration of a file.
func (r *run) change(s *source) error {
	if s.conf != nil {
		_, err := r.configuration(s.conf, place{file: s, standard: isStandard(s.name)})
		return err
	}
	for _, d := range s.yaml.Documents {
		if d.Body() == nil || !strings.Contains(strings.ToLower(s.content), oldName) {
			continue
		}
		_, err := d.Edit(func(body *yaml.Node) error {
			return r.document(s, body, func(line int) int { return d.Line + line - 1 })
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// document changes a configuration itself, or the objects that hold some.
func (r *run) document(s *source, body *yaml.Node, line func(int) int) error {
	if body.Kind != yaml.MappingNode {
		return nil
	}
	if manifest.Text(body, "kind") == "" {
		_, err := r.configuration(&tree{root: body, line: line}, place{file: s, standard: isStandard(s.name)})
		return err
	}
	var errs []error
	for _, o := range objects(body) {
		for _, h := range holders(o, line) {
			errs = append(errs, r.holder(s, h))
		}
	}
	return errors.Join(errs...)
}

// holder migrates what one holder has. A text is put back only if it was changed.
func (r *run) holder(s *source, h holder) error {
	p := place{file: s, way: h.way, version: h.version}
	if h.conf != nil {
		migrated, err := r.configuration(h.conf, p)
		if migrated && h.then != nil {
			h.then(r, s)
		}
		return err
	}
	var c textual
	if h.legacy {
		c = newLines(h.text.Value, h.line)
	} else if f := newWritten(h.text.Value, h.line); f != nil {
		c, p.standard = f, true
	}
	if c != nil {
		migrated, err := r.configuration(c, p)
		if migrated {
			h.text.Value = c.String()
		}
		return err
	}
	return r.nested(s, h, p)
}

// nested migrates a config.yaml within a text that cannot be changed by the line.
func (r *run) nested(s *source, h holder, p place) error {
	inner, err := manifest.Parse(s.name, []byte(h.text.Value))
	if err != nil || len(inner.Documents) != 1 || inner.Documents[0].Body() == nil {
		return nil // told among the leftovers
	}
	p.standard = true
	changed, err := inner.Documents[0].Edit(func(body *yaml.Node) error {
		_, err := r.configuration(&tree{root: body, line: func(line int) int { return h.line + line - 1 }}, p)
		return err
	})
	if err != nil || !changed {
		return err
	}
	var b strings.Builder
	err = inner.Write(&b)
	h.text.Value = b.String()
	return err
}

// objects are the items of a list, else the object itself.
func objects(body *yaml.Node) []*yaml.Node {
	if items := manifest.List(body, "items"); items != nil && strings.HasSuffix(manifest.Text(body, "kind"), "List") {
		return items
	}
	return []*yaml.Node{body}
}

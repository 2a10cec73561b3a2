package hastate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"flink-ha-sidecar/leader"
)

var (
	// ErrCorrupt says that something of the document could not be read. The rest of
	// it counts; the whole text is in Aside, and goes with the next write.
	ErrCorrupt = errors.New("the cluster's state does not parse")
	// ErrNewer says that a later version has written the document. Its pause counts
	// as far as it can be read; nothing may be written over it.
	ErrNewer = errors.New("the cluster's state is of a later format")
)

// wire is the document as it is stored.
type wire struct {
	Format  int          `json:"format"`
	Pause   leader.Pause `json:"pause,omitzero"`
	Members []Member     `json:"members,omitempty"`
	Changes []Change     `json:"changes,omitempty"`
	Aside   *Aside       `json:"aside,omitempty"`
}

// parts is wire with each part to be read by itself.
type parts struct {
	Format  int             `json:"format"`
	Pause   json.RawMessage `json:"pause"`
	Members json.RawMessage `json:"members"`
	Changes json.RawMessage `json:"changes"`
	Aside   json.RawMessage `json:"aside"`
}

// Decode reads what Encode has written, at the time now. Nothing at all is an empty
// document. The error wraps ErrCorrupt or ErrNewer and is one line; the document
// counts all the same, with what could be read.
func Decode(raw []byte, now time.Time) (Document, error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		return Document{}, nil
	}
	var p parts
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if err := decoder.Decode(&p); err != nil {
		return aside(Document{}, raw, now, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return aside(Document{}, raw, now, errors.New("more after the end of the document"))
	}
	if p.Format < 1 {
		return aside(Document{}, raw, now, fmt.Errorf("format %d", p.Format))
	}
	d, err := p.read()
	if p.Format > Format {
		return d, fmt.Errorf("%w: %d, this version writes %d; it is not written to", ErrNewer, p.Format, Format)
	}
	if err != nil {
		return aside(d, raw, now, err)
	}
	return d, nil
}

// read takes each part that parses, and names those that do not.
func (p parts) read() (d Document, err error) {
	part := func(name string, raw json.RawMessage, into any) bool {
		if len(raw) == 0 {
			return true
		}
		e := json.Unmarshal(raw, into)
		if e != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", name, e))
		}
		return e == nil
	}
	var pause leader.Pause
	if part("pause", p.Pause, &pause) {
		if e := CheckPause(pause); e != nil && !pause.Equal(leader.Pause{}) {
			err = errors.Join(err, fmt.Errorf("pause: %w", e))
		} else {
			d = d.WithPause(pause)
		}
	}
	var members []Member
	if part("members", p.Members, &members) {
		for _, m := range members {
			d = d.WithMember(m)
		}
	}
	var changes []json.RawMessage
	part("changes", p.Changes, &changes)
	for i, raw := range changes {
		var c Change
		if part(fmt.Sprintf("change %d", i+1), raw, &c) {
			d = d.WithChange(c)
		}
	}
	if !part("aside", p.Aside, &d.Aside) {
		d.Aside = nil
	}
	if d.Aside != nil {
		d.Aside.Why, d.Aside.Text = clip(d.Aside.Why, maxText), clip(d.Aside.Text, maxAside)
	}
	return d, err
}

// CheckPause names what is wrong with a pause.
func CheckPause(p leader.Pause) error {
	switch d := p.Until.Sub(p.At); {
	case p.At.IsZero() || p.Until.IsZero():
		return errors.New("begin or end is missing")
	case d <= 0:
		return fmt.Errorf("it ends %v before it begins", -d)
	case d > MaxPause:
		return fmt.Errorf("%v is longer than %v", d, MaxPause)
	}
	return nil
}

// aside keeps the text of what does not parse.
func aside(d Document, raw []byte, now time.Time, why error) (Document, error) {
	reason := strings.ReplaceAll(why.Error(), "\n", "; ")
	d.Aside = &Aside{At: stamp(now), Why: clip(reason, maxText), Text: clip(string(raw), maxAside)}
	return d, fmt.Errorf("%w: %s; it is kept aside in it", ErrCorrupt, reason)
}

// Encode writes d in at most MaxBytes: where it is longer, the oldest changes go.
func (d Document) Encode() ([]byte, error) {
	w := wire{Format: Format, Pause: d.Pause, Members: d.Members, Changes: d.Changes, Aside: d.Aside}
	for {
		raw, err := json.Marshal(w)
		if err != nil {
			return nil, fmt.Errorf("encode the cluster's state: %w", err)
		}
		if len(raw) <= MaxBytes || len(w.Changes) == 0 {
			return raw, nil
		}
		w.Changes = w.Changes[1+len(w.Changes)/20:]
	}
}

package migrate

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// shownAround is how many unchanged lines are shown around a change.
const shownAround = 3

// WriteDiff writes what has changed in a file, in the unified format that patch and
// "git apply" read. It writes nothing if nothing has.
func (o Output) WriteDiff(w io.Writer) error {
	if o.Before == o.After {
		return nil
	}
	edits := compare(slices.Collect(strings.Lines(o.Before)), slices.Collect(strings.Lines(o.After)))
	if _, err := fmt.Fprintf(w, "--- a/%s\n+++ b/%s\n", o.Name, o.Name); err != nil {
		return err
	}
	for _, h := range hunks(edits) {
		if err := h.write(w); err != nil {
			return err
		}
	}
	return nil
}

// edit is a line that stays (' '), goes ('-') or comes ('+').
type edit struct {
	kind byte
	line string
}

// compare finds the longest common subsequence of lines; the files here are short.
func compare(a, b []string) []edit {
	var edits []edit
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		edits = append(edits, edit{' ', a[0]})
		a, b = a[1:], b[1:]
	}
	same := 0
	for same < len(a) && same < len(b) && a[len(a)-1-same] == b[len(b)-1-same] {
		same++
	}
	tail := a[len(a)-same:]
	a, b = a[:len(a)-same], b[:len(b)-same]
	length := make([][]int, len(a)+1) // of what a[i:] and b[j:] have in common
	for i := range length {
		length[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			length[i][j] = max(length[i+1][j], length[i][j+1])
			if a[i] == b[j] {
				length[i][j] = length[i+1][j+1] + 1
			}
		}
	}
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			edits = append(edits, edit{' ', a[i]})
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && length[i+1][j] >= length[i][j+1]:
			edits = append(edits, edit{'-', a[i]})
			i++
		default:
			edits = append(edits, edit{'+', b[j]})
			j++
		}
	}
	for _, line := range tail {
		edits = append(edits, edit{' ', line})
	}
	return edits
}

// hunk is a run of edits; before and after are the lines at which it begins, from 0.
type hunk struct {
	before, after int
	edits         []edit
}

func hunks(edits []edit) []hunk {
	var all []hunk
	before, after, shown := 0, 0, 0 // shown: the edits before this one are in a hunk
	for i, e := range edits {
		if e.kind != ' ' {
			from := max(shown, i-shownAround)
			if len(all) == 0 || from > shown {
				all = append(all, hunk{before: before - (i - from), after: after - (i - from)})
			}
			shown = i + 1
			for shown < len(edits) && edits[shown].kind == ' ' && shown-i <= shownAround {
				shown++
			}
			last := &all[len(all)-1]
			last.edits = append(last.edits, edits[from:shown]...)
		}
		if e.kind != '+' {
			before++
		}
		if e.kind != '-' {
			after++
		}
	}
	return all
}

func (h hunk) write(w io.Writer) error {
	var b strings.Builder
	before, after := 0, 0
	for _, e := range h.edits {
		if e.kind != '+' {
			before++
		}
		if e.kind != '-' {
			after++
		}
		b.WriteByte(e.kind)
		b.WriteString(e.line)
		if !strings.HasSuffix(e.line, "\n") {
			b.WriteString("\n\\ No newline at end of file\n")
		}
	}
	_, err := fmt.Fprintf(w, "@@ -%s +%s @@\n%s", span(h.before, before), span(h.after, after), b.String())
	return err
}

// span is a hunk's place: its first line from 1, and how many there are. Of none the
// line before is told.
func span(from, lines int) string {
	if lines > 0 {
		from++
	}
	return fmt.Sprintf("%d,%d", from, lines)
}

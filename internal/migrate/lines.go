package migrate

import (
	"slices"
	"strings"
)

// lines is a flink-conf.yaml: "key: value" a line, cut at the first '#', of several
// lines with one key the last counts (GlobalConfiguration of Flink 1.18). All that
// is not changed keeps every byte.
type lines struct {
	text []string
	// number is the file's of each line; one that was added has that of the line
	// before it.
	number []int
	// after is the line behind which others are added, -1 before any was changed.
	after int
}

func newLines(text string, number int) *lines {
	l := &lines{text: slices.Collect(strings.Lines(text)), after: -1}
	for i := range l.text {
		l.number = append(l.number, number+i)
	}
	return l
}

func (l *lines) String() string { return strings.Join(l.text, "") }

// split takes a line apart: key and value, and what stands before, between and
// behind them.
func split(line string) (before, key, between, value, behind string, ok bool) {
	text, _, _ := strings.Cut(line, "#")
	text = strings.TrimRight(text, " \t\r\n")
	bare := strings.TrimLeft(text, " \t")
	key, rest, found := strings.Cut(bare, ": ")
	value = strings.TrimLeft(rest, " \t")
	before, between, behind = text[:len(text)-len(bare)], bare[len(key):len(bare)-len(value)], line[len(text):]
	key = strings.TrimSpace(key)
	return before, key, between, value, behind, found && key != "" && value != ""
}

func (l *lines) get(key string) (entry, bool) {
	for i := len(l.text) - 1; i >= 0; i-- {
		if _, k, _, value, _, ok := split(l.text[i]); ok && k == key {
			return entry{key: key, value: value, line: l.number[i], at: i}, true
		}
	}
	return entry{}, false
}

func (l *lines) change(e entry, key, value string) {
	i := e.at.(int)
	before, _, between, _, behind, _ := split(l.text[i])
	l.text[i] = before + key + between + value + behind
	if l.after < 0 {
		l.after = i
	}
}

func (l *lines) add(key, value string) {
	at := l.text[l.after]
	before, _, _, _, behind, _ := split(at)
	end := "\n"
	switch {
	case strings.HasSuffix(behind, "\r\n"):
		end = "\r\n"
	case !strings.HasSuffix(at, "\n"): // the last line of a file that does not end with one
		l.text[l.after] += end
		end = ""
	}
	l.after++
	l.text = slices.Insert(l.text, l.after, before+key+": "+value+end)
	l.number = slices.Insert(l.number, l.after, l.number[l.after-1])
}

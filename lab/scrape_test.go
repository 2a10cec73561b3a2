package lab

import (
	"strings"
	"testing"
)

const page = `# HELP a_total Counts.
# TYPE a_total counter
a_total{outcome="ok",verb="get"} 3
a_total{outcome="ok",verb="watch-pod"} 4
a_total{outcome="unavailable",verb="get",why="no route"} 5
a_totals 100
b 1.5e+06
`

func TestScrapeSumsTheSeriesThatCarryAllLabels(t *testing.T) {
	s, err := readScrape(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name   string
		labels []string
		want   float64
	}{
		{"a_total", nil, 12},
		{"a_total", []string{`verb="get"`}, 8},
		{"a_total", []string{`verb="get"`, `outcome="ok"`}, 3},
		{"a_total", []string{`verb="watch"`}, 0},
		{"b", nil, 1500000},
		{"c", nil, 0},
	} {
		if got := s.Sum(row.name, row.labels...); got != row.want {
			t.Errorf("%s %q: %v, want %v", row.name, row.labels, got, row.want)
		}
	}
	by := s.ByLabel("a_total", "outcome")
	if len(by) != 2 || by["ok"] != 7 || by["unavailable"] != 5 {
		t.Errorf("by outcome: %v", by)
	}
	if _, err := readScrape(strings.NewReader("a many\n")); err == nil {
		t.Error("a value that is no number is read")
	}
}

package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestWhatHasGrownIsNamed(t *testing.T) {
	at := holding{RSSMiB: 20, HeapMiB: 2, Goroutines: 18, FDs: 12}
	for name, row := range map[string]struct {
		change func(*result)
		want   string
	}{
		"nothing":                        {func(*result) {}, ""},
		"less of all":                    {func(r *result) { r.After.Sidecars[0] = holding{} }, ""},
		"as much as is fine":             {func(r *result) { r.After.Sidecars[1].Goroutines += moreGoroutines }, ""},
		"memory":                         {func(r *result) { r.After.Sidecars[1].RSSMiB += moreRSSMiB + 0.1 }, "sidecar 2: RSS"},
		"heap":                           {func(r *result) { r.After.Sidecars[0].HeapMiB += moreHeapMiB + 0.1 }, "sidecar 1: heap"},
		"goroutines":                     {func(r *result) { r.After.Sidecars[0].Goroutines += moreGoroutines + 1 }, "sidecar 1: goroutines grew from 18.0 to 21.0"},
		"descriptors":                    {func(r *result) { r.After.Sidecars[0].FDs += moreFDs + 1 }, "sidecar 1: open file descriptors"},
		"one watch more is one too many": {func(r *result) { r.After.Watches++ }, "watches open"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &result{
				Changes: 500, Releases: map[string]int{"freed": 60, "damped": 190}, Before: measurement{[]holding{at, at}, 7},
				After: measurement{[]holding{at, at}, 7},
			}
			row.change(r)
			err := r.check()
			if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
				t.Errorf("got error %v, want %q", err, row.want)
			}
			var b bytes.Buffer
			r.print(&b)
			if !strings.Contains(b.String(), "190 damped, 60 freed") || !strings.Contains(b.String(), "| sidecar 2: goroutines | 18.0 |") {
				t.Errorf("printed\n%s", b.String())
			}
		})
	}
}

func TestSettingsAreReadFromTheEnvironment(t *testing.T) {
	for _, row := range []struct{ name, value, bad string }{
		{"CHANGES", "", ""}, {"CHANGES", "21", ""}, {"CHANGES", "20", "CHANGES"}, {"CHANGES", "many", "CHANGES"}, {"OUT", "/nowhere/at/all/x", "OUT"},
	} {
		_, err := parseSettings(func(name string) string {
			if name == row.name {
				return row.value
			}
			return ""
		})
		if row.bad == "" && err != nil || row.bad != "" && (err == nil || !strings.HasPrefix(err.Error(), row.bad+" is ")) {
			t.Errorf("%s=%s: %v", row.name, row.value, err)
		}
	}
}

package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestSeriesTellsWhetherTheTargetIsMet(t *testing.T) {
	s := &series{What: "things"}
	for range 98 {
		s.add(sample{gone: 20 * time.Millisecond, freed: 10 * time.Millisecond})
	}
	s.add(sample{gone: 90 * time.Millisecond, freed: 50 * time.Millisecond})
	s.add(sample{gone: 10 * time.Millisecond, freed: 70 * time.Millisecond})
	var table bytes.Buffer
	s.print(&table)
	for _, want := range []string{"100 things", "20.0     20.0     90.0", "10.0     50.0     70.0", "30.0     80.0    140.0", "50ms: met"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("no %q in\n%s", want, table.String())
		}
	}
	s.add(sample{freed: 51 * time.Millisecond})
	s.add(sample{freed: 51 * time.Millisecond})
	table.Reset()
	s.print(&table)
	if !strings.Contains(table.String(), "50ms: missed") {
		t.Errorf("no verdict in\n%s", table.String())
	}
	var document struct {
		Kills   int
		FreedMS struct{ P50, P99, Max float64 } `json:"freed_ms"`
		Samples []struct {
			GoneMS float64 `json:"gone_ms"`
		}
	}
	raw, err := json.Marshal(result{StandIns: s})
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &struct{ StandIns any }{&document}); err != nil {
		t.Fatal(err)
	}
	if document.Kills != 102 || document.FreedMS.Max != 70 || len(document.Samples) != 102 || document.Samples[98].GoneMS != 90 {
		t.Errorf("JSON is %+v", document)
	}
}

func TestSettingsAreReadFromTheEnvironment(t *testing.T) {
	for _, row := range []struct {
		env  map[string]string
		want settings
		bad  string
	}{
		{nil, settings{kills: 200, jvms: 10}, ""},
		{map[string]string{"KILLS": "3", "JVMS": "0", "OUT": "kills.json"}, settings{kills: 3, out: "kills.json"}, ""},
		{map[string]string{"KILLS": "many"}, settings{}, "KILLS"},
		{map[string]string{"JVMS": "-1"}, settings{}, "JVMS"},
		{map[string]string{"OUT": "/no/where/kills.json"}, settings{}, "OUT"},
	} {
		got, err := parseSettings(func(name string) string { return row.env[name] })
		switch {
		case row.bad == "" && (err != nil || got != row.want):
			t.Errorf("%v: %+v, %v, want %+v", row.env, got, err, row.want)
		case row.bad != "" && (err == nil || !strings.HasPrefix(err.Error(), row.bad+" is ")):
			t.Errorf("%v: error %v, want one about %s", row.env, err, row.bad)
		}
	}
}

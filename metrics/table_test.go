package metrics_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"flink-ha-sidecar/leader"
	"flink-ha-sidecar/metrics"
)

var row = regexp.MustCompile("(?m)^\\| `(flink_ha_[a-z_]+)` \\| (\\w+) \\|([^|]*)\\| ([^|]+) \\| ([^|]+) \\|$")

// TestTheTableInTheDocsIsTheCode: name, type and labels, both ways.
func TestTheTableInTheDocsIsTheCode(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := make(map[string]string)
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		labels := strings.Split(strings.ReplaceAll(strings.TrimSpace(m[3]), "`", ""), ", ")
		documented[m[1]] = m[2] + " " + strings.Join(labels, ",")
	}
	coded := codedMetrics(t)
	for name, want := range coded {
		if got := documented[name]; got != want {
			t.Errorf("%s is documented as %q, the code has %q", name, got, want)
		}
	}
	for name := range documented {
		if _, ok := coded[name]; !ok {
			t.Errorf("%s is documented and not in the code", name)
		}
	}
}

// codedMetrics registers and uses every metric, and maps name to type and labels.
func codedMetrics(t *testing.T) map[string]string {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	m := metrics.New(reg, "v", func() *leader.Snapshot {
		return &leader.Snapshot{View: leader.View{Lock: leader.LockHeld, Lease: 1, Renewed: died}}
	}, noVerdict)
	m.Request("get", "ok")
	m.Checked("rest", true)
	m.Event("sent")
	m.Election("acquired")
	m.Published("configmap", "ok")
	m.FollowerRefused("full")
	for _, d := range failover() {
		m.Decided(d)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	coded := make(map[string]string)
	for _, f := range families {
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		slices.Sort(labels)
		coded[f.GetName()] = strings.ToLower(dto.MetricType_name[int32(f.GetType())]) + " " + strings.Join(labels, ",")
	}
	return coded
}

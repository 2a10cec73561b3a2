package inject

import (
	"slices"
	"strings"
	"testing"

	"flink-ha-sidecar/internal/manifest"
)

const withProbe = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: jm
spec:
  template:
    spec:
      containers:
      - name: jobmanager
        image: flink:2.3
        args: [jobmanager, -Dhigh-availability.type=kubernetes, -Dkubernetes.cluster-id=demo]
`

const operatorWithProbe = `apiVersion: flink.apache.org/v1beta1
kind: FlinkDeployment
metadata:
  name: demo
spec:
  flinkConfiguration:
    high-availability.type: kubernetes
  podTemplate:
    spec:
      containers:
      - name: flink-main-container
        livenessProbe:
          tcpSocket: {port: 6123}
`

func TestALivenessProbeThatIsThereStays(t *testing.T) {
	t.Parallel()
	const tcp = "        livenessProbe:\n          tcpSocket: {port: 6123}\n"
	const own = "        livenessProbe:\n          exec: {command: [/run/flink-ha/bin/flink-ha, check-jobmanager, --socket, /x]}\n          periodSeconds: 60\n"
	for _, tt := range []struct {
		name, input string
		kept        string
		noted       bool
	}{
		{"none", withProbe, "", false},
		{"null is none", withProbe + "        livenessProbe:\n", "", false},
		{"another", withProbe + tcp, "tcpSocket: {port: 6123}", true},
		{"this check, otherwise", withProbe + own, "periodSeconds: 60", false},
		{"in the template for all pods of an operator's cluster", operatorWithProbe, "tcpSocket: {port: 6123}", true},
		{"in the JobManager's of an operator's cluster", strings.Replace(operatorWithProbe, "  podTemplate:", "  jobManager:\n   podTemplate:", 1), "tcpSocket: {port: 6123}", true},
	} {
		output, results := injected(t, tt.input, usual(), false)
		ours := strings.Contains(output, "command: ["+strings.Join(livenessCommand, ", ")+"]\n")
		if ours != (tt.kept == "") || !strings.Contains(output, tt.kept) {
			t.Errorf("%s: ours %v, want %q kept; output\n%s", tt.name, ours, tt.kept, output)
		}
		noted := slices.ContainsFunc(results[0].Notes, func(n string) bool {
			return strings.Contains(n, "keeps its own livenessProbe") && strings.Contains(n, "[/run/flink-ha/bin/flink-ha check-jobmanager]")
		})
		if noted != tt.noted {
			t.Errorf("%s: notes %q, want one %v", tt.name, results[0].Notes, tt.noted)
		}
		if again, _ := injected(t, output, usual(), false); again != output {
			t.Errorf("%s: the second run changed\n%s\ninto\n%s", tt.name, output, again)
		}
		without, _ := injected(t, output, Options{Remove: true}, false)
		if !strings.Contains(without, tt.kept) || tt.kept == "" && strings.Contains(without, "livenessProbe") {
			t.Errorf("%s: after removal\n%s", tt.name, without)
		}
	}
}

// TestOnlyOurProbeIsRemoved: one that somebody put in the place of ours is theirs,
// whatever the annotation says.
func TestOnlyOurProbeIsRemoved(t *testing.T) {
	t.Parallel()
	output, _ := injected(t, withProbe, usual(), false)
	const ours = "exec:\n            command: [/run/flink-ha/bin/flink-ha, check-jobmanager]"
	if !strings.Contains(output, ours) {
		t.Fatalf("no probe of ours in\n%s", output)
	}
	edited := strings.Replace(output, ours, "tcpSocket: {port: 6123}", 1)
	if without, _ := injected(t, edited, Options{Remove: true}, false); !strings.Contains(without, "tcpSocket: {port: 6123}") {
		t.Errorf("removed with ours:\n%s", without)
	}
	again, results := injected(t, edited, usual(), false)
	if !strings.Contains(again, "tcpSocket: {port: 6123}") || strings.Contains(again, ours) || len(results[0].Notes) != 1 {
		t.Errorf("notes %q, output\n%s", results[0].Notes, again)
	}
	annotations := manifest.Get(flinkDeploymentOf(t, again), "spec", "template", "metadata", "annotations")
	if added := manifest.Text(annotations, annotationAdded); strings.Contains(added, "livenessProbe") {
		t.Errorf("annotation %q counts it among what was added", added)
	}
}

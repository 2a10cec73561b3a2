package kube_test

import (
	"os/exec"
	"strings"
	"testing"

	"flink-ha-sidecar/lab/labtest"
	"flink-ha-sidecar/leader/kube"
)

// TestIntegrationFlinkReadsWhatWeWrite gives what Release would write to the
// parsers inside the Flink distributions, beside what they write themselves and
// what they must not be given.
func TestIntegrationFlinkReadsWhatWeWrite(t *testing.T) {
	cache := labtest.Cache(t)
	for _, version := range []string{"1.18.1", "1.20.3", "2.3.0"} {
		t.Run(version, func(t *testing.T) {
			flink, err := cache.Flink(t.Context(), version)
			if err != nil {
				t.Fatal(err)
			}
			var lines, want []string
			for _, annotation := range kube.WrittenRecords() {
				r, err := kube.ParseRecord(annotation)
				if err != nil {
					t.Fatal(err)
				}
				lines, want = append(lines, annotation, r.Freed()), append(want, "held "+r.Holder, "free")
			}
			for _, annotation := range kube.UnreadableRecords() {
				lines, want = append(lines, annotation), append(want, "unreadable")
			}
			java := exec.CommandContext(t.Context(), flink.JDK.Java(), "-cp", flink.Lib+"/*", "testdata/ReadRecords.java")
			java.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
			out, err := java.Output()
			if err != nil {
				t.Fatalf("run Flink's parser: %v", err)
			}
			got := strings.Split(strings.TrimSpace(string(out)), "\n")
			if len(got) != len(want) {
				t.Fatalf("got %d answers, want %d:\n%s", len(got), len(want), out)
			}
			for i := range want {
				if !strings.HasPrefix(got[i], want[i]) {
					t.Errorf("Flink %s reads %s\n as %q, want %q", version, lines[i], got[i], want[i])
				}
			}
		})
	}
}

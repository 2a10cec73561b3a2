package migrate

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden are inputs as they are found: each folder of testdata holds one.
var golden = []struct {
	name    string
	options Options
}{
	{"flink-conf", Options{ClusterID: "sessions", Namespace: "flink"}},
	{"flink-conf-1.15", Options{FlinkVersion: "1.15.4", StorageDir: "s3://flink/ha"}},
	{"config-nested", Options{ClusterID: "streaming"}},
	{"config-flow", Options{ClusterID: "jobs"}},
	{"config-end", Options{ClusterID: "jobs", Namespace: "jobs"}},
	{"config-flat", Options{StorageDir: "file:///ha", Namespace: "flink"}},
	{"standalone", Options{}},
	{"arguments", Options{ClusterID: "fraud"}},
	{"properties", Options{}},
	{"operator", Options{}},
	{"platform", Options{}},
	{"session-cluster", Options{}},
	{"platform-crd", Options{StorageDir: "s3://vvp/ha"}},
	{"helm-values", Options{}},
	{"mixed", Options{}},
}

func inputOf(t *testing.T, name string) Input {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", name, "*.yaml"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%s: %d files, %v; want one", name, len(files), err)
	}
	content, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	return Input{Name: filepath.Base(files[0]), Content: string(content)}
}

// TestGolden compares the migrated file, what is said of it, and the steps.
func TestGolden(t *testing.T) {
	t.Parallel()
	for _, tt := range golden {
		result, err := Migrate([]Input{inputOf(t, tt.name)}, tt.options)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		var b strings.Builder
		b.WriteString(result.Files[0].After)
		b.WriteString("\n======== notes\n")
		for _, n := range result.Notes {
			b.WriteString(n.String() + "\n")
		}
		if result.Cluster.ID != "" {
			b.WriteString("======== role\n")
			if err := WriteRole(&b, result.Cluster); err != nil {
				t.Fatal(err)
			}
		}
		file := filepath.Join("testdata", tt.name+".golden")
		if *update {
			if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if b.String() != string(want) {
			t.Errorf("%s: not as in %s (go test -update writes it anew); got\n%s", tt.name, file, b.String())
		}
	}
}

func TestAMigratedFileIsLeftAlone(t *testing.T) {
	t.Parallel()
	for _, tt := range golden {
		in := inputOf(t, tt.name)
		once, err := Migrate([]Input{in}, tt.options)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Migrate([]Input{{Name: in.Name, Content: once.Files[0].After}}, Options{})
		if err != nil || again.Files[0].After != once.Files[0].After || len(again.Ways) != 0 {
			t.Errorf("%s: migrated twice: %v, ways %v, output\n%s", tt.name, err, again.Ways, again.Files[0].After)
		}
	}
}

func TestWhatCannotBeRightIsRefusedByItsLine(t *testing.T) {
	t.Parallel()
	const conf = "# HA\nhigh-availability: vvp-kubernetes\n"
	const all = conf + "high-availability.storageDir: s3://b/ha\nkubernetes.cluster-id: a\n"
	const platform = "kind: Deployment\napiVersion: v1\nspec:\n  template:\n    spec:\n      artifact: {flinkVersion: '1.14'}\n      flinkConfiguration:\n        high-availability: vvp-kubernetes\n"
	for _, tt := range []struct {
		name, file, text string
		options          Options
		says             string
	}{
		{"no storage", "flink-conf.yaml", conf, Options{ClusterID: "a"}, "flink-conf.yaml:2: high-availability.storageDir is not set"},
		{"no id", "flink-conf.yaml", conf, Options{StorageDir: "s3://b/ha"}, "flink-conf.yaml:2: kubernetes.cluster-id is not set: give --cluster-id"},
		{"another id", "flink-conf.yaml", all, Options{ClusterID: "b"}, "flink-conf.yaml:2: --cluster-id b contradicts kubernetes.cluster-id: a"},
		{"another storage", "config.yaml", all, Options{StorageDir: "s3://c/ha"}, "config.yaml:2: --storage-dir s3://c/ha contradicts"},
		{"Flink before its HA service", "flink-conf.yaml", all, Options{FlinkVersion: "1.11"}, "flink-conf.yaml:2: Flink 1.11 has no HA service"},
		{"the platform before it", "d.yaml", platform, Options{}, "d.yaml:8: with Flink 1.14 Ververica Platform knows vvp-kubernetes alone"},
		{"no version", "flink-conf.yaml", all, Options{FlinkVersion: "latest"}, `--flink-version "latest" is no version`},
		{"no id at all", "flink-conf.yaml", all, Options{ClusterID: "My_ID"}, `--cluster-id "My_ID" cannot begin the name of a ConfigMap`},
		{"no URI", "flink-conf.yaml", all, Options{StorageDir: "/ha"}, `--storage-dir "/ha" is no URI`},
		{"no YAML", "x.yaml", "a: [\nhigh-availability: vvp-kubernetes\n", Options{}, "x.yaml:"},
	} {
		_, err := Migrate([]Input{{Name: tt.file, Content: tt.text}}, tt.options)
		if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want one line with %q", tt.name, err, tt.says)
		}
	}
}

func TestTheServiceIsSpelledForTheVersion(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		version, key string
		standard     bool
		wantKey      string
		wantValue    string
	}{
		{"", keyLegacy, false, keyLegacy, "kubernetes"},
		{"", keyType, false, keyType, "kubernetes"},
		{"", keyLegacy, true, keyType, "kubernetes"},
		{"v1_12", keyLegacy, false, keyLegacy, factory},
		{"1.15.4-stream1-scala_2.12-java11", keyLegacy, false, keyLegacy, factory},
		{"v1_16", keyLegacy, false, keyLegacy, "kubernetes"},
		{"1.17", keyLegacy, false, keyType, "kubernetes"},
		{"2.3.0", keyLegacy, false, keyType, "kubernetes"},
	} {
		if key, value := versionOf(tt.version).spelling(tt.key, tt.standard); key != tt.wantKey || value != tt.wantValue {
			t.Errorf("Flink %q, %s: %s: %s, want %s: %s", tt.version, tt.key, key, value, tt.wantKey, tt.wantValue)
		}
	}
	for image, want := range map[string]version{
		"flink:1.17.2-scala_2.12-java11": {1, 17}, "r.example.com:5000/a/flink:2.0": {2, 0}, "my-flink:1.20@sha256:ab": {1, 20},
		"orders:3.1": {}, "flink": {}, "flink:latest": {}, "r.example.com:5000/flink": {},
	} {
		if got := imageVersion(image); got != want {
			t.Errorf("%s: %v, want %v", image, got, want)
		}
	}
}

// TestDiffsApply lets patch itself apply them.
func TestDiffsApply(t *testing.T) {
	t.Parallel()
	patch, err := exec.LookPath("patch")
	if err != nil {
		t.Skip("patch is missing")
	}
	for _, tt := range golden {
		in := inputOf(t, tt.name)
		result, err := Migrate([]Input{in}, tt.options)
		if err != nil {
			t.Fatal(err)
		}
		applies(t, patch, tt.name, result.Files[0])
	}
	applies(t, patch, "far apart", Output{Name: "x", Before: "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n", After: "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n10\nx\n12\n"})
	applies(t, patch, "near", Output{Name: "x", Before: "1\n2\n3\n4\n5\n6\n7\n", After: "1\nx\n3\n4\n5\n6\ny\n7\n"})
	applies(t, patch, "made", Output{Name: "x", Before: "", After: "1\n2\n"})
	applies(t, patch, "no end", Output{Name: "x", Before: "1\n2", After: "1\n2\n3"})
}

func applies(t *testing.T, patch, name string, o Output) {
	t.Helper()
	var diff strings.Builder
	if err := o.WriteDiff(&diff); err != nil {
		t.Fatal(err)
	}
	if o.Before == o.After {
		if diff.Len() > 0 {
			t.Errorf("%s: nothing has changed, the diff is\n%s", name, diff.String())
		}
		return
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(o.Before), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), patch, "--binary", "--fuzz=0", file)
	c.Stdin = strings.NewReader(diff.String())
	if out, err := c.CombinedOutput(); err != nil || strings.Contains(string(out), "offset") {
		t.Fatalf("%s: patch: %v: %s\n%s", name, err, out, diff.String())
	}
	if got, _ := os.ReadFile(file); string(got) != o.After {
		t.Errorf("%s: the diff makes\n%s\nwant\n%s", name, got, o.After)
	}
}

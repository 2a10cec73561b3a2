package inject

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"flink-ha-sidecar/internal/manifest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// usual are the options of the command line's defaults.
func usual(change ...func(*Options)) Options {
	o := Options{Image: "registry.example.com/flink-ha:0.1", SharePIDs: true, CPU: "20m", Memory: "48Mi", Port: defaultPort}
	for _, c := range change {
		c(&o)
	}
	return o
}

var golden = []struct {
	name, input, want string
	options           Options
}{
	{"application", "../../deploy/examples/application.yaml", "../../deploy/examples/injected/application.yaml", usual()},
	{"session", "../../deploy/examples/session.yaml", "../../deploy/examples/injected/session.yaml", usual()},
	{"operator", "../../deploy/examples/flinkdeployment.yaml", "../../deploy/examples/injected/flinkdeployment.yaml", usual()},
	{"comments, four of them", "testdata/comments.yaml", "testdata/comments.golden", usual()},
	{"classic", "testdata/comments.yaml", "testdata/classic.golden", usual(func(o *Options) { o.Classic = true })},
	{"guaranteed, host network, secrets", "testdata/guaranteed.yaml", "testdata/guaranteed.golden", usual(func(o *Options) {
		o.ImagePullSecrets, o.ImagePullPolicy, o.Port = []string{"own", "ours"}, "Always", 9088
	})},
	{"configuration in the environment, ZooKeeper", "testdata/properties.yaml", "testdata/properties.golden", usual(func(o *Options) { o.SharePIDs = false })},
	{"a list in JSON", "testdata/list.json", "testdata/list.golden", usual()},
	{"anchors shared with a TaskManager", "testdata/anchors.yaml", "testdata/anchors.golden", usual()},
	{"sidecars that elect", "testdata/vvp.yaml", "testdata/vvp.golden", usual(func(o *Options) { o.Backend, o.ResumeFrom = backendVVP, "/checkpoints" })},
	{"sidecars that elect, a command of its own", "testdata/vvp-command.yaml", "testdata/vvp-command.golden", usual(func(o *Options) { o.Backend = backendVVP })},
	{"operator without templates", "testdata/operator-bare.yaml", "testdata/operator-bare.golden", usual(func(o *Options) { o.ImagePullSecrets = []string{"ours"} })},
	{"operator that merges by position", "testdata/operator-position.yaml", "testdata/operator-position.golden", usual(func(o *Options) {
		o.ImagePullSecrets = []string{"ours"}
	})},
	{"operator that merges by name", "testdata/operator-name.yaml", "testdata/operator-name.golden", usual()},
	{"operator below 1.9", "testdata/operator-position.yaml", "testdata/operator-classic.golden", usual(func(o *Options) { o.OperatorVersion = "1.8.0" })},
}

// injected is what becomes of a text, and of its clusters with role.
func injected(t *testing.T, text string, o Options, role bool) (string, []Result) {
	t.Helper()
	f, err := manifest.Parse("input", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	results, err := Inject([]*manifest.File{f}, o)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	if role {
		var clusters []Cluster
		for _, r := range results {
			clusters = append(clusters, r.Cluster)
		}
		b.WriteString("---\n")
		if err := WriteRoles(&b, clusters, false); err != nil {
			t.Fatal(err)
		}
		b.WriteString("---\n")
		if err := WriteServices(&b, clusters, o.Port); err != nil && !strings.Contains(clusters[0].ID, "/") { // which makes no name
			t.Fatal(err)
		}
	}
	return b.String(), results
}

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestGoldenManifests(t *testing.T) {
	t.Parallel()
	for _, tt := range golden {
		got, _ := injected(t, read(t, tt.input), tt.options, strings.HasPrefix(tt.input, "../../deploy"))
		if *update {
			if err := os.WriteFile(tt.want, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want := read(t, tt.want); got != want {
			t.Errorf("%s: not as in %s (go test -update writes it anew); got\n%s", tt.name, filepath.Base(tt.want), got)
		}
	}
}

func TestTwiceGivesTheSameBytes(t *testing.T) {
	t.Parallel()
	for _, tt := range golden {
		once, _ := injected(t, read(t, tt.input), tt.options, false)
		again, results := injected(t, once, tt.options, false)
		if again != once {
			t.Errorf("%s: the second run changed\n%s\ninto\n%s", tt.name, once, again)
		}
		if len(results) != 1 || results[0].Changed {
			t.Errorf("%s: the second run found %+v, want one manifest, unchanged", tt.name, results)
		}
	}
}

func TestANewVersionTakesTheOldOnesPlace(t *testing.T) {
	t.Parallel()
	for _, tt := range golden {
		old, next := tt.options, tt.options
		old.Image, old.Classic, old.ImagePullSecrets, old.Memory = "old:1", !old.Classic, []string{"old"}, "64Mi"
		want, _ := injected(t, read(t, tt.input), next, false)
		before, _ := injected(t, read(t, tt.input), old, false)
		if got, _ := injected(t, before, next, false); got != want {
			t.Errorf("%s: over an old version\n%s\nwant\n%s", tt.name, got, want)
		}
	}
}

// TestRemoveRestores goes by the bytes: the inputs are in the style that is written,
// but for what has to be written out.
func TestRemoveRestores(t *testing.T) {
	t.Parallel()
	for _, tt := range golden {
		input := read(t, tt.input)
		with, _ := injected(t, input, tt.options, false)
		without, results := injected(t, with, Options{Remove: true}, false)
		if len(results) != 1 || !results[0].Changed {
			t.Errorf("%s: removed from %+v, want one manifest", tt.name, results)
		}
		if strings.Contains(without, "flink-ha") {
			t.Errorf("%s: something is left:\n%s", tt.name, without)
		}
		if !sameContent(t, input, without) {
			t.Errorf("%s: after removal\n%s\nwant\n%s", tt.name, without, input)
		}
		if strings.HasPrefix(tt.input, "../../deploy") && without != input {
			t.Errorf("%s: the bytes differ after removal:\n%s", tt.name, without)
		}
		if again, results := injected(t, input, Options{Remove: true}, false); again != input || len(results) != 0 {
			t.Errorf("%s: removing nothing changed something", tt.name)
		}
	}
}

func sameContent(t *testing.T, a, b string) bool {
	t.Helper()
	x, errX := manifest.Parse("a", []byte(a))
	y, errY := manifest.Parse("b", []byte(b))
	if errX != nil || errY != nil || len(x.Documents) != len(y.Documents) {
		return false
	}
	for i := range x.Documents {
		p, q := x.Documents[i].Root, y.Documents[i].Root
		if (p == nil) != (q == nil) {
			return false
		}
		if p == nil {
			continue
		}
		p, errX = manifest.Plain(p)
		q, errY = manifest.Plain(q)
		if errX != nil || errY != nil || !manifest.Equal(p, q) {
			return false
		}
	}
	return true
}

func TestEverythingElsePassesByteForByte(t *testing.T) {
	t.Parallel()
	input := read(t, "testdata/comments.yaml")
	output, _ := injected(t, input, usual(), false)
	before, _, _ := strings.Cut(input, "\n# The JobManagers.")
	_, after, _ := strings.Cut(input, "      # The end.\n")
	for _, part := range []string{before, after} {
		if part == "" || !strings.Contains(output, part) {
			t.Errorf("the output lacks these bytes:\n%s\n\nit is\n%s", part, output)
		}
	}
	for _, line := range strings.Split(input, "\n") {
		if _, comment, found := strings.Cut(line, "#"); found && !strings.Contains(output, "#"+comment) {
			t.Errorf("the comment %q is lost", comment)
		}
	}
}

// TestTheOperatorsMergeOnlyAdds lays the templates over one another as the
// operator does, both ways: what was there must come out as before.
func TestTheOperatorsMergeOnlyAdds(t *testing.T) {
	t.Parallel()
	for _, tt := range golden {
		if !strings.Contains(tt.input, "operator") && !strings.Contains(tt.input, "flinkdeployment") {
			continue
		}
		output, _ := injected(t, read(t, tt.input), tt.options, false)
		before, after := flinkDeploymentOf(t, read(t, tt.input)), flinkDeploymentOf(t, output)
		for _, byName := range []bool{false, true} {
			if byName && tt.input == "testdata/operator-position.yaml" || !byName && tt.input == "testdata/operator-name.yaml" {
				continue // such templates come out wrong without us as well
			}
			want := templatesOf(before, byName)
			got := templatesOf(after, byName)
			sidecars := 0
			for _, list := range []string{"containers", "initContainers"} {
				for _, c := range manifest.List(got, "spec", list) {
					if isOurs(c) {
						sidecars++
						if manifest.Text(c, "image") != tt.options.Image {
							t.Errorf("%s, by name %v: ours is mixed with another: %s", tt.name, byName, text(t, c))
						}
					}
				}
			}
			if sidecars != 2 {
				t.Errorf("%s, by name %v: %d containers of ours, want 2", tt.name, byName, sidecars)
			}
			main := manifest.Named(got, flinkContainer, "spec", "containers")
			if manifest.Text(manifest.Named(main, volumeName, "volumeMounts"), "mountPath") != mountPath {
				t.Errorf("%s, by name %v: the JobManager's container lacks the mount: %s", tt.name, byName, text(t, main))
			}
			if !slices.Equal(manifest.Texts(main, "livenessProbe", "exec", "command"), livenessCommand) {
				t.Errorf("%s, by name %v: the JobManager's container lacks the probe: %s", tt.name, byName, text(t, main))
			}
			if want == nil {
				continue
			}
			without(got)
			if !manifest.Equal(want, got) {
				t.Errorf("%s, by name %v: without ours it is\n%s\nwant\n%s", tt.name, byName, text(t, got), text(t, want))
			}
		}
	}
}

// without takes out what may have been added, by the names in these tests.
func without(pod *yaml.Node) {
	drop := func(n *yaml.Node, names []string, path ...string) {
		list := manifest.Get(n, path...)
		if list == nil {
			return
		}
		list.Content = slices.DeleteFunc(list.Content, func(e *yaml.Node) bool { return slices.Contains(names, manifest.Text(e, "name")) })
		manifest.Prune(n, path...)
	}
	for _, c := range manifest.List(pod, "spec", "containers") {
		drop(c, []string{volumeName}, "volumeMounts")
		if slices.Equal(manifest.Texts(c, "livenessProbe", "exec", "command"), livenessCommand) {
			manifest.Delete(c, "livenessProbe")
		}
	}
	for _, list := range []string{"containers", "initContainers", "volumes", "imagePullSecrets"} {
		drop(pod, []string{sidecarName, installName, "ours"}, "spec", list)
	}
	manifest.Delete(manifest.Get(pod, "spec"), "shareProcessNamespace")
	manifest.Delete(manifest.Get(pod, "metadata", "labels"), LabelCluster)
	manifest.Delete(manifest.Get(pod, "metadata", "annotations"), annotationAdded)
	manifest.Prune(pod, "metadata", "labels")
	manifest.Prune(pod, "metadata", "annotations")
}

func flinkDeploymentOf(t *testing.T, content string) *yaml.Node {
	t.Helper()
	f, err := manifest.Parse("x", []byte(content))
	if err != nil {
		t.Fatal(err)
	}
	return f.Documents[0].Body()
}

func templatesOf(o *yaml.Node, byName bool) *yaml.Node {
	return merged(manifest.Get(o, "spec", "podTemplate"), manifest.Get(o, "spec", "jobManager", "podTemplate"), byName)
}

func text(t *testing.T, n *yaml.Node) string {
	t.Helper()
	raw, err := yaml.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestTheLimitOfFollowersFollowsFromTheMemoryLimit(t *testing.T) {
	t.Parallel()
	for memory, want := range map[string]string{"48Mi": "710", "128Mi": "2760", "20Mi": "10", "8Mi": "10", "1Gi": "25700"} {
		if got := burstable.followers(memory); got != want {
			t.Errorf("%s: %s followers, want %s", memory, got, want)
		}
	}
	if got := bestEffort.followers("48Mi"); got != "" {
		t.Errorf("without a limit %q, want the program's default", got)
	}
}

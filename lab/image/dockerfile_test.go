package image

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// dockerfile is what the last stage of the Dockerfile makes, and how the program
// in it is built.
type dockerfile struct {
	user       string
	entrypoint []string
	labels     map[string]string
	files      []string
	args       map[string]string
	build      string
}

func readDockerfile(t *testing.T, file string) dockerfile {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := dockerfile{}
	for line := range strings.Lines(string(content)) {
		instruction, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch instruction {
		case "FROM": // each stage begins with nothing
			d = dockerfile{build: d.build, labels: map[string]string{}, args: map[string]string{}}
			if !strings.Contains(rest, "AS build") && rest != "scratch" {
				t.Errorf("the image stands on %s, want scratch", rest)
			}
		case "RUN":
			if strings.Contains(rest, "go build") {
				d.build = rest
			}
		case "USER":
			d.user = rest
		case "ENTRYPOINT":
			if err := json.Unmarshal([]byte(rest), &d.entrypoint); err != nil {
				t.Fatalf("ENTRYPOINT %s: %v", rest, err)
			}
		case "LABEL":
			name, value, _ := strings.Cut(rest, "=")
			d.labels[name] = strings.Trim(value, `"`)
		case "ARG":
			name, value, _ := strings.Cut(rest, "=")
			d.args[name] = value
		case "COPY":
			fields := strings.Fields(rest)
			d.files = append(d.files, fields[len(fields)-1])
		case "ENV", "WORKDIR", "CMD", "VOLUME", "EXPOSE", "ADD", "HEALTHCHECK", "STOPSIGNAL":
			if len(d.args) > 0 && instruction != "WORKDIR" {
				t.Errorf("the Dockerfile has %s, which make image does not know", instruction)
			}
		}
	}
	return d
}

func TestImageIsTheDockerfiles(t *testing.T) {
	d := readDockerfile(t, "../../Dockerfile")
	i := Sidecar("docker.io/library/flink-ha-sidecar:$VERSION", "$VERSION", "amd64", nil, nil)
	if i.User != d.user {
		t.Errorf("user %q, the Dockerfile has %q", i.User, d.user)
	}
	if !regexp.MustCompile(`^[1-9]\d*(:\d+)?$`).MatchString(d.user) {
		t.Errorf("user %q: runAsNonRoot needs a number that is not 0", d.user)
	}
	if !slices.Equal(i.Entrypoint, d.entrypoint) {
		t.Errorf("entry point %q, the Dockerfile has %q", i.Entrypoint, d.entrypoint)
	}
	if !maps.Equal(i.Labels, d.labels) {
		t.Errorf("labels %q, the Dockerfile has %q", i.Labels, d.labels)
	}
	var files []string
	for _, f := range i.Files {
		files = append(files, f.Path)
	}
	slices.Sort(files)
	slices.Sort(d.files)
	if !slices.Equal(files, d.files) {
		t.Errorf("files %q, the Dockerfile has %q", files, d.files)
	}
	flags := BuildFlags("$VERSION")
	flags[len(flags)-1] = `"` + flags[len(flags)-1] + `"`
	if want := "CGO_ENABLED=0 GOOS=linux GOARCH=$TARGETARCH go build " + strings.Join(flags, " ") + " -o /flink-ha ."; d.build != want {
		t.Errorf("built with\n%s\nthe Dockerfile has\n%s", want, d.build)
	}
}

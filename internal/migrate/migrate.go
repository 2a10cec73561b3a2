// Package migrate moves the configurations of Flink clusters from the HA service of
// Ververica Platform, vvp-kubernetes, to Flink's own on Kubernetes. It changes what
// it understands, and names everything else by file and line.
package migrate

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Options answer what the files leave open.
type Options struct {
	// ClusterID, Namespace and StorageDir are those of Flink's HA service.
	ClusterID  string
	Namespace  string
	StorageDir string
	// FlinkVersion is as in "1.17" or "1.17.2"; empty: as far as the files tell.
	FlinkVersion string
}

// Input is one file.
type Input struct {
	Name    string
	Content string
}

// Output is what became of one.
type Output struct {
	Name          string
	Before, After string
}

// Result is all of it, in the order of the input.
type Result struct {
	Files []Output
	// Notes are for people: what was changed, and what is left for them.
	Notes []Note
	// Cluster is what the rights depend on; without an ID there is nothing to grant.
	Cluster Cluster
	// Ways are how the clusters are run, each once: the steps depend on them.
	Ways []Way
}

// Note is a remark about one line; Line is 0 for the file as a whole.
type Note struct {
	File string
	Line int
	Text string
}

// String is "file:line: text".
func (n Note) String() string {
	if n.Line == 0 {
		return n.File + ": " + n.Text
	}
	return fmt.Sprintf("%s:%d: %s", n.File, n.Line, n.Text)
}

// Cluster is where Flink's HA service keeps its ConfigMaps, and for whom.
type Cluster struct {
	ID             string
	Namespace      string
	Pods           string
	ServiceAccount string
}

// Way is how a cluster is run.
type Way int

const (
	// ByHand: from manifests or a configuration directory.
	ByHand Way = iota
	// ByOperator: a FlinkDeployment of the Flink Kubernetes operator.
	ByOperator
	// ByPlatform: a Deployment or SessionCluster of Ververica Platform.
	ByPlatform
)

// oldName is the HA service's that is left.
const oldName = "vvp-kubernetes"

// Migrate changes every configuration that names the old service. What cannot be
// right it refuses by name, and then nothing may be written.
func Migrate(inputs []Input, o Options) (Result, error) {
	r := &run{Options: o}
	if err := r.check(); err != nil {
		return Result{}, err
	}
	var files []*source
	for _, in := range inputs {
		s, err := read(in)
		if err != nil {
			return Result{}, err
		}
		files = append(files, s)
	}
	for _, s := range files { // one file may tell what another one needs
		r.learn(s)
	}
	for _, s := range files {
		if err := r.file(s); err != nil {
			return Result{}, err
		}
	}
	return r.result, nil
}

// run is one call of Migrate.
type run struct {
	Options
	version version
	told    settings
	facts   facts
	result  Result
}

func (r *run) check() error {
	if r.FlinkVersion != "" {
		if r.version = versionOf(r.FlinkVersion); !r.version.known() {
			return fmt.Errorf("--flink-version %q is no version, as in 1.17", r.FlinkVersion)
		}
	}
	for flag, name := range map[string]string{"--cluster-id": r.ClusterID, "--namespace": r.Namespace} {
		if problems := validation.IsDNS1123Label(name); name != "" && len(problems) > 0 {
			return fmt.Errorf("%s %q cannot begin the name of a ConfigMap (lower-case letters, digits and '-', at most 63)", flag, name)
		}
	}
	if r.StorageDir != "" && !strings.Contains(r.StorageDir, ":/") {
		return fmt.Errorf("--storage-dir %q is no URI, as in s3://bucket/ha or file:///ha", r.StorageDir)
	}
	r.told = settings{}
	return nil
}

// file changes one file and says what it did there.
func (r *run) file(s *source) error {
	s.changed = map[int]bool{}
	if err := r.change(s); err != nil {
		return err
	}
	after, err := s.text()
	if err != nil {
		return err
	}
	r.leftovers(s)
	r.result.Files = append(r.result.Files, Output{Name: s.name, Before: s.content, After: after})
	return nil
}

// leftovers names what still speaks of the old service.
func (r *run) leftovers(s *source) {
	number, found := 0, len(s.changed) > 0
	for line := range strings.Lines(s.content) {
		number++
		text, _, _ := strings.Cut(line, "#")
		lower := strings.ToLower(text)
		switch {
		case !strings.Contains(lower, oldName) || s.changed[number]:
			continue
		case strings.Contains(lower, "high-availability."+oldName+"."):
			r.note(s, number, "an option of the old service, not changed: Flink's own does not know it, Ververica Platform may")
		default:
			r.note(s, number, oldName+" is named where this program does not know what it means, not changed")
		}
		found = true
	}
	if !found {
		r.note(s, 0, "does not name "+oldName+", not changed")
	}
}

func (r *run) note(s *source, line int, format string, args ...any) {
	text := format
	if len(args) > 0 {
		text = fmt.Sprintf(format, args...)
	}
	n := Note{File: s.name, Line: line, Text: text}
	if !slices.Contains(r.result.Notes, n) {
		r.result.Notes = append(r.result.Notes, n)
	}
}

func (r *run) ranBy(way Way) {
	if !slices.Contains(r.result.Ways, way) {
		r.result.Ways = append(r.result.Ways, way)
	}
}

// isLegacy tells the file that is read line by line, isStandard the one that is
// YAML, by the names that Flink knows.
func isLegacy(name string) bool   { return path.Base(name) == "flink-conf.yaml" }
func isStandard(name string) bool { return path.Base(name) == "config.yaml" }

package command

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"flink-ha-sidecar/internal/inject"
	"flink-ha-sidecar/internal/manifest"
)

func newInject() *cobra.Command {
	var o inject.Options
	var beside besides
	var recursive bool
	c := &cobra.Command{
		Use:   "inject [FILE|DIR|-]...",
		Short: "Add the sidecar to the JobManagers of Kubernetes manifests",
		Long: `Add the sidecar to the JobManagers of Kubernetes manifests: Deployments and the
operator's FlinkDeployments. Everything else is passed on as it is. Manifests are
read from files, from the .yaml, .yml and .json files of folders, or from standard
input, and are written to standard output; if one of them is refused, nothing is.`,
		Example: `  flink-ha inject --image IMAGE flink.yaml | kubectl apply -f -
  flink-ha inject --image IMAGE --role only flink.yaml | kubectl apply -f -
  flink-ha inject --remove flink.yaml
  helm install ... --post-renderer flink-ha --post-renderer-args inject --post-renderer-args --image=IMAGE`,
		RunE: func(c *cobra.Command, args []string) error {
			if !slices.Contains([]string{"none", "add", "only"}, beside.role) {
				return usageError{fmt.Errorf("--role %q is none of none, add, only", beside.role)}
			}
			if beside.owner && beside.role == "none" {
				return usageError{errors.New("--owner-rights are part of the Role: give --role add or --role only")}
			}
			if o.Image == "" && beside.role == "only" {
				o.Image = "flink-ha" // it is not written
			}
			if err := o.Check(); err != nil {
				return usageError{err}
			}
			files, err := readManifests(args, recursive, c.InOrStdin())
			if err != nil {
				return err
			}
			return runInject(files, o, beside, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	injectFlags(c.Flags(), &o)
	c.Flags().StringVar(&beside.role, "role", "none", "the Role that the sidecars need beside Flink's own, and its binding: none, add (behind the manifests), only (in place of them)")
	c.Flags().BoolVar(&beside.owner, "owner-rights", false, "with --role: the rights to see what controls the pod, so that what the sidecars publish is removed with the cluster")
	c.Flags().BoolVar(&beside.services, "services", false, "behind all this the Services of discovery: <cluster-id>-ha-leader reaches the leader's REST, <cluster-id>-ha-sidecars is for followers")
	c.Flags().BoolVarP(&recursive, "recursive", "R", false, "read folders with all that is below them")
	c.Flags().SortFlags = false
	return c
}

// besides is what is written beside the manifests.
type besides struct {
	role     string
	owner    bool
	services bool
}

func injectFlags(f *pflag.FlagSet, o *inject.Options) {
	f.StringVar(&o.Image, "image", "", "image with this program; required")
	f.StringVar(&o.ImagePullPolicy, "image-pull-policy", "", "Always, IfNotPresent or Never (default: Kubernetes' own)")
	f.StringArrayVar(&o.ImagePullSecrets, "image-pull-secret", nil, "Secret for the registry of the image; may be repeated")
	f.BoolVar(&o.Remove, "remove", false, "take out again what was added")
	f.BoolVar(&o.Classic, "classic", false, "an ordinary container in place of a native sidecar: for Kubernetes below 1.29")
	f.StringVar(&o.OperatorVersion, "operator-version", "", "of the Flink Kubernetes operator; below 1.9 its FlinkDeployments get --classic")
	f.BoolVar(&o.SharePIDs, "share-pids", true, "let the sidecar see the JobManager's process (shareProcessNamespace); false: the kubelet's word alone")
	f.StringVar(&o.CPU, "cpu", "20m", "CPU that the sidecar requests")
	f.StringVar(&o.Memory, "memory", "48Mi", "memory that the sidecar requests, and its limit; --max-followers of the sidecar follows from it")
	f.IntVar(&o.Port, "port", 8088, "port of the sidecar's probes and metrics")
	f.StringVar(&o.Deployment, "deployment", "", "name of the one Deployment or FlinkDeployment to take, whatever it looks like")
	f.StringVar(&o.Container, "container", "", "the JobManager's container, where it cannot be told")
	f.StringVar(&o.ClusterID, "cluster-id", "", "cluster id, where the manifests do not tell (default: Flink's kubernetes.cluster-id)")
	f.StringVar(&o.Backend, "backend", "", "HA service, where the manifests do not tell: kubernetes or zookeeper; or vvp-kubernetes, where the sidecars elect")
	f.StringVar(&o.ResumeFrom, "resume-from", "", "with vvp-kubernetes: folder in the JobManager's container with this job's checkpoints and savepoints")
	f.StringVar(&o.Namespace, "namespace", "", "namespace of the lock, where the manifests do not tell (default: Flink's kubernetes.namespace)")
}

// runInject writes nothing to out before everything is known to work.
func runInject(files []*manifest.File, o inject.Options, beside besides, out, notes io.Writer) error {
	results, err := inject.Inject(files, o)
	if err != nil {
		return usageError{err}
	}
	var text bytes.Buffer
	if beside.role != "only" {
		if err := writeFiles(&text, files); err != nil {
			return err
		}
	}
	if !o.Remove && len(results) > 0 {
		if err := beside.write(&text, results, o.Port); err != nil {
			return usageError{err}
		}
	}
	tell(notes, results, o.Remove)
	_, err = out.Write(text.Bytes())
	return err
}

// write writes what the clusters of the results need.
func (b besides) write(text *bytes.Buffer, results []inject.Result, port int) error {
	var clusters []inject.Cluster
	for _, r := range results {
		clusters = append(clusters, r.Cluster)
	}
	if b.role != "none" {
		separate(text)
		if err := inject.WriteRoles(text, clusters, b.owner); err != nil {
			return err
		}
	}
	if !b.services {
		return nil
	}
	separate(text)
	return inject.WriteServices(text, clusters, port)
}

// tell says on stderr what was done.
func tell(w io.Writer, results []inject.Result, removed bool) {
	switch {
	case len(results) == 0 && removed:
		fmt.Fprintln(w, "flink-ha: no sidecar in the input, nothing is changed")
	case len(results) == 0:
		fmt.Fprintln(w, "flink-ha: no JobManager in the input, nothing is changed; --deployment names one that is not recognized")
	}
	for _, r := range results {
		switch {
		case !r.Changed:
			fmt.Fprintf(w, "flink-ha: %s: unchanged\n", r.Object)
		case removed:
			fmt.Fprintf(w, "flink-ha: %s: sidecar removed\n", r.Object)
		default:
			fmt.Fprintf(w, "flink-ha: %s: sidecar added, cluster id %s\n", r.Object, r.Cluster.ID)
		}
		for _, note := range r.Notes {
			fmt.Fprintf(w, "flink-ha: %s: note: %s\n", r.Object, note)
		}
	}
}

// writeFiles joins files by markers where they bring none of their own.
func writeFiles(text *bytes.Buffer, files []*manifest.File) error {
	for _, f := range files {
		var b bytes.Buffer
		if err := f.Write(&b); err != nil {
			return err
		}
		if !bytes.HasPrefix(b.Bytes(), []byte("---")) {
			separate(text)
		}
		text.Write(b.Bytes())
	}
	return nil
}

// separate ends the document before what comes next.
func separate(text *bytes.Buffer) {
	switch b := text.Bytes(); {
	case len(b) == 0, bytes.HasSuffix(b, []byte("\n---\n")):
		return
	case b[len(b)-1] != '\n':
		text.WriteByte('\n')
	}
	text.WriteString("---\n")
}

const stdin = "standard input"

// readManifests reads all arguments; none means standard input.
func readManifests(args []string, recursive bool, in io.Reader) ([]*manifest.File, error) {
	if len(args) == 0 {
		args = []string{"-"}
	}
	var files []*manifest.File
	for _, arg := range args {
		paths := []string{arg}
		if arg != "-" {
			var err error
			if paths, err = manifestsAt(arg, recursive); err != nil {
				return nil, err
			}
		}
		for _, path := range paths {
			f, err := readManifest(path, in)
			if err != nil {
				return nil, err
			}
			files = append(files, f)
		}
	}
	return files, nil
}

func readManifest(path string, in io.Reader) (*manifest.File, error) {
	name, content, err := path, []byte(nil), error(nil)
	if path == "-" {
		name = stdin
		content, err = io.ReadAll(in)
	} else {
		content, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read manifests: %w", err)
	}
	f, err := manifest.Parse(name, content)
	if err != nil {
		return nil, usageError{err}
	}
	return f, nil
}

// manifestsAt is a file itself, or the manifests of a folder in the order of their
// names. A kustomization is no manifest.
func manifestsAt(path string, recursive bool) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, usageError{fmt.Errorf("read manifests: %w", err)}
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var found []string
	err = filepath.WalkDir(path, func(at string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && at != path && !recursive:
			return fs.SkipDir
		case e.IsDir():
		case slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(at)) && !isKustomization(e.Name()):
			found = append(found, at)
		}
		return nil
	})
	if err == nil && len(found) == 0 {
		err = errors.New("folder " + path + " holds no .yaml, .yml or .json file")
	}
	if err != nil {
		return nil, usageError{fmt.Errorf("read manifests: %w", err)}
	}
	return found, nil
}

func isKustomization(name string) bool {
	return name == "kustomization.yaml" || name == "kustomization.yml"
}

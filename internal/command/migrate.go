package command

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"flink-ha-sidecar/internal/migrate"
)

func newMigrate() *cobra.Command {
	var o migrate.Options
	var p printing
	var recursive bool
	c := &cobra.Command{
		Use:   "migrate [FILE|DIR|-]...",
		Short: "Move configurations from vvp-kubernetes to Flink's own HA service",
		Long: `Move configurations from the HA service of Ververica Platform, vvp-kubernetes, to
Flink's own on Kubernetes. It reads flink-conf.yaml and config.yaml, ConfigMaps with
one of them, Deployments, FlinkDeployments, and the resources of Ververica Platform,
and prints the same files, migrated; comments and order are kept. What it does not
understand it does not change, and names by file and line on stderr, where it also
tells the steps for a job that runs. Nothing is written to any file or cluster.`,
		Example: `  flink-ha migrate --diff flink-conf.yaml
  flink-ha migrate --cluster-id my-job --storage-dir s3://bucket/ha --role add jobmanager.yaml
  flink-ha migrate vvp-deployment.yaml > migrated.yaml`,
		RunE: func(c *cobra.Command, args []string) error {
			if !slices.Contains([]string{"none", "add", "only"}, p.role) {
				return usageError{fmt.Errorf("--role %q is none of none, add, only", p.role)}
			}
			if p.diff && p.role == "only" {
				return usageError{errors.New("--diff shows what changes in the files, --role only prints none of them: give one of the two")}
			}
			inputs, err := readConfigurations(args, recursive, c.InOrStdin())
			if err != nil {
				return err
			}
			result, err := migrate.Migrate(inputs, o)
			if err != nil {
				return usageError{err}
			}
			var text bytes.Buffer
			if err := p.print(&text, result); err != nil {
				return usageError{err}
			}
			tellMigrated(c.ErrOrStderr(), result, p)
			_, err = c.OutOrStdout().Write(text.Bytes())
			return err
		},
	}
	f := c.Flags()
	f.BoolVar(&p.diff, "diff", false, "print what changes, as a unified diff, in place of the files")
	f.StringVar(&o.ClusterID, "cluster-id", "", "Flink's kubernetes.cluster-id, where it is not set: one of its own for each cluster of a namespace")
	f.StringVar(&o.Namespace, "namespace", "", "Flink's kubernetes.namespace, where it is not set (default: that of the JobManager's manifest)")
	f.StringVar(&o.StorageDir, "storage-dir", "", "high-availability.storageDir, where it is not set, as in s3://bucket/ha")
	f.StringVar(&o.FlinkVersion, "flink-version", "", "as in 1.17, where the files do not tell: it decides how the HA service is spelled")
	f.StringVar(&p.role, "role", "none", "the Role that Flink's HA service needs, and its binding: none, add (behind the files), only (in place of them)")
	f.BoolVarP(&recursive, "recursive", "R", false, "read folders with all that is below them")
	f.SortFlags = false
	return c
}

// readConfigurations reads all arguments; none means standard input.
func readConfigurations(args []string, recursive bool, in io.Reader) ([]migrate.Input, error) {
	if len(args) == 0 {
		args = []string{"-"}
	}
	var inputs []migrate.Input
	for _, arg := range args {
		if arg == "-" {
			content, err := io.ReadAll(in)
			if err != nil {
				return nil, fmt.Errorf("read configurations: %w", err)
			}
			inputs = append(inputs, migrate.Input{Name: stdin, Content: string(content)})
			continue
		}
		paths, err := manifestsAt(arg, recursive)
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			content, err := os.ReadFile(path)
			if err != nil {
				return nil, usageError{fmt.Errorf("read configurations: %w", err)}
			}
			inputs = append(inputs, migrate.Input{Name: path, Content: string(content)})
		}
	}
	return inputs, nil
}

// printing is what goes to standard output.
type printing struct {
	diff bool
	role string
}

func (p printing) print(text *bytes.Buffer, result migrate.Result) error {
	for _, f := range result.Files {
		switch {
		case p.role == "only":
		case p.diff:
			if err := f.WriteDiff(text); err != nil {
				return err
			}
		default:
			if !strings.HasPrefix(f.After, "---") {
				separate(text)
			}
			text.WriteString(f.After)
		}
	}
	if p.role == "none" || p.diff {
		return nil
	}
	if result.Cluster.ID == "" {
		return errors.New("--role: no cluster of the input needs one; the operator and Ververica Platform give their clusters the rights themselves")
	}
	separate(text)
	return migrate.WriteRole(text, result.Cluster)
}

// tellMigrated says on stderr what was done, what is left, and in which order a
// running job is moved.
func tellMigrated(w io.Writer, result migrate.Result, p printing) {
	for _, n := range result.Notes {
		fmt.Fprintf(w, "flink-ha: %s\n", n)
	}
	if result.Cluster.ID != "" && p.role == "none" {
		fmt.Fprintln(w, "flink-ha: Flink's HA service needs get, list, watch, create, update, patch and delete on configmaps; --role add prints the Role")
	}
	for _, way := range result.Ways {
		fmt.Fprintln(w, "flink-ha: steps for a job that runs, in this order:")
		for i, step := range way.Steps() {
			fmt.Fprintf(w, "  %d. %s\n", i+1, step)
		}
	}
}

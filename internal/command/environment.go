package command

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// prefix begins every variable of ours: --log-level is FLINK_HA_LOG_LEVEL.
const prefix = "FLINK_HA_"

// foreign are variables with our prefix that are not ours: the service links
// that Kubernetes sets in every container for Services named flink-ha... (their
// form: Kubernetes documentation, "Environment variables" of a Service), and the
// lab's.
var foreign = regexp.MustCompile(`^FLINK_HA_(LAB_.*|(.*_)?SERVICE_(HOST|PORT(_.*)?)|(.*_)?PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// fromEnvironment sets every flag that the command line left alone from its
// variable. A variable that names no flag of any subcommand is refused: a
// misspelt one would otherwise be a silent default.
func fromEnvironment(flags *pflag.FlagSet, environ []string) error {
	slices.Sort(environ)
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		rest, ours := strings.CutPrefix(name, prefix)
		if !ours || foreign.MatchString(name) {
			continue
		}
		f := flags.Lookup(strings.ReplaceAll(strings.ToLower(rest), "_", "-"))
		if f == nil {
			return usageError{fmt.Errorf("environment variable %s: there is no such setting; 'flink-ha run --help' lists them", name)}
		}
		if f.Changed {
			continue
		}
		if err := flags.Set(f.Name, value); err != nil {
			return usageError{fmt.Errorf("environment variable %s: %w", name, err)}
		}
	}
	return nil
}

package command

import (
	"errors"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"flink-ha-sidecar/internal/gatekeeper"
)

// exiting ends the program with the status of another one; its error may be nil.
type exiting struct {
	error
	status int
}

func (e exiting) Unwrap() error { return e.error }

func (e exiting) Error() string {
	if e.error == nil {
		return "the command has ended"
	}
	return e.error.Error()
}

func newGate(environ []string) *cobra.Command {
	return gateCommand("gate", environ, func(c *cobra.Command, s gatekeeper.Settings, args []string) (int, error) {
		return gatekeeper.Guard(c.Context(), s, append([]string{keeperName}, args...), c.ErrOrStderr())
	})
}

// keeperName is what a gate starts its inner process as, with the arguments that it
// got itself.
const keeperName = "gate-keeper"

func newKeeper(environ []string) *cobra.Command {
	c := gateCommand(keeperName, environ, func(c *cobra.Command, s gatekeeper.Settings, _ []string) (int, error) {
		return gatekeeper.Keep(c.Context(), s, c.ErrOrStderr())
	})
	c.Hidden = true
	return c
}

func gateCommand(name string, environ []string, run func(*cobra.Command, gatekeeper.Settings, []string) (int, error)) *cobra.Command {
	s := gatekeeper.Settings{Environ: environ}
	c := &cobra.Command{
		Use:   name + " [flags] -- COMMAND...",
		Short: "Run the JobManager only while the sidecar permits it (vvp-kubernetes)",
		Long: `Run a command, the JobManager, only while this pod's sidecar permits it: for the
HA service vvp-kubernetes, under which the JobManager runs without Flink's own HA.
It is the first process of the JobManager's container.

The sidecar's permits run out. Without a newer one the command gets SIGTERM, then
SIGKILL, together with all that it has started, whatever has become of the sidecar
or of either process of the gate. The gate then waits for the next permit. When the
command ends by itself, the sidecar is told at once, and the gate ends with its
status.

With --observe the command runs without permits, under an HA service of Flink's own,
and the gate is a witness of its end.`,
		Example: `  flink-ha gate -- /docker-entrypoint.sh jobmanager
  flink-ha gate --resume-from /checkpoints -- /docker-entrypoint.sh standalone-job --job-classname com.example.Job
  flink-ha gate --observe -- /docker-entrypoint.sh jobmanager`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 || args[0] == "" {
				return usageError{errors.New("gate needs the command to run; as in 'flink-ha gate -- /docker-entrypoint.sh jobmanager'")}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			given := c.Flags().Args()
			s.Command = args
			if err := fromEnvironment(c.Flags(), environ); err != nil {
				return err
			}
			debug.SetGCPercent(collectAt)
			status, err := run(c, s, asGiven(c.Flags(), given))
			if err != nil || status != 0 {
				return exiting{err, status}
			}
			return nil
		},
	}
	c.Flags().SetInterspersed(false)
	gateFlags(c.Flags(), &s)
	return c
}

// asGiven puts a command line together again.
func asGiven(f *pflag.FlagSet, args []string) []string {
	var all []string
	f.Visit(func(g *pflag.Flag) { all = append(all, "--"+g.Name+"="+g.Value.String()) })
	return append(append(all, "--"), args...)
}

func gateFlags(f *pflag.FlagSet, s *gatekeeper.Settings) {
	f.StringVar(&s.Socket, "socket", controlSocket(), "the sidecar's socket (its --socket)")
	f.BoolVar(&s.Observe, "observe", false, "run the command without permits, and tell the sidecar of its end")
	f.StringVar(&s.ResumeFrom, "resume-from", "", "directory with this job's checkpoints and savepoints: application mode starts from the newest that is complete")
	f.StringVar(&s.ResumeCommand, "resume-command", "", "command line for /bin/sh that prints what to resume from, or nothing; the command finds it in FLINK_RESUME_FROM too")
	f.BoolVar(&s.ResumeRequired, "resume-required", false, "do not start the JobManager if there is nothing to resume from")
	f.DurationVar(&s.ResumeTimeout, "resume-timeout", time.Minute, "how long the search or --resume-command may take")
	f.StringVar(&s.LogLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&s.LogFormat, "log-format", "json", "json or console")
	f.SortFlags = false
}

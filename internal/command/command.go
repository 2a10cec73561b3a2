// Package command is the command line: flags and their checks, one file a
// subcommand. What a subcommand does lives elsewhere.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"flink-ha-sidecar/internal/daemon"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	// exitUsage: the command line or the configuration cannot work; trying again
	// without changing it is no use.
	exitUsage = 2
)

// version is set by the linker: -X flink-ha-sidecar/internal/command.version=...
var version = ""

// Version names the build.
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return "devel-" + s.Value[:min(12, len(s.Value))]
			}
		}
	}
	return "devel"
}

// Main runs the command line and returns the exit code. An error is one line on
// stderr.
func Main(args, environ []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	root := newRoot(environ)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	var end exiting
	if errors.As(err, &end) && end.error == nil {
		return end.status
	}
	var pass passing
	if errors.As(err, &pass) {
		tellPassing(stderr, pass)
		return exitOK
	}
	fmt.Fprintf(stderr, "flink-ha: %s\n", strings.ReplaceAll(err.Error(), "\n", "; "))
	var usage usageError
	switch {
	case errors.As(err, &usage), errors.Is(err, daemon.ErrConfiguration):
		return exitUsage
	case end.status != 0:
		return end.status
	}
	return exitFailure
}

// usageError is a command line that cannot work.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func newRoot(environ []string) *cobra.Command {
	root := &cobra.Command{
		Use:           "flink-ha",
		Short:         "High availability of Apache Flink JobManagers: death is witnessed, not timed out",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %q; 'flink-ha --help' lists them", args[0])}
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; '%s --help' lists the flags", err, c.CommandPath())}
	})
	root.AddCommand(newRun(environ), newStatus(), newLeader(), newFollow(environ), newGate(environ), newKeeper(environ), newHistory(), newHandover(), newPause(), newResume(), newCheckJobManager(),
		newInject(), newMigrate(), newInstall(), newVersion())
	return root
}

// noArguments refuses arguments by name.
func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unexpected argument %q", args[0])}
	}
	return nil
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: noArguments,
		Run: func(c *cobra.Command, _ []string) { fmt.Fprintln(c.OutOrStdout(), Version()) },
	}
}

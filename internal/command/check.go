package command

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"flink-ha-sidecar/internal/control"
)

// checkFor bounds the question: with the start of this program the whole stays
// below 300 ms, and the kubelet's shortest limit is 1 s.
const checkFor = 200 * time.Millisecond

// passing is trouble that must not fail a liveness probe: it is told, and the exit
// code is 0. A JobManager is never killed because its sidecar cannot be asked.
type passing struct{ error }

func (p passing) Unwrap() error { return p.error }

func newCheckJobManager() *cobra.Command {
	var socket string
	c := &cobra.Command{
		Use:   "check-jobmanager",
		Short: "Exit with 1 if this pod's JobManager is stuck; its container's exec livenessProbe",
		Long: `Ask the sidecar whether this pod's JobManager is stuck, for an exec
livenessProbe of the JobManager's container.

It exits with 1 only on a fresh, positive answer. A sidecar that is stopped, slow,
gone or of another version, and a command line that does not parse, let the probe
pass: then nothing is known of the JobManager.`,
		Args:               cobra.ArbitraryArgs,
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
		RunE: func(c *cobra.Command, _ []string) error {
			return checkJobManager(c.Context(), socket, containerAge())
		},
	}
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return passing{err} })
	c.Flags().StringVar(&socket, "socket", controlSocket(), "the sidecar's socket (its --socket)")
	return c
}

// controlSocket is where this pod's sidecar is asked, unless told otherwise.
func controlSocket() string {
	if path := os.Getenv(prefix + "SOCKET"); path != "" {
		return path
	}
	return control.DefaultPath
}

// checkJobManager asks. age is how old this container is, zero if that is not
// known: where PIDs are not shared the sidecar may take a JobManager that has just
// been started for the one before it.
func checkJobManager(ctx context.Context, socket string, age time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, checkFor)
	defer cancel()
	said, err := control.Check(ctx, socket)
	switch {
	case err != nil:
		return passing{err}
	case said.Format != control.CheckFormat:
		return passing{fmt.Errorf("the sidecar answers in format %d, this program reads %d", said.Format, control.CheckFormat)}
	case !said.Stuck:
		return nil
	}
	if silent := time.Duration(said.SilentMS) * time.Millisecond; age > 0 && age < silent {
		return passing{fmt.Errorf("the sidecar speaks of an earlier JobManager, silent for %v: this container is %v old", silent, age)}
	}
	return fmt.Errorf("the JobManager is %s", said.Reason)
}

// containerAge is how long the first process of this PID namespace has run; zero
// if that cannot be read. In a pod that shares its PIDs it is the pod's own.
func containerAge() time.Duration {
	stat, err := os.ReadFile("/proc/1/stat")
	if err != nil {
		return 0
	}
	uptime, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return 0
	}
	return ageOf(string(stat), string(uptime))
}

// ageOf reads proc_pid_stat(5), where field 22 is the start in ticks of 10 ms after
// the boot, and proc_uptime(5).
func ageOf(stat, uptime string) time.Duration {
	_, rest, found := strings.Cut(stat[strings.LastIndexByte(stat, ')')+1:], " ")
	fields := strings.Fields(rest)
	const startTime = 22 - 3
	if !found || len(fields) <= startTime {
		return 0
	}
	ticks, err := strconv.ParseInt(fields[startTime], 10, 64)
	if err != nil {
		return 0
	}
	seconds, _, _ := strings.Cut(uptime, " ")
	up, err := strconv.ParseFloat(strings.TrimSpace(seconds), 64)
	if err != nil {
		return 0
	}
	return max(0, time.Duration(up*float64(time.Second))-time.Duration(ticks)*10*time.Millisecond)
}

// tellPassing writes what was in the way of a probe that passes.
func tellPassing(stderr io.Writer, err passing) {
	fmt.Fprintf(stderr, "flink-ha: not known, so the probe passes: %s\n", strings.ReplaceAll(err.Error(), "\n", "; "))
}

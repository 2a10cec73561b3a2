package command

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"flink-ha-sidecar/hastate"
	"flink-ha-sidecar/internal/control"
	"flink-ha-sidecar/internal/status"
)

func newPause() *cobra.Command {
	var socket, reason string
	var length time.Duration
	c := &cobra.Command{
		Use:   "pause --for 30m",
		Short: "Free no lock for a while, in the whole cluster",
		Long: `Free no lock for a while, in the whole cluster: every sidecar of it sees the pause
at once, and it outlives their restarts. What happens is observed and reported all the
same. A lock of a dead JobManager that still stands when the pause ends is freed then.

It ends by itself, or by 'flink-ha resume'. A new one takes the place of the one that
stands. A release that was already on its way when the pause was heard of is not called
back.`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if length < time.Second || length > hastate.MaxPause {
				return usageError{fmt.Errorf("--for %v: give a duration from 1s to %v, as in --for 30m", length, hastate.MaxPause)}
			}
			p, err := control.Pause(c.Context(), socket, control.PauseRequest{Seconds: length.Seconds(), Reason: reason})
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "%s; no sidecar of this cluster frees a lock until then ('flink-ha resume' ends it)\n", p)
			return nil
		},
	}
	c.Flags().DurationVar(&length, "for", 0, "how long, at most 24h")
	c.Flags().StringVar(&reason, "reason", "", "why, for people who look at the status")
	c.Flags().StringVar(&socket, "socket", controlSocket(), "the sidecar's socket (its --socket)")
	return c
}

func newResume() *cobra.Command {
	var socket string
	c := &cobra.Command{
		Use: "resume", Short: "End a pause", Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := control.Resume(c.Context(), socket); err != nil {
				return err
			}
			fmt.Fprintln(c.OutOrStdout(), "not paused: locks of dead JobManagers are freed")
			return nil
		},
	}
	c.Flags().StringVar(&socket, "socket", controlSocket(), "the sidecar's socket (its --socket)")
	return c
}

func newHistory() *cobra.Command {
	var socket, format string
	c := &cobra.Command{
		Use: "history", Short: "Show the last leader changes of the cluster, with causes and phases", Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkFormat(format, "table", "json"); err != nil {
				return err
			}
			var h status.History
			if err := control.Call(c.Context(), socket, http.MethodGet, status.HistoryPath, nil, &h); err != nil {
				return err
			}
			if !h.State.Known {
				return fmt.Errorf("the history has not been read yet from %s: %s", h.State.Store, h.State.Trouble)
			}
			if format == "json" {
				e := json.NewEncoder(c.OutOrStdout())
				e.SetIndent("", "  ")
				return e.Encode(h)
			}
			return status.WriteHistory(c.OutOrStdout(), h)
		},
	}
	c.Flags().StringVarP(&format, "output", "o", "table", "table or json")
	c.Flags().StringVar(&socket, "socket", controlSocket(), "the sidecar's socket (its --socket)")
	return c
}

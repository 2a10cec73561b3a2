package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"flink-ha-sidecar/internal/control"
	"flink-ha-sidecar/internal/status"
)

// sidecarAddress is where "status" and "leader" ask, unless told otherwise: the
// sidecar of this pod, by its socket where there is one.
func sidecarAddress() string {
	if path := controlSocket(); path != "" {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	if listen := os.Getenv(prefix + "LISTEN"); listen != "" {
		return listen
	}
	return ":8088"
}

// fetch asks the sidecar at address: host:port, or the path of a socket.
func fetch(ctx context.Context, address string) (status.Document, error) {
	if !strings.HasPrefix(address, "/") {
		return status.Fetch(ctx, address)
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	var d status.Document
	err := control.Call(ctx, address, http.MethodGet, status.Path, nil, &d)
	return d, err
}

func checkFormat(format string, known ...string) error {
	if slices.Contains(known, format) {
		return nil
	}
	return usageError{fmt.Errorf("-o %q is none of %s", format, strings.Join(known, ", "))}
}

func newStatus() *cobra.Command {
	var address, format string
	var watch bool
	c := &cobra.Command{
		Use: "status", Short: "Show who leads, this pod's JobManager, and the last failover", Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkFormat(format, "table", "json"); err != nil {
				return err
			}
			if watch {
				return watchStatus(c.Context(), address, format, c.OutOrStdout())
			}
			return showStatus(c.Context(), address, format, c.OutOrStdout())
		},
	}
	c.Flags().StringVar(&address, "address", sidecarAddress(), "host:port of the sidecar (its --listen), or the path of its --socket")
	c.Flags().StringVarP(&format, "output", "o", "table", "table or json")
	c.Flags().BoolVar(&watch, "watch", false, "show it again every second until interrupted")
	return c
}

func showStatus(ctx context.Context, address, format string, out io.Writer) error {
	d, err := fetch(ctx, address)
	if err != nil {
		return err
	}
	if format == "json" {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(d)
	}
	return status.WriteTable(out, d)
}

// watchStatus goes on when the sidecar cannot be asked: that is worth watching too.
func watchStatus(ctx context.Context, address, format string, out io.Writer) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if format == "table" {
			fmt.Fprintf(out, "\n%s\n", time.Now().Format(time.DateTime))
		}
		if err := showStatus(ctx, address, format, out); err != nil && ctx.Err() == nil {
			fmt.Fprintln(out, err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// errNoLeader makes "leader" exit with 1.
var errNoLeader = errors.New("no leader is known")

func newLeader() *cobra.Command {
	var address, format string
	c := &cobra.Command{
		Use: "leader", Short: "Print the leader's address, for scripts; exit 1 if there is none", Args: noArguments,
		Example: "  flink run -m $(flink-ha leader -o hostport) job.jar",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkFormat(format, "json", "env", "url", "hostport"); err != nil {
				return err
			}
			d, err := fetch(c.Context(), address)
			if err != nil {
				return err
			}
			return printLeader(c.OutOrStdout(), d, format)
		},
	}
	c.Flags().StringVar(&address, "address", sidecarAddress(), "host:port of the sidecar (its --listen), or the path of its --socket")
	c.Flags().StringVarP(&format, "output", "o", "url", "json, env, url (REST) or hostport (REST, as 'flink run -m' takes it)")
	return c
}

func printLeader(out io.Writer, d status.Document, format string) error {
	l := d.Leader
	switch {
	case l == nil:
		return fmt.Errorf("%w: %s: %s", errNoLeader, d.Outcome, d.Reason)
	case l.RESTURL == "":
		return fmt.Errorf("%w: %s has not published its address yet", errNoLeader, l.Holder)
	case d.Lock.LeaseSeconds > 0 && d.Lock.MarginSeconds <= 0:
		// What is that old is no information, whether the leader or the view died.
		return fmt.Errorf("%w: the last one's lease ran out %.1f s ago: %s %s", errNoLeader, -d.Lock.MarginSeconds, d.Outcome, d.Backend.Lost)
	}
	u, err := url.Parse(l.RESTURL)
	if err != nil {
		return fmt.Errorf("%w: its REST address does not parse: %w", errNoLeader, err)
	}
	switch format {
	case "json":
		return json.NewEncoder(out).Encode(l)
	case "env":
		fmt.Fprintf(out, "FLINK_LEADER_REST_URL=%s\nFLINK_LEADER_REST=%s\nFLINK_LEADER_RPC=%s\nFLINK_LEADER_SESSION=%s\n", l.RESTURL, u.Host, l.HostPort, l.Session)
	case "url":
		fmt.Fprintln(out, l.RESTURL)
	case "hostport":
		fmt.Fprintln(out, u.Host)
	}
	return nil
}

package command

import (
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"flink-ha-sidecar/discovery/follow"
	"flink-ha-sidecar/internal/follower"
)

func newFollow(environ []string) *cobra.Command {
	var s follower.Settings
	c := &cobra.Command{
		Use:   "follow",
		Short: "Keep up with the leader's address from another pod",
		Long: `Keep up with the leader's address, for TaskManager pods, clients and CI.

It hears of it from the sidecars (--sidecars, --service), or from the ConfigMap
<cluster-id>-ha-leader that they publish (--source watch or poll). Without any
of --wait, --file, --exec and --serve it prints a line for each change, an empty
one when no address is known.`,
		Example: `  flink-ha follow --service flink-ha:8088 --wait --timeout 5m
  flink-ha follow --cluster-id demo --file /run/flink/leader --format env
  flink-ha follow --service flink-ha:8088 --exec 'curl -s $FLINK_LEADER_REST_URL/jobs'
  flink-ha follow --sidecars 10.0.0.5:8088,10.0.0.6:8088 --serve 127.0.0.1:8089`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := fromEnvironment(c.Flags(), environ); err != nil {
				return err
			}
			if err := checkFormat(s.Format, follow.Formats...); err != nil {
				return err
			}
			return follower.Run(c.Context(), s, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	followFlags(c.Flags(), &s)
	return c
}

func followFlags(f *pflag.FlagSet, s *follower.Settings) {
	f.StringVar(&s.Source, "source", "", "watch, poll or sidecar (default: sidecar with --sidecars or --service, else watch)")
	f.StringSliceVar(&s.Sidecars, "sidecars", nil, "sidecars to follow: host:port or URLs")
	f.StringVar(&s.Service, "service", "", "headless Service of the sidecars, host:port or URL: every address of the name is one")
	f.StringVar(&s.CAFile, "ca-file", "", "certificates that sidecars with https are trusted by (default: the system's)")
	f.StringVar(&s.ClusterID, "cluster-id", "", "cluster id: ConfigMap <cluster-id>-ha-leader is watched or polled")
	f.StringVar(&s.Namespace, "namespace", "", "namespace of the ConfigMap (default: this pod's, else the kubeconfig's)")
	f.StringVar(&s.Kubeconfig, "kubeconfig", "", "kubeconfig file (default: in-cluster, else KUBECONFIG)")
	f.DurationVar(&s.Interval, "interval", 5*time.Second, "how often to poll")
	f.DurationVar(&s.MaxAge, "max-age", 3*time.Minute, "without contact for so long, the address is unknown")
	f.BoolVar(&s.Wait, "wait", false, "exit with 0 as soon as a leader is known and answers")
	f.DurationVar(&s.Timeout, "timeout", 0, "with --wait: exit with 1 after this time (0: wait for ever)")
	f.StringVar(&s.File, "file", "", "keep the address in this file; there is none while the address is unknown")
	f.StringVar(&s.Exec, "exec", "", "run this command line with /bin/sh at every change, never two at once; FLINK_LEADER_REST_URL and others are set, and empty while unknown")
	f.StringVar(&s.Serve, "serve", "", "serve /v1/leader and /v1/events at this address")
	f.StringVarP(&s.Format, "format", "o", "json", "of --file and of the lines: json, env, url or hostport")
	f.StringVar(&s.LogLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&s.LogFormat, "log-format", "json", "json or console")
	f.SortFlags = false
}

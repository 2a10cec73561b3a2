package command

import (
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"flink-ha-sidecar/discovery"
	"flink-ha-sidecar/health"
	"flink-ha-sidecar/internal/control"
	"flink-ha-sidecar/internal/daemon"
	"flink-ha-sidecar/jobmanager/pulse"
	"flink-ha-sidecar/leader/vvp"
)

func newRun(environ []string) *cobra.Command {
	s := daemon.Settings{Version: Version(), Environ: environ}
	c := &cobra.Command{
		Use:   "run",
		Short: "Watch over this pod's JobManager",
		Long: `Watch over this pod's JobManager: observe the election that Flink holds, and
free the lock of the JobManager as soon as it is known to be dead.

Every flag can be set by an environment variable: --log-level is
FLINK_HA_LOG_LEVEL. A flag wins over the environment, that over Flink's own
configuration.`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := fromEnvironment(c.Flags(), environ); err != nil {
				return err
			}
			if !slices.ContainsFunc(environ, func(e string) bool { return strings.HasPrefix(e, "GOGC=") }) {
				debug.SetGCPercent(collectAt)
			}
			return daemon.Run(c.Context(), s, c.ErrOrStderr())
		},
	}
	runFlags(c.Flags(), &s)
	return c
}

// collectAt is GOGC where that is not set. The sidecar's live heap is 2 MiB; Go would
// let it grow to 4 MiB and keep as much again from the system. It runs once in every
// JobManager's pod, and collecting more often costs next to nothing (make idle).
const collectAt = 25

func runFlags(f *pflag.FlagSet, s *daemon.Settings) {
	confDir := os.Getenv("FLINK_CONF_DIR")
	if confDir == "" {
		confDir = "/opt/flink/conf"
	}
	f.StringVar(&s.FlinkConfDir, "flink-conf-dir", confDir, "directory of Flink's configuration, as the JobManager sees it")
	f.StringVar(&s.Backend, "backend", "", "HA service: kubernetes, zookeeper or vvp-kubernetes (default: Flink's high-availability.type)")
	f.StringVar(&s.Namespace, "namespace", "", "namespace of the cluster (default: Flink's kubernetes.namespace)")
	f.StringVar(&s.ClusterID, "cluster-id", "", "cluster id (default: Flink's kubernetes.cluster-id or high-availability.cluster-id)")
	f.StringVar(&s.Kubeconfig, "kubeconfig", "", "kubeconfig file (default: in-cluster, else Flink's kubernetes.config.file)")
	f.StringVar(&s.PodName, "pod-name", "", "name of this pod (downward API metadata.name)")
	f.StringVar(&s.NodeName, "node-name", "", "name of this pod's node (downward API spec.nodeName), published with the leader's address")
	f.StringVar(&s.PodIP, "pod-ip", "", "IP address of this pod (downward API status.podIP; default: jobmanager.rpc.address if it is an IP address)")
	f.BoolVar(&s.SharedNetwork, "shared-network", false, "other JobManagers may run at the same IP address (hostNetwork): tell them apart by their configured ports")
	f.StringArrayVar(&s.Match, "jobmanager-match", nil, "take as JobManager the process that has this as one whole argument, instead of Flink's entry-point classes; when repeated it must have all of them")
	f.StringVar(&s.PIDFile, "jobmanager-pid-file", "", "file with the JobManager's PID; the process must match as well")
	f.StringVar(&s.Container, "container", "", "the JobManager's container, for the kubelet's word (default: flink-main-container, jobmanager, or the only other one)")
	f.StringVar(&s.StateDir, "state-dir", "/run/flink-ha/state", "directory that outlives this process but not the pod (emptyDir): which holder is which process")
	f.StringVar(&s.Listen, "listen", ":8088", "address of /startupz, /livez, /readyz, /leader, /standby, /v1/status, /v1/leader, /v1/events and /metrics")
	f.StringVar(&s.TLSCertFile, "tls-cert-file", "", "certificate in PEM: the port speaks TLS; read again when it changes")
	f.StringVar(&s.TLSKeyFile, "tls-key-file", "", "its key in PEM")
	f.StringVar(&s.Socket, "socket", "", "the pod's own socket, for 'flink-ha check-jobmanager' (default "+control.DefaultPath+")")
	f.StringVar(&s.ReadyPolicy, "ready-policy", string(health.Serving), "when /readyz is 200: serving (the JobManager leads or stands by) or leader-only")
	f.StringVar(&s.Workload, "workload", "", "what this pod belongs to: flinkdeployment, deployment, statefulset, job or other (default: as far as it can be seen)")
	f.DurationVar(&s.HungAfter, "hung-after", pulse.DefaultHungAfter, "after how long without any sign of life the JobManager counts as stuck")
	f.StringVar(&s.RESTCAFile, "rest-ca-file", "", "certificates in PEM that the JobManager's REST API is verified by where it speaks TLS (default: the system's)")
	f.BoolVar(&s.Publish, "publish", true, "publish the leader's address in ConfigMap and EndpointSlice <cluster-id>-ha-leader")
	f.StringVar(&s.PublishFile, "publish-file", "", "write the leader's address to this file as well")
	f.IntVar(&s.MaxFollowers, "max-followers", discovery.DefaultFollowers, "how many followers may wait at /v1/leader and /v1/events at once")
	election := vvp.DefaultTiming()
	f.DurationVar(&s.Election.Lease, "vvp-lease-duration", election.Lease, "vvp-kubernetes: how long a lock that is not renewed is left alone")
	f.DurationVar(&s.Election.RenewDeadline, "vvp-renew-deadline", election.RenewDeadline, "vvp-kubernetes: how long after the last renewal the leader's JobManager gets SIGTERM")
	f.DurationVar(&s.Election.RetryPeriod, "vvp-retry-period", election.RetryPeriod, "vvp-kubernetes: how often the lock is read, and renewed")
	f.DurationVar(&s.Election.KillTime, "vvp-kill-time", election.KillTime, "vvp-kubernetes: how long the JobManager may take to be gone after SIGKILL")
	f.DurationVar(&s.ShutdownGrace, "shutdown-grace", 25*time.Second, "after SIGTERM, how long to stay until the JobManager has ended and its lock is free")
	f.StringVar(&s.LogLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&s.LogFormat, "log-format", "json", "json or console")
	f.SortFlags = false
}

package daemon

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strings"
	"time"

	"go.uber.org/zap"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"flink-ha-sidecar/health"
	"flink-ha-sidecar/internal/flinkconf"
	"flink-ha-sidecar/jobmanager/pulse"
	"flink-ha-sidecar/leader"
	"flink-ha-sidecar/leader/zookeeper"
)

// plan is the effective configuration, settled before anything runs.
type plan struct {
	environ map[string]string
	file    flinkconf.File
	// conf is what the file and this process's environment tell.
	conf      flinkconf.Config
	warnings  []string
	namespace string
	backend   string
	clusterID string
	// clusterIDFlag is --cluster-id; empty if Flink's configuration counts.
	clusterIDFlag string
	// zookeeper is set with that backend alone; rest with kubernetes, and beside
	// zookeeper where there is access.
	zookeeper zookeeper.Options
	rest      *rest.Config
	// access says where the way to the API server was found.
	access string
	self   leader.Self
	lease  time.Duration
	retry  time.Duration
	policy health.Policy
	// roots verify the JobManager's REST API; nil for the system's.
	roots *x509.CertPool
	// rpcAddress is what the JobManager advertises as far as the file tells.
	rpcAddress flinkconf.Setting[string]
	// blobPort is 0 unless the configuration settles on one.
	blobPort uint16
}

// refuse is an error about the configuration.
func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrConfiguration, fmt.Errorf(format, args...))
}

func newPlan(s Settings, log *zap.Logger) (*plan, error) {
	p := &plan{environ: environment(s.Environ)}
	if s.ShutdownGrace < 0 {
		return nil, refuse("--shutdown-grace %v: it cannot be negative", s.ShutdownGrace)
	}
	if err := (pulse.Rules{HungAfter: s.HungAfter}).Validate(); err != nil {
		return nil, refuse("%w", err)
	}
	if (s.TLSCertFile == "") != (s.TLSKeyFile == "") {
		return nil, refuse("--tls-cert-file %q, --tls-key-file %q: one does not go without the other", s.TLSCertFile, s.TLSKeyFile)
	}
	if s.MaxFollowers < 1 {
		return nil, refuse("--max-followers %d: at least 1", s.MaxFollowers)
	}
	conf, err := p.readConf(s)
	if err != nil {
		return nil, err
	}
	p.conf = conf
	if p.policy, err = p.readyPolicy(s, log); err != nil {
		return nil, err
	}
	if p.roots, err = restRoots(s.RESTCAFile); err != nil {
		return nil, err
	}
	if p.backend, err = chooseBackend(s.Backend, conf.HA); err != nil {
		return nil, err
	}
	p.clusterIDFlag = s.ClusterID
	if p.backend == backendZooKeeper {
		p.clusterID = first(s.ClusterID, conf.ZooKeeper.ClusterID.Value)
	} else if p.clusterID = first(s.ClusterID, conf.ClusterID.Value); p.clusterID == "" {
		return nil, refuse("no cluster id: kubernetes.cluster-id is not in %s; set it there or give --cluster-id", s.FlinkConfDir)
	}
	p.namespace = first(s.Namespace, conf.Namespace.Value)
	p.rpcAddress = conf.RPCAddress
	if b := conf.BlobPorts.Value; len(b) == 1 && b[0].Low == b[0].High {
		p.blobPort = b[0].Low
	}
	if p.backend == backendKubernetes {
		p.lease, p.retry = conf.LeaseDuration.Value, conf.RetryPeriod.Value
	}
	if p.self, err = newSelf(s, conf); err != nil {
		return nil, err
	}
	if err := p.reach(s, conf); err != nil {
		return nil, err
	}
	for _, w := range append(p.warnings, conf.Warnings...) {
		log.Warn("Flink's configuration", zap.String("reason", w))
	}
	return p, nil
}

// readConf reads the file and what this process can know of what overrides it.
// A missing file is forgiven if the flags say all that is needed.
func (p *plan) readConf(s Settings) (flinkconf.Config, error) {
	file, err := flinkconf.Load(s.FlinkConfDir, 0)
	if errors.Is(err, fs.ErrNotExist) && s.Backend != "" && s.ClusterID != "" && s.PodIP != "" {
		p.warnings = append(p.warnings, err.Error()+"; going on with the flags alone")
		file, err = flinkconf.File{Values: map[string]flinkconf.Value{
			"high-availability.type": {Text: s.Backend, From: "--backend"},
		}}, nil
	}
	if err != nil {
		return flinkconf.Config{}, refuse("%w (--flink-conf-dir)", err)
	}
	p.file = file
	conf, err := flinkconf.Effective(file, nil, p.environ)
	if err != nil {
		return conf, refuse("%w", err)
	}
	return conf, nil
}

// newSelf finds the addresses by which the JobManager is known.
func newSelf(s Settings, conf flinkconf.Config) (leader.Self, error) {
	text, from := s.PodIP, "--pod-ip"
	if text == "" {
		text, from = conf.RPCAddress.Value, conf.RPCAddress.Key
	}
	if text == "" {
		return leader.Self{}, refuse("this pod's IP address is not known: give --pod-ip (downward API status.podIP)")
	}
	ip, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		return leader.Self{}, refuse("this pod's IP address is not known: %s is %q, which is no IP address; give --pod-ip (downward API status.podIP)", from, text)
	}
	return leader.Self{IP: ip, Ports: ports(conf), SharedNetwork: s.SharedNetwork}, nil
}

// ports tells which ports the JobManager's components can be published at, where
// the configuration settles that.
func ports(conf flinkconf.Config) map[string][]leader.PortRange {
	fixed := make(map[string][]leader.PortRange)
	if rpc := conf.RPCPorts(); len(rpc) > 0 {
		fixed[leader.Dispatcher], fixed[leader.ResourceManager] = rpc, rpc
	}
	if r := conf.RESTBindPorts.Value; len(r) > 0 {
		fixed[leader.RESTServer] = r
	}
	return fixed
}

// apiAccess finds the API server: a kubeconfig if one is named, else the pod's
// service account, else KUBECONFIG.
func apiAccess(file, kubeContext string) (*rest.Config, string, error) {
	if file == "" {
		config, err := rest.InClusterConfig()
		if err == nil {
			return config, "service account", nil
		}
		if file = os.Getenv("KUBECONFIG"); file == "" {
			return nil, "", refuse("no way to the API server: not in a pod (%w), and neither --kubeconfig nor KUBECONFIG is set", err)
		}
	}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: file},
		&clientcmd.ConfigOverrides{CurrentContext: kubeContext}).ClientConfig()
	if err != nil {
		return nil, "", refuse("read kubeconfig %s: %w", file, err)
	}
	return config, file, nil
}

// log tells the effective configuration, once.
func (p *plan) log(log *zap.Logger, s Settings, listening string) {
	ports := make(map[string]string)
	for component, ranges := range p.self.Ports {
		ports[component] = fmt.Sprint(ranges)
	}
	log.With(p.lockFields()...).Info("effective configuration",
		zap.String("version", s.Version),
		zap.String("pod_name", s.PodName), zap.Stringer("pod_ip", p.self.IP), zap.Bool("shared_network", p.self.SharedNetwork),
		zap.Any("ports", ports), zap.String("flink_configuration", p.file.Path),
		zap.Strings("jobmanager_match", s.Match), zap.String("jobmanager_pid_file", s.PIDFile),
		zap.String("state_dir", s.StateDir), zap.String("listen", listening), zap.Bool("tls", s.TLSCertFile != ""),
		zap.String("ready_policy", s.ReadyPolicy), zap.Duration("hung_after", s.HungAfter), zap.Duration("shutdown_grace", s.ShutdownGrace))
}

func environment(entries []string) map[string]string {
	env := make(map[string]string, len(entries))
	for _, e := range entries {
		name, value, _ := strings.Cut(e, "=")
		env[name] = value
	}
	return env
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

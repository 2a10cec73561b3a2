package flinkconf

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"flink-ha-sidecar/leader"
)

// Keys that are set by more than one means.
const (
	keyRPCAddress  = "jobmanager.rpc.address"
	keyRESTAddress = "rest.address"
	keyRESTPort    = "rest.port"
)

// Each list holds a key and its older names, in the order in which Flink looks.
var (
	haKeys            = []string{"high-availability.type", "recovery.mode", "high-availability"}
	clusterIDKeys     = []string{"kubernetes.cluster-id"}
	haClusterIDKeys   = []string{"high-availability.cluster-id", "high-availability.zookeeper.path.namespace", "recovery.zookeeper.path.namespace"}
	namespaceKeys     = []string{"kubernetes.namespace"}
	configFileKeys    = []string{"kubernetes.config.file"}
	contextKeys       = []string{"kubernetes.context"}
	leaseKeys         = []string{"high-availability.kubernetes.leader-election.lease-duration"}
	renewKeys         = []string{"high-availability.kubernetes.leader-election.renew-deadline"}
	retryKeys         = []string{"high-availability.kubernetes.leader-election.retry-period"}
	rpcAddressKeys    = []string{keyRPCAddress}
	rpcPortKeys       = []string{"jobmanager.rpc.port"}
	rpcBindPortKeys   = []string{"jobmanager.rpc.bind-port"}
	rpcBindHostKeys   = []string{"jobmanager.bind-host"}
	restBindHostKeys  = []string{"rest.bind-address"}
	ownerKeys         = []string{"kubernetes.jobmanager.owner.reference"}
	haPortKeys        = []string{"high-availability.jobmanager.port", "recovery.jobmanager.port"}
	restAddressKeys   = []string{keyRESTAddress, keyRPCAddress}
	restPortKeys      = []string{keyRESTPort, "web.port"}
	restBindPortKeys  = []string{"rest.bind-port", keyRESTPort, "web.port", "jobmanager.web.port"}
	restSSLKeys       = []string{"security.ssl.rest.enabled", "security.ssl.enabled"}
	blobPortKeys      = []string{"blob.server.port"}
	zkQuorumKeys      = []string{"high-availability.zookeeper.quorum", "recovery.zookeeper.quorum"}
	zkRootKeys        = []string{"high-availability.zookeeper.path.root", "recovery.zookeeper.path.root"}
	zkSessionKeys     = []string{"high-availability.zookeeper.client.session-timeout", "recovery.zookeeper.client.session-timeout"}
	zkConnectionKeys  = []string{"high-availability.zookeeper.client.connection-timeout", "recovery.zookeeper.client.connection-timeout"}
	zkACLKeys         = []string{"high-availability.zookeeper.client.acl"}
	zooKeeperPrefixes = []string{"high-availability.zookeeper.", "zookeeper.sasl.", "env.java.", "security.kerberos.login.contexts"}

	// usedKeys is all of the above, to compare two files.
	usedKeys = slices.Concat(haKeys, clusterIDKeys, haClusterIDKeys, namespaceKeys, configFileKeys, contextKeys,
		leaseKeys, renewKeys, retryKeys, rpcAddressKeys, rpcPortKeys, rpcBindPortKeys, rpcBindHostKeys, haPortKeys, []string{keyRESTAddress}, restPortKeys,
		restBindPortKeys[:1], restBindHostKeys, restSSLKeys, blobPortKeys, zkQuorumKeys, zkRootKeys, zkSessionKeys, zkConnectionKeys, zkACLKeys)
)

// Setting is one typed value, under which key it was found, its text, and where:
// a file and line, a means of overriding it, or Flink's default.
type Setting[T any] struct {
	Value T
	Key   string
	Text  string
	From  string
}

// IsSet says whether the setting was given at all.
func (s Setting[T]) IsSet() bool { return s.From != "" && s.From != fromDefault }

// String is "key: text (from)", for a log line or an error.
func (s Setting[T]) String() string { return fmt.Sprintf("%s: %s (%s)", s.Key, s.Text, s.From) }

// Config is what this program needs to know of a JobManager's configuration.
// Settings without a default are empty where they are not given.
type Config struct {
	HA Setting[HA]
	// ClusterID and Namespace name the objects of Kubernetes HA.
	ClusterID Setting[string]
	Namespace Setting[string]
	// KubeConfig and KubeContext are how Flink reaches the API server outside a pod.
	KubeConfig  Setting[string]
	KubeContext Setting[string]
	// Timings of Kubernetes HA. The leader's own record tells the lease as well.
	LeaseDuration Setting[time.Duration]
	RenewDeadline Setting[time.Duration]
	RetryPeriod   Setting[time.Duration]
	// RPCAddress is where the JobManager says that it can be reached.
	RPCAddress Setting[string]
	RPCPort    Setting[uint16]
	// RPCBindPort is where the RPC system listens if not at RPCPort; RPCBindHost and
	// RESTBindHost are the interfaces, every one if empty.
	RPCBindPort  Setting[uint16]
	RPCBindHost  Setting[string]
	RESTBindHost Setting[string]
	// HAPorts are the RPC ports with ZooKeeper HA; empty means any.
	HAPorts Setting[[]leader.PortRange]
	// RESTAddress is RPCAddress unless it is given.
	RESTAddress Setting[string]
	RESTPort    Setting[uint16]
	// RESTBindPorts are the ports of which the REST endpoint takes and publishes
	// the first that is free; empty means any.
	RESTBindPorts Setting[[]leader.PortRange]
	RESTOverTLS   Setting[bool]
	BlobPorts     Setting[[]leader.PortRange]
	// Owner is what the JobManager's Deployment belongs to, as the Flink Kubernetes
	// operator writes it: "...,kind:FlinkDeployment,...".
	Owner     Setting[string]
	ZooKeeper ZooKeeper
	// Warnings are those of the file, and of settings that hide one another.
	Warnings []string
}

// ZooKeeper is what belongs to ZooKeeper HA alone.
type ZooKeeper struct {
	Quorum Setting[string]
	Root   Setting[string]
	// ClusterID is the path below Root.
	ClusterID         Setting[string]
	SessionTimeout    Setting[time.Duration]
	ConnectionTimeout Setting[time.Duration]
	ACL               Setting[string]
	// Raw holds every key of ZooKeeper's that is set, for what is not above.
	Raw map[string]Value
}

// RPCPorts are the ports at which the JobManager's RPC may be published; empty
// means any. Only with ZooKeeper HA high-availability.jobmanager.port counts
// (ClusterEntrypoint.getRPCPortRange), else jobmanager.rpc.port.
func (c Config) RPCPorts() []leader.PortRange {
	if c.HA.Value == HAZooKeeper {
		return c.HAPorts.Value
	}
	if c.RPCPort.Value == 0 {
		return nil
	}
	return []leader.PortRange{{Low: c.RPCPort.Value, High: c.RPCPort.Value}}
}

// Effective is the configuration of a JobManager with this file, command line
// (argv[0] first; nil if not known) and environment. Errors name key, value and
// place; the first one is returned, in the order of Config's fields.
func Effective(file File, argv []string, env map[string]string) (Config, error) {
	merged := overlay(file, parseCommandLine(argv), env)
	r := &reader{merged: merged}
	c := Config{
		HA:            get(r, haKeys, "NONE", func(s string) (HA, error) { return parseHA(s), nil }),
		ClusterID:     get(r, clusterIDKeys, "", text),
		Namespace:     get(r, namespaceKeys, "default", text),
		KubeConfig:    get(r, configFileKeys, "", text),
		KubeContext:   get(r, contextKeys, "", text),
		LeaseDuration: get(r, leaseKeys, "15 s", ParseDuration),
		RenewDeadline: get(r, renewKeys, "15 s", ParseDuration),
		RetryPeriod:   get(r, retryKeys, "5 s", ParseDuration),
		RPCAddress:    get(r, rpcAddressKeys, "", text),
		RPCPort:       get(r, rpcPortKeys, "6123", parsePort),
		RPCBindPort:   get(r, rpcBindPortKeys, "", parsePort),
		RPCBindHost:   get(r, rpcBindHostKeys, "", text),
		RESTBindHost:  get(r, restBindHostKeys, "", text),
		Owner:         get(r, ownerKeys, "", text),
		HAPorts:       get(r, haPortKeys, "0", ParsePorts),
		RESTAddress:   get(r, restAddressKeys, "", text),
		RESTPort:      get(r, restPortKeys, "8081", parsePort),
		RESTBindPorts: get(r, restBindPortKeys, "8081", ParsePorts),
		RESTOverTLS:   get(r, restSSLKeys, "false", parseBool),
		BlobPorts:     get(r, blobPortKeys, "0", ParsePorts),
		ZooKeeper: ZooKeeper{
			Quorum:            get(r, zkQuorumKeys, "", text),
			Root:              get(r, zkRootKeys, "/flink", text),
			ClusterID:         get(r, haClusterIDKeys, "/default", text),
			SessionTimeout:    get(r, zkSessionKeys, "60 s", ParseDuration),
			ConnectionTimeout: get(r, zkConnectionKeys, "15 s", ParseDuration),
			ACL:               get(r, zkACLKeys, "open", text),
			Raw:               withPrefix(merged, zooKeeperPrefixes),
		},
		Warnings: slices.Concat(file.Warnings, hidden(merged, haKeys)),
	}
	return c, r.err
}

// reader takes settings out of merged and keeps the first error.
type reader struct {
	merged map[string]Value
	err    error
}

// get reads the first of keys that is set, or the default if it is not empty.
func get[T any](r *reader, keys []string, otherwise string, parse func(string) (T, error)) Setting[T] {
	key, value, found := lookup(r.merged, keys)
	if !found {
		key, value = keys[0], Value{Text: otherwise, From: fromDefault}
		if otherwise == "" {
			return Setting[T]{Key: key}
		}
	}
	s := Setting[T]{Key: key, Text: value.Text, From: value.From}
	var err error
	s.Value, err = parse(value.Text)
	if err == nil && value.Text == "" {
		err = fmt.Errorf("it is empty")
	}
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("read %s %q (%s): %w", key, value.Text, value.From, err)
	}
	return s
}

func lookup(merged map[string]Value, keys []string) (string, Value, bool) {
	for _, key := range keys {
		if value, ok := merged[key]; ok {
			return key, value, true
		}
	}
	return "", Value{}, false
}

// hidden warns of a key that has no effect since another name of it is set to
// something else.
func hidden(merged map[string]Value, keys []string) []string {
	first, value, found := lookup(merged, keys)
	if !found {
		return nil
	}
	var warnings []string
	for _, key := range keys {
		if other, ok := merged[key]; ok && !strings.EqualFold(other.Text, value.Text) {
			warnings = append(warnings, fmt.Sprintf("%s: %s (%s) has no effect beside %s: %s (%s)", key, other.Text, other.From, first, value.Text, value.From))
		}
	}
	return warnings
}

func withPrefix(merged map[string]Value, prefixes []string) map[string]Value {
	found := make(map[string]Value)
	for key, value := range merged {
		if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(key, p) }) {
			found[key] = value
		}
	}
	return found
}

func text(s string) (string, error) { return s, nil }

// parseBool reads true and false in any case, as Flink does; strconv would take
// "1" and "t" as well.
func parseBool(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "true", "false":
		return strconv.ParseBool(strings.ToLower(s))
	}
	return false, fmt.Errorf("neither true nor false")
}

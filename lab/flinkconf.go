package lab

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Backend is one of Flink's high-availability services.
type Backend string

// Kubernetes is Flink's Kubernetes HA: the lock is an annotation on a ConfigMap.
const Kubernetes Backend = "kubernetes"

// Zookeeper is Flink's ZooKeeper HA: the lock is a queue of ephemeral nodes.
const Zookeeper Backend = "zookeeper"

// Settings are what the processes of one Flink cluster have in common. A zero
// duration leaves Flink's default.
type Settings struct {
	Flink   *Flink // nil if all JobManagers are stand-ins
	Backend Backend
	// ClusterID names the cluster and its lock. It is never used twice: the old
	// lock would still be there.
	ClusterID string
	Namespace string
	// KubeConfig is what Flink reaches the API server with; empty in a pod.
	KubeConfig string
	// Quorum is what Flink reaches ZooKeeper with.
	Quorum string
	// Dir holds everything the cluster writes: configuration, logs, checkpoints,
	// the HA store and the ticks.
	Dir string

	RetryPeriod   time.Duration
	LeaseDuration time.Duration
	RenewDeadline time.Duration
	// CheckpointInterval is one second if zero.
	CheckpointInterval time.Duration
	// Extra are further keys of Flink's configuration; they win over all others.
	Extra map[string]string
	// JVM are further arguments of every JVM.
	JVM []string
	// Rewrite, if not nil, makes of each configuration file what is written; name is
	// config.yaml or flink-conf.yaml.
	Rewrite func(name, conf string) (string, error)
}

// LockName is the name of the ConfigMap with the cluster's lock.
func (s *Settings) LockName() string { return s.ClusterID + "-cluster-config-map" }

// LockPath is the path of the cluster's node in ZooKeeper.
func (s *Settings) LockPath() string { return "/flink/" + s.ClusterID }

// Ticks is the path of the file that the job writes.
func (s *Settings) Ticks() string { return filepath.Join(s.Dir, "ticks") }

// tmp is where Flink's processes put what they would put into /tmp.
func (s *Settings) tmp() string { return filepath.Join(s.Dir, "tmp") }

// keys are the settings in Flink's terms. Keys that were renamed between 1.18
// and 2.3 stand under the name that the version knows.
func (s *Settings) keys() map[string]string {
	interval := s.CheckpointInterval
	if interval == 0 {
		interval = time.Second
	}
	keys := map[string]string{
		"io.tmp.dirs":                      s.tmp(),
		"high-availability.type":           string(s.Backend),
		"high-availability.storageDir":     "file://" + filepath.Join(s.Dir, "ha"),
		"execution.checkpointing.interval": flinkDuration(interval),
	}
	if s.old() {
		keys["state.checkpoints.dir"] = "file://" + filepath.Join(s.Dir, "checkpoints")
	} else {
		keys["execution.checkpointing.dir"] = "file://" + filepath.Join(s.Dir, "checkpoints")
	}
	if s.Backend == Zookeeper {
		keys["high-availability.zookeeper.quorum"] = s.Quorum
		keys["high-availability.cluster-id"] = "/" + s.ClusterID
	}
	if s.Backend == Kubernetes {
		keys["kubernetes.cluster-id"] = s.ClusterID
		keys["kubernetes.namespace"] = s.Namespace
		if s.KubeConfig != "" {
			keys["kubernetes.config.file"] = s.KubeConfig
		}
		for name, d := range map[string]time.Duration{
			"retry-period": s.RetryPeriod, "lease-duration": s.LeaseDuration, "renew-deadline": s.RenewDeadline,
		} {
			if d != 0 {
				keys["high-availability.kubernetes.leader-election."+name] = flinkDuration(d)
			}
		}
	}
	return keys
}

// old tells Flink 1.18 and earlier, which read flink-conf.yaml, from later ones,
// which read config.yaml.
func (s *Settings) old() bool { return s.Flink != nil && strings.HasPrefix(s.Flink.Version, "1.18.") }

// writeConf writes a configuration folder for one process: the cluster's
// settings, what is the process's own, and where its log goes. The log's times
// are UTC with milliseconds.
func (s *Settings) writeConf(dir string, own map[string]string) error {
	keys := s.keys()
	maps.Copy(keys, own)
	maps.Copy(keys, s.Extra)
	var text strings.Builder
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		fmt.Fprintf(&text, "%s: %s\n", key, keys[key])
	}
	name := "config.yaml"
	if s.old() {
		name = "flink-conf.yaml"
	}
	for _, dir := range []string{dir, s.tmp()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("write Flink's configuration: %w", err)
		}
	}
	written := text.String()
	if s.Rewrite != nil {
		var err error
		if written, err = s.Rewrite(name, written); err != nil {
			return fmt.Errorf("write Flink's configuration: %w", err)
		}
	}
	for file, content := range map[string]string{name: written, "log4j.properties": log4jProperties} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o644); err != nil {
			return fmt.Errorf("write Flink's configuration: %w", err)
		}
	}
	return nil
}

const log4jProperties = `rootLogger.level = INFO
rootLogger.appenderRef.file.ref = File
appender.file.name = File
appender.file.type = File
appender.file.fileName = ${sys:lab.log}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{yyyy-MM-dd'T'HH:mm:ss.SSS'Z'}{UTC} %-5p %c{1} - %m%n
`

func flinkDuration(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }

// jvm is the java command line up to the entry point. The JDK's internals that
// Flink reaches into are opened as its start scripts do; the rest makes a JVM of
// the lab start fast and stay small.
func (s *Settings) jvm(conf, log string, properties ...string) []string {
	args := []string{"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx400m", "-XX:-UsePerfData"}
	for _, pkg := range []string{"java.base/sun.net.util", "java.rmi/sun.rmi.registry", "java.security.jgss/sun.security.krb5"} {
		args = append(args, "--add-exports="+pkg+"=ALL-UNNAMED")
	}
	for _, pkg := range []string{
		"lang", "net", "io", "nio", "lang.reflect", "text", "time", "util", "util.concurrent", "util.concurrent.atomic", "util.concurrent.locks",
	} {
		args = append(args, "--add-opens=java.base/java."+pkg+"=ALL-UNNAMED")
	}
	args = append(args, "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
		"-Dlog4j.configurationFile=file:"+filepath.Join(conf, "log4j.properties"), "-Dlab.log="+log, "-Djava.io.tmpdir="+s.tmp())
	args = append(append(args, s.JVM...), properties...)
	return append(args, "-cp", filepath.Join(s.Flink.Lib, "*")+":"+s.Flink.Job)
}

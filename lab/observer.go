package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// NewObserver prepares a sidecar without a JobManager, without starting it: it sees
// the lock of a cluster, publishes the leader whose address is podIP, and serves
// followers at listen. extra flags come last, where they win.
func NewObserver(dir, name, binary, kubeConfig, clusterID, podIP, listen string, extra ...string) (*Sidecar, error) {
	conf := filepath.Join(dir, name+"-conf")
	if err := os.MkdirAll(conf, 0o755); err != nil {
		return nil, fmt.Errorf("prepare %s: %w", name, err)
	}
	lines := []string{
		"high-availability.type: kubernetes", "kubernetes.cluster-id: " + clusterID, "kubernetes.namespace: default",
		"jobmanager.rpc.address: " + podIP, "kubernetes.config.file: " + kubeConfig, "",
	}
	if err := os.WriteFile(filepath.Join(conf, "config.yaml"), []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		return nil, fmt.Errorf("prepare %s: %w", name, err)
	}
	s := &Sidecar{Name: name, Listen: listen, StateDir: filepath.Join(dir, name+"-state"), binary: binary, dir: dir,
		Socket: filepath.Join(dir, name+".sock")}
	s.args = append([]string{
		"run", "--flink-conf-dir", conf, "--pod-ip", podIP, "--jobmanager-match", "no-JobManager-of-" + name,
		"--state-dir", s.StateDir, "--listen", listen, "--socket", s.Socket, "--log-format", "json",
	}, extra...)
	return s, nil
}

package e2e

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// writeConf writes Flink's configuration and returns its directory.
func writeConf(t *testing.T, lines ...string) string {
	t.Helper()
	conf := t.TempDir()
	if err := os.WriteFile(filepath.Join(conf, "config.yaml"), []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return conf
}

func TestIntegrationBadInputIsOneLineAndStatus2(t *testing.T) {
	p := shared(t)
	good := writeConf(t, "high-availability.type: kubernetes", "kubernetes.cluster-id: my-cluster", "kubernetes.namespace: default",
		"jobmanager.rpc.address: 127.0.0.1", "kubernetes.config.file: "+p.kubeConfig)
	for _, row := range []struct {
		name string
		env  []string
		args []string
		want []string // all in the line
	}{
		{"an unknown command", nil, []string{"walk"}, []string{`"walk"`}},
		{"an unknown flag", nil, []string{"run", "--loud"}, []string{"--loud"}},
		{"an argument too many", nil, []string{"run", "now"}, []string{`"now"`}},
		{"a duration that is none", nil, []string{"run", "--shutdown-grace", "soon"}, []string{"--shutdown-grace", `"soon"`}},
		{"a negative grace", nil, []string{"run", "--flink-conf-dir", good, "--shutdown-grace", "-1s"}, []string{"--shutdown-grace"}},
		{"an unknown log level", nil, []string{"run", "--log-level", "chatty"}, []string{"--log-level", `"chatty"`}},
		{"an unknown log format", nil, []string{"run", "--log-format", "xml"}, []string{"--log-format", `"xml"`}},
		{"no configuration directory", nil, []string{"run", "--flink-conf-dir", "/nowhere"}, []string{"/nowhere", "--flink-conf-dir"}},
		{"a configuration without HA", nil, []string{"run", "--flink-conf-dir", writeConf(t, "kubernetes.cluster-id: c")},
			[]string{"high-availability.type"}},
		{"a backend that contradicts the configuration", nil, []string{
			"run", "--backend", "kubernetes", "--flink-conf-dir", writeConf(t, "high-availability.type: zookeeper", "kubernetes.cluster-id: c"),
		}, []string{"--backend kubernetes", "high-availability.type: zookeeper"}},
		{"an unknown backend", nil, []string{"run", "--backend", "etcd", "--flink-conf-dir", good}, []string{"--backend", `"etcd"`}},
		{"no cluster id", nil, []string{"run", "--flink-conf-dir", writeConf(t, "high-availability.type: kubernetes")},
			[]string{"kubernetes.cluster-id", "--cluster-id"}},
		{"an address of the pod that is a name", nil, []string{"run", "--flink-conf-dir", good, "--pod-ip", "jobmanager"},
			[]string{"--pod-ip", `"jobmanager"`}},
		{"a kubeconfig that is not there", nil, []string{"run", "--flink-conf-dir", good, "--kubeconfig", "/nowhere/config"},
			[]string{"/nowhere/config"}},
		{"an empty match", nil, []string{"run", "--flink-conf-dir", good, "--jobmanager-match", "", "--listen", "127.0.0.1:0"},
			[]string{"--jobmanager-match"}},
		{"an unknown variable", []string{"FLINK_HA_CLUSTERID=c"}, []string{"run"}, []string{"FLINK_HA_CLUSTERID"}},
		{"a variable with a bad value", []string{"FLINK_HA_SHUTDOWN_GRACE=soon"}, []string{"run"}, []string{"FLINK_HA_SHUTDOWN_GRACE"}},
		// The line is about what is wrong; the links that Kubernetes sets are not.
		{"service links of Kubernetes beside a bad flag", []string{
			"FLINK_HA_SERVICE_HOST=10.0.0.7", "FLINK_HA_SERVICE_PORT=8081", "FLINK_HA_SERVICE_PORT_REST=8081", "FLINK_HA_PORT=tcp://10.0.0.7:8081",
			"FLINK_HA_PORT_8081_TCP=tcp://10.0.0.7:8081", "FLINK_HA_PORT_8081_TCP_PROTO=tcp", "FLINK_HA_PORT_8081_TCP_PORT=8081",
			"FLINK_HA_PORT_8081_TCP_ADDR=10.0.0.7", "FLINK_HA_METRICS_SERVICE_HOST=10.0.0.8", "FLINK_HA_METRICS_PORT_8088_TCP_ADDR=10.0.0.8",
		}, []string{"run", "--log-level", "chatty"}, []string{"--log-level", `"chatty"`}},
	} {
		t.Run(row.name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), p.sidecar, row.args...)
			cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, row.env...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			var exit *exec.ExitError
			if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != 2 {
				t.Errorf("it ended with %v, want status 2", err)
			}
			text := stderr.String()
			if strings.Count(text, "\n") != 1 || !strings.HasPrefix(text, "flink-ha: ") || !containsAll(text, row.want) {
				t.Errorf("it wrote %q, want one line with %q", text, row.want)
			}
		})
	}
}

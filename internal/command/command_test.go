package command_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"flink-ha-sidecar/internal/command"
)

func conf(t *testing.T, lines ...string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

var good = []string{"high-availability.type: kubernetes", "kubernetes.cluster-id: c", "jobmanager.rpc.address: 127.0.0.1"}

func TestBadInputIsOneLineAndExitsWith2(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		conf    []string
		args    []string
		environ []string
		says    string
	}{
		{"unknown flag", good, []string{"--lisen", ":1"}, nil, "unknown flag: --lisen"},
		{"unknown argument", good, []string{"now"}, nil, `unexpected argument "now"`},
		{"misspelt variable", good, nil, []string{"FLINK_HA_LISEN=:1"}, "FLINK_HA_LISEN"},
		{"variable with a bad value", good, nil, []string{"FLINK_HA_SHUTDOWN_GRACE=soon"}, "FLINK_HA_SHUTDOWN_GRACE"},
		{"bad log level", good, []string{"--log-level", "loud"}, nil, `--log-level "loud" is none of debug, info, warn, error`},
		{"bad log format", good, []string{"--log-format", "xml"}, nil, `--log-format "xml" is neither json nor console`},
		{"a ready policy that is none", good, []string{"--ready-policy", "leader"}, nil, `--ready-policy "leader" is neither serving nor leader-only`},
		{"a workload that is none", good, []string{"--workload", "cronjob"}, nil, `--workload "cronjob" is none of flinkdeployment`},
		{"leader-only for a FlinkDeployment", good, []string{"--ready-policy", "leader-only"}, []string{"FLINK_HA_WORKLOAD=flinkdeployment"}, "standbys would never be"},
		{"leader-only where the operator has written its owner", append(good[:3:3], "kubernetes.jobmanager.owner.reference: 'apiVersion:flink.apache.org/v1beta1,kind:FlinkDeployment,name:c'"),
			[]string{"--ready-policy", "leader-only"}, nil, "standbys would never be"},
		{"a limit that is too short", good, []string{"--hung-after", "10ms"}, nil, "--hung-after 10ms: it must be from 1s"},
		{"a certificate without its key", good, []string{"--tls-cert-file", "/x"}, nil, "one does not go without the other"},
		{"certificates that are not there", good, []string{"--rest-ca-file", "/nowhere/ca"}, nil, "/nowhere/ca"},
		{"negative grace", good, []string{"--shutdown-grace", "-1s"}, nil, "--shutdown-grace -1s"},
		{"no HA service", good[1:], nil, nil, "high-availability.type is not set"},
		{"another HA service", []string{"high-availability.type: com.example.Factory", good[1], good[2]}, nil, nil, "com.example.Factory"},
		{"contradiction", []string{"high-availability.type: none", good[1], good[2]}, []string{"--backend", "kubernetes"}, nil, "contradicts"},
		{"no cluster id", []string{good[0], good[2]}, nil, nil, "no cluster id"},
		{"no address", good[:2], nil, nil, "IP address is not known"},
		{"an address that is a name", []string{good[0], good[1], "jobmanager.rpc.address: jm"}, nil, nil, `"jm", which is no IP address`},
		{"a pod address that is a name", good, []string{"--pod-ip", "jm"}, nil, `--pod-ip is "jm"`},
		{"a kubeconfig that is not there", good, []string{"--kubeconfig", "/nowhere/config"}, nil, "/nowhere/config"},
		{"a port that is no number", append(good[:3:3], "rest.port: many"), nil, nil, "rest.port"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"run", "--listen", "127.0.0.1:0", "--flink-conf-dir", conf(t, tt.conf...)}, tt.args...)
			var out, errs bytes.Buffer
			code := command.Main(args, tt.environ, &out, &errs)
			if code != 2 {
				t.Errorf("exit code %d, want 2", code)
			}
			last := strings.TrimSuffix(errs.String(), "\n")
			if strings.Contains(last, "\n") || !strings.Contains(last, tt.says) || !strings.HasPrefix(last, "flink-ha: ") {
				t.Errorf("says %q, want one line with %q", errs.String(), tt.says)
			}
		})
	}
}

func TestServiceLinksAreNotTakenForSettings(t *testing.T) {
	t.Parallel()
	links := []string{
		"FLINK_HA_SERVICE_HOST=10.0.0.7", "FLINK_HA_SERVICE_PORT=8081", "FLINK_HA_SERVICE_PORT_REST=8081", "FLINK_HA_PORT=tcp://10.0.0.7:8081",
		"FLINK_HA_PORT_8081_TCP=tcp://10.0.0.7:8081", "FLINK_HA_PORT_8081_TCP_ADDR=10.0.0.7", "FLINK_HA_PORT_8081_TCP_PROTO=tcp",
		"FLINK_HA_DEMO_SERVICE_HOST=10.0.0.8", "FLINK_HA_DEMO_PORT_6123_TCP_PORT=6123", "FLINK_HA_LAB_CACHE=/tmp/x",
	}
	var out, errs bytes.Buffer
	// The missing kubeconfig is found after the environment was accepted.
	code := command.Main([]string{"run", "--flink-conf-dir", conf(t, good...), "--kubeconfig", "/nowhere/config"}, links, &out, &errs)
	if code != 2 || !strings.Contains(errs.String(), "/nowhere/config") {
		t.Errorf("exit code %d, says %q; want the kubeconfig to be refused, not a variable", code, errs.String())
	}
}

func TestAFlagWinsOverItsVariable(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	command.Main([]string{"run", "--flink-conf-dir", conf(t, good...), "--log-level", "loud"}, []string{"FLINK_HA_LOG_LEVEL=info"}, &out, &errs)
	if !strings.Contains(errs.String(), `"loud"`) {
		t.Errorf("says %q, want the flag's value to be refused", errs.String())
	}
	errs.Reset()
	command.Main([]string{"run", "--flink-conf-dir", conf(t, good...)}, []string{"FLINK_HA_LOG_LEVEL=shrill"}, &out, &errs)
	if !strings.Contains(errs.String(), `"shrill"`) {
		t.Errorf("says %q, want the variable's value to be refused", errs.String())
	}
}

func TestInstall(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "bin")
	var out, errs bytes.Buffer
	if code := command.Main([]string{"install", dir}, nil, &out, &errs); code != 0 || !strings.Contains(out.String(), dir+"/flink-ha") {
		t.Errorf("exit code %d, says %q, %q; want the file's path", code, out.String(), errs.String())
	}
	for _, tt := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"install"}, 2, "needs one argument"},
		{[]string{"install", dir, dir}, 2, "needs one argument"},
		{[]string{"install", filepath.Join(dir, "not", "there")}, 1, "is the volume mounted there?"},
	} {
		errs.Reset()
		if code := command.Main(tt.args, nil, &out, &errs); code != tt.code || !strings.Contains(errs.String(), tt.says) {
			t.Errorf("%q: exit code %d, says %q; want %d, %q", tt.args, code, errs.String(), tt.code, tt.says)
		}
	}
}

func TestFollowRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args    []string
		environ []string
		says    string
	}{
		{[]string{}, nil, "--cluster-id"},
		{[]string{"--source", "gossip"}, nil, `--source "gossip"`},
		{[]string{"--source", "sidecar"}, nil, "--sidecars or --service"},
		{[]string{"--source", "poll", "--sidecars", "a:1"}, nil, "--source poll"},
		{[]string{"--sidecars", "a:1", "--service", "b:1"}, nil, "one of them"},
		{[]string{"--sidecars", "a"}, nil, "the port is missing"},
		{[]string{"--sidecars", "ftp://a:1"}, nil, "host:port"},
		{[]string{"--service", "http://a:1/path"}, nil, "host:port"},
		{[]string{"--service", "a:1", "--ca-file", "/nowhere"}, nil, "/nowhere"},
		{[]string{"--service", "a:1", "--max-age", "0s"}, nil, "--max-age"},
		{[]string{"--service", "a:1", "--timeout", "5s"}, nil, "--wait"},
		{[]string{"--service", "a:1", "-o", "xml"}, nil, `-o "xml"`},
		{[]string{"--service", "a:1"}, []string{"FLINK_HA_SERVISE=x"}, "FLINK_HA_SERVISE"},
		{[]string{"--cluster-id", "c", "--kubeconfig", "/nowhere/config"}, nil, "/nowhere/config"},
	} {
		var out, errs bytes.Buffer
		if code := command.Main(append([]string{"follow"}, tt.args...), tt.environ, &out, &errs); code != 2 {
			t.Errorf("%v: exit code %d, want 2", tt.args, code)
		}
		if text := errs.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, tt.says) {
			t.Errorf("%v: says %q, want one line with %q", tt.args, text, tt.says)
		}
	}
}

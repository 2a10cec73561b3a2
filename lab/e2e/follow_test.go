package e2e

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"flink-ha-sidecar/lab"
	"flink-ha-sidecar/lab/labtest"
)

// TestIntegrationFollowInItsForms: a file, a command and a port at once, from the
// sidecars and from the ConfigMap, through a failover and the end of all sources.
func TestIntegrationFollowInItsForms(t *testing.T) {
	for _, source := range []string{"sidecar", "watch", "poll"} {
		t.Run(source, func(t *testing.T) {
			p := shared(t)
			t.Parallel()
			proxy, kubeConfig := throughProxy(t, p)
			c := start(t, p.standIns())
			leader := ready(t, c)
			dir := t.TempDir()
			file, ran, port := filepath.Join(dir, "leader"), filepath.Join(dir, "ran"), freePort(t)
			args := append(sourceOf(source, c, kubeConfig), "--file", file, "-o", "hostport", "--serve", port,
				"--exec", `echo "$FLINK_LEADER_REST" >> `+ran, "--max-age", "5s")
			followWith(t, p, args...)
			tells := func(want string) func() bool {
				return func() bool {
					code, text := ask(t, "http://"+port+"/v1/leader")
					served := code == http.StatusOK && strings.Contains(text, "http://"+want) || want == "" && code == http.StatusNotFound
					_, err := os.Stat(file)
					return served && strings.TrimSpace(labtest.Read(t, file)) == want && (err == nil) == (want != "") &&
						lastLine(labtest.Read(t, ran)) == want
				}
			}
			eventually(t, "file, port and command tell the leader", tells(leader.Address+":8081"))
			next := standbyOf(t, c, leader)
			signal(t, leader, syscall.SIGKILL)
			eventually(t, "file, port and command tell the next leader", tells(next.Address+":8081"))
			for _, s := range c.Sidecars {
				s.Kill()
			}
			proxy.Refuse(true)
			eventually(t, "file, port and command tell that it is not known any more", tells(""))
		})
	}
}

func TestIntegrationWaitSaysWhyItGaveUp(t *testing.T) {
	p := shared(t)
	t.Parallel()
	c := start(t, lease(p.standIns(), time.Minute))
	leader := ready(t, c)
	signal(t, leader, syscall.SIGSTOP)
	defer signal(t, leader, syscall.SIGCONT)
	for source, why := range map[string]string{"sidecar": "ask the leader: ", "watch": "ask the leader: "} {
		out, err := exec.CommandContext(t.Context(), p.sidecar, append([]string{"follow", "--wait", "--timeout", "3s", "--log-level", "error"}, sourceOf(source, c, p.kubeConfig)...)...).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.HasPrefix(string(out), "flink-ha: no leader that answers: ") || !strings.Contains(string(out), why) {
			t.Errorf("%s: %v, it wrote %q", source, err, out)
		}
	}
}

// sourceOf are the flags of a source.
func sourceOf(source string, c *lab.Cluster, kubeConfig string) []string {
	if source == "sidecar" {
		return []string{"--sidecars", c.Sidecars[0].Listen + "," + c.Sidecars[1].Listen}
	}
	return []string{"--source", source, "--interval", "100ms", "--cluster-id", c.Settings.ClusterID, "--namespace", "default", "--kubeconfig", kubeConfig}
}

// followWith runs "flink-ha follow" until the test ends.
func followWith(t *testing.T, p *parts, args ...string) {
	t.Helper()
	var log bytes.Buffer
	cmd := exec.Command(p.sidecar, append([]string{"follow"}, args...)...)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil || t.Failed() || bytes.Contains(log.Bytes(), []byte("DATA RACE")) {
			t.Errorf("follow ended with %v:\n%s", err, log.String())
		}
	})
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	return lines[len(lines)-1]
}

package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestIntegrationAMigratedClusterRecovers writes every configuration as one that
// names vvp-kubernetes and knows nothing of Flink's own HA service, and starts real
// Flink with what "flink-ha migrate" makes of it.
func TestIntegrationAMigratedClusterRecovers(t *testing.T) {
	for _, version := range versions(1, "2.3", "1.18") { // config.yaml, flink-conf.yaml
		t.Run("Flink "+version, func(t *testing.T) {
			p := shared(t)
			o := p.flink(t, version)
			o.RetryPeriod = 0
			m := &migration{binary: p.sidecar, dir: t.TempDir()}
			o.Rewrite = m.rewrite
			c := start(t, o)
			leader := ready(t, c)
			next := standbyOf(t, c, leader)
			if m.files != 3 {
				t.Errorf("%d configurations migrated, want those of two JobManagers and a TaskManager", m.files)
			}

			if code, conf := ask(t, "http://"+leader.Address+":8081/jobmanager/config"); code != http.StatusOK || !strings.Contains(conf, `"high-availability.kubernetes.leader-election.retry-period","value":"1s"`) {
				t.Errorf("Flink does not know the retry-period, HTTP %d: %s", code, conf)
			}

			mustTakeOver(t, c, next) // the job goes on from its checkpoint
		})
	}
}

// migration turns what the lab writes into what was there before, and that into
// what migrate prints.
type migration struct {
	binary, dir string
	files       int
}

// ofFlink are the keys that a cluster of the old service does not have.
var ofFlink = []string{"kubernetes.cluster-id: ", "high-availability.type: ", "kubernetes.namespace: ", "high-availability.kubernetes."}

func (m *migration) rewrite(name, conf string) (string, error) {
	m.files++
	service, storage := "high-availability: vvp-kubernetes # deprecated\n", "high-availability.storageDir: "
	if name == "config.yaml" { // nested, beside keys that are not
		service, storage = "high-availability:\n  type: vvp-kubernetes # deprecated\n\n", "  storageDir: "
	}
	before, cluster := "# HA by the platform\n", ""
	for line := range strings.Lines(conf) {
		if id, found := strings.CutPrefix(line, ofFlink[0]); found {
			cluster = strings.TrimSpace(id)
		}
		if dir, found := strings.CutPrefix(line, "high-availability.storageDir: "); found {
			before += service + storage + dir
		} else if !hasOneOf(line, ofFlink) {
			before += line
		}
	}
	dir := filepath.Join(m.dir, fmt.Sprint(m.files))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(before), 0o600); err != nil {
		return "", err
	}
	c := exec.Command(m.binary, "migrate", "--cluster-id", cluster, "--namespace", "default", file)
	var said bytes.Buffer
	c.Stderr = &said
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("migrate: %w: %s", err, said.String())
	}
	after := string(out)
	for _, want := range []string{"# HA by the platform\n", "kubernetes # deprecated\n", "retry-period: 1s\n"} {
		if !strings.Contains(after, want) || strings.Contains(after, "vvp") {
			return "", fmt.Errorf("migrate printed no configuration with %q:\n%s", want, after)
		}
	}
	return after, nil
}

func hasOneOf(line string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(line, p) {
			return true
		}
	}
	return false
}

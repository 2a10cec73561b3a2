package e2e

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"flink-ha-sidecar/lab"
)

const (
	msgStuck     = "the JobManager is stuck"
	msgRecovered = "the JobManager gives signs of life again"
	msgServes    = "the JobManager serves"
)

// TestIntegrationStuckJobManager: a stopped leader is reported and nothing else, and
// its liveness probe fails by a positive answer alone.
func TestIntegrationStuckJobManager(t *testing.T) {
	for _, version := range versions(1, "2.3", "1.20") {
		t.Run("Flink "+version, func(t *testing.T) {
			p := shared(t)
			o := lease(p.flink(t, version), 180*time.Second)
			o.SidecarArgs = []string{"--hung-after", "4s"}
			c := start(t, o)
			leader := ready(t, c)
			s, standby := c.SidecarOf(leader), c.SidecarOf(standbyOf(t, c, leader))
			for _, each := range []*lab.Sidecar{s, standby} {
				awaitSaid(t, each, msgServes)
				awaitReady(t, each)
				eventually(t, "Flink's version is known", func() bool {
					_, text := probe(t, each, "/v1/status")
					return strings.Contains(text, `"flink_version":"`+o.Flink.Version+`"`)
				})
			}
			mustAnswer(t, s, "/leader", http.StatusOK)
			mustAnswer(t, s, "/standby", http.StatusServiceUnavailable)
			mustAnswer(t, standby, "/leader", http.StatusServiceUnavailable)
			mustAnswer(t, standby, "/standby", http.StatusOK)
			mustPass(t, s)

			// A pause below the limit.
			signal(t, leader, syscall.SIGSTOP)
			pause(t, 2*time.Second)
			signal(t, leader, syscall.SIGCONT)
			mustPass(t, s)

			stopped := signal(t, leader, syscall.SIGSTOP)
			line := awaitSaid(t, s, msgStuck)
			t.Logf("stuck %v after SIGSTOP, with --hung-after 4s: %v", line.At.Sub(stopped), line.Fields["reason"])
			code, text, took := s.Check(t.Context())
			if code != 1 || strings.Count(text, "\n") != 1 || !strings.Contains(text, "stuck") {
				t.Errorf("the check ended with %d after %v, saying %q", code, took, text)
			}
			mustAnswer(t, s, "/readyz", http.StatusServiceUnavailable)
			mustAnswer(t, s, "/leader", http.StatusServiceUnavailable)
			mustLive(t, s)
			if n := metric(t, s, "flink_ha_jobmanager_stuck"); n != 1 {
				t.Errorf("flink_ha_jobmanager_stuck is %v", n)
			}
			mustPass(t, standby)

			// The sidecar is stopped as well: nobody knows, nobody is killed.
			signal(t, s, syscall.SIGSTOP)
			mustPass(t, s)
			signal(t, s, syscall.SIGCONT)

			continued := signal(t, leader, syscall.SIGCONT)
			line = awaitSaid(t, s, msgRecovered)
			t.Logf("well again %v after SIGCONT", line.At.Sub(continued))
			mustPass(t, s)
			awaitReady(t, s)
			mustNotFree(t, c.Sidecars...)
			if n := metric(t, s, "flink_ha_jobmanager_stuck_total"); n != 1 {
				t.Errorf("flink_ha_jobmanager_stuck_total is %v", n)
			}
			s.Kill()
			mustPass(t, s)
		})
	}
}

// mustPass fails the test unless the JobManager's liveness probe passes in time.
func mustPass(t *testing.T, s *lab.Sidecar) {
	t.Helper()
	code, text, took := s.Check(t.Context())
	if code != 0 {
		t.Errorf("%s: the check ended with %d, saying %q", s.Name, code, text)
	}
	t.Logf("%s: the check passed after %v %s", s.Name, took, strings.TrimSpace(text))
}

func mustAnswer(t *testing.T, s *lab.Sidecar, path string, want int) {
	t.Helper()
	if code, text := probe(t, s, path); code != want {
		t.Errorf("%s %s: status %d, want %d: %s", s.Name, path, code, want, text)
	}
}

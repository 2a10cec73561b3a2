package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"flink-ha-sidecar/lab"
)

// command runs the program in a sidecar's pod; it must succeed.
func command(t *testing.T, s *lab.Sidecar, args ...string) string {
	t.Helper()
	text, code := s.Command(t.Context(), args...)
	if code != 0 {
		t.Fatalf("flink-ha %s: exit code %d: %s", strings.Join(args, " "), code, text)
	}
	return text
}

// entry is a leader change as the history tells it.
type entry struct {
	Ended struct {
		Holder string `json:"holder"`
	} `json:"ended"`
	End struct {
		Cause   string `json:"cause"`
		Outcome string `json:"outcome"`
		Proof   string `json:"proof"`
		Pod     string `json:"pod"`
	} `json:"end"`
	Next struct {
		Holder  string `json:"holder"`
		Address string `json:"address"`
	} `json:"next"`
	FreedMS     *int64 `json:"freed_ms"`
	GrantedMS   *int64 `json:"granted_ms"`
	PublishedMS *int64 `json:"published_ms"`
}

// history is what a sidecar tells of it.
func history(t *testing.T, s *lab.Sidecar) []entry {
	t.Helper()
	text, code := s.Command(t.Context(), "history", "-o", "json")
	var h struct {
		Changes []entry `json:"changes"`
	}
	if code != 0 || json.Unmarshal([]byte(text), &h) != nil {
		return nil // not read yet
	}
	return h.Changes
}

// endOf is the entry of the term that a holder had, nil if there is none.
func endOf(changes []entry, holder string) *entry {
	for i := range changes {
		if changes[i].Ended.Holder == holder {
			return &changes[i]
		}
	}
	return nil
}

func restartAll(t *testing.T, c *lab.Cluster) {
	t.Helper()
	for _, s := range c.Sidecars {
		s.Kill()
	}
	for _, s := range c.Sidecars {
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range c.Sidecars {
		eventually(t, s.Name+" answers", func() bool {
			code, _ := probe(t, s, "/livez")
			return code == http.StatusOK
		})
	}
}

func awaitPaused(t *testing.T, c *lab.Cluster, want float64) {
	t.Helper()
	for _, s := range c.Sidecars {
		eventually(t, s.Name+" knows of the pause, or of its end", func() bool { return metric(t, s, "flink_ha_paused") == want })
	}
}

// mustStand fails the test unless the lock of a dead leader still stands after d.
func mustStand(t *testing.T, c *lab.Cluster, held lab.LockVersion, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if v, err := c.Lock.WaitFor(ctx, held.At, func(v lab.LockVersion) bool { return !v.SameTenure(held) }); err == nil {
		t.Fatalf("%s held the lock, now it says %q", held.Holder, v.Record)
	}
}

// playPause: paused at the standby, all sidecars restarted, the leader killed: its lock
// stands. Resumed, it is freed, and the history has it once, across another restart.
func playPause(t *testing.T, c *lab.Cluster) {
	t.Helper()
	leader := ready(t, c)
	s := c.SidecarOf(leader)
	other := c.SidecarOf(standbyOf(t, c, leader))
	if text := command(t, other, "pause", "--for", "1h", "--reason", "upgrade"); !strings.Contains(text, "upgrade") {
		t.Errorf("pause says %q", text)
	}
	awaitPaused(t, c, 1)
	restartAll(t, c)
	awaitPaused(t, c, 1)

	held := c.Lock.Last()
	signal(t, leader, syscall.SIGKILL)
	awaitSaid(t, s, msgOutcome, "to:paused", "upgrade")
	mustStand(t, c, held, 2*time.Second)
	if n := released(t, s, "freed"); n != 0 {
		t.Errorf("%v locks were freed in a pause", n)
	}
	resumed := time.Now()
	command(t, other, "resume")
	to := awaitTakeover(t, c, held)
	if to.next.At.Sub(resumed) > 10*time.Second {
		t.Errorf("the next leader came %v after the pause", to.next.At.Sub(resumed))
	}
	awaitPaused(t, c, 0)
	for range 2 {
		for _, s := range c.Sidecars {
			var e *entry
			eventually(t, s.Name+" has the change in its history", func() bool {
				e = endOf(history(t, s), held.Holder)
				return e != nil && e.Next.Address != ""
			})
			if e.End.Cause != "died" || e.End.Outcome != "freed" || e.End.Proof != "process" || e.Next.Holder != to.next.Holder ||
				e.FreedMS == nil || *e.FreedMS < 2000 || e.GrantedMS == nil || e.PublishedMS == nil || *e.PublishedMS < *e.GrantedMS {
				t.Errorf("%s tells %+v, want a death, freed when the pause was over, and who came next: %s", s.Name, *e, to.next.Holder)
			}
			if n := len(history(t, s)); n > 2 { // the first leader, and this change
				t.Errorf("%s tells %d changes: %s", s.Name, n, command(t, s, "history"))
			}
		}
		restartAll(t, c)
	}
}

func TestIntegrationPause(t *testing.T) {
	p := shared(t)
	t.Parallel()
	playPause(t, start(t, lease(p.standIns(), 60*time.Second)))
}

func TestIntegrationPauseWithZooKeeper(t *testing.T) {
	p := newZKParts(t, lab.ZooKeeperOptions{})
	playPause(t, p.cluster(t, lab.ClusterOptions{}))
}

// The right to write the state is missing: nothing of the guard is, and one line says so.
func TestIntegrationGuardWorksWithoutTheState(t *testing.T) {
	p := shared(t)
	t.Parallel()
	o := lease(p.standIns(), 60*time.Second)
	var err error
	if o.SidecarKubeConfig, _, err = p.control.UserKubeConfig(t.Context(), "default", onConfigMaps("get", "watch", "patch")); err != nil {
		t.Fatal(err)
	}
	c := start(t, o)
	leader := ready(t, c)
	s := c.SidecarOf(leader)
	if text, code := s.Command(t.Context(), "pause", "--for", "1m"); code != 1 || !strings.Contains(text, "forbidden") || strings.Count(text, "\n") != 1 {
		t.Errorf("pause: exit code %d, %q; want 1 and one line", code, text)
	}
	held := c.Lock.Last()
	signal(t, leader, syscall.SIGKILL)
	awaitTakeover(t, c, held).mustBeFreed(t, c)
	if lines := saying(t, s, "the cluster's state cannot be written"); len(lines) != 1 {
		t.Errorf("%d lines about the state, want 1", len(lines))
	}
	if metric(t, s, "flink_ha_state_up") != 0 || metric(t, s, "flink_ha_backend_requests_total", `verb="create-state"`, `outcome="forbidden"`) == 0 {
		t.Error("the metrics do not tell")
	}
}

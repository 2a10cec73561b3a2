package e2e

import (
	"syscall"
	"testing"
	"time"

	"flink-ha-sidecar/lab"
	"flink-ha-sidecar/lab/labtest"
)

// flinkSession is what servers with Flink's usual settings cap a session at.
const flinkSession = 40 * time.Second

// The next in line dies, and 5 s later the leader: how long the third one waits,
// where the servers tell their connections and where they do not.
func TestSlowIntegrationZooKeeperDeadStandby(t *testing.T) {
	slow(t)
	for _, row := range []struct {
		name     string
		commands []string
		told     bool
	}{
		{"with cons", nil, true},
		{"without cons", []string{"srvr"}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := &zkParts{
				servers: labtest.ZooKeeper(t, lab.ZooKeeperOptions{Commands: row.commands, MaxSession: flinkSession}),
				sidecar: labtest.Sidecar(t), standIn: labtest.ZooKeeperStandIn(t),
			}
			c := p.cluster(t, lab.ClusterOptions{JobManagers: 3})
			leader := ready(t, c)
			held := c.Lock.Last()
			next := nextInLine(t, c, leader, held)
			if row.told {
				awaitSaid(t, c.SidecarOf(next), msgBound, held.Queue[1])
			}
			signal(t, next, syscall.SIGKILL)
			pause(t, 5*time.Second)
			at := signal(t, leader, syscall.SIGKILL)
			eventually(t, "the third one leads", func() bool { return c.LeaderNow() != nil && c.LeaderNow() != leader })
			took := time.Since(at)
			t.Logf("next leader %v after the leader's death", took)
			if freed := took < flinkSession/4; freed != row.told {
				t.Errorf("took %v: want the dead standby's place freed: %v", took, row.told)
			}
		})
	}
}

// nextInLine finds the candidate behind the leader.
func nextInLine(t *testing.T, c *lab.Cluster, leader *lab.JobManager, held lab.LockVersion) *lab.JobManager {
	t.Helper()
	for _, j := range c.Standbys(leader) {
		if sessionOf(t, j) == held.Queue[1] {
			return j
		}
	}
	t.Fatalf("no standby has session %s, the second of %v", held.Queue[1], held.Queue)
	return nil
}

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"flink-ha-sidecar/lab"
	"flink-ha-sidecar/lab/labtest"
)

// zkSession is how long the sessions of stand-ins last: long beside a release,
// short beside the patience of a test.
const zkSession = 12 * time.Second

// zkParts are what the tests with ZooKeeper HA share. Nothing of Kubernetes is
// among them.
type zkParts struct {
	servers          *lab.ZooKeeper
	sidecar, standIn string // binaries
}

func newZKParts(t *testing.T, o lab.ZooKeeperOptions) *zkParts {
	t.Helper()
	o.MaxSession = zkSession
	return &zkParts{servers: labtest.ZooKeeper(t, o), sidecar: labtest.Sidecar(t), standIn: labtest.ZooKeeperStandIn(t)}
}

// cluster starts stand-ins with sidecars.
func (p *zkParts) cluster(t *testing.T, o lab.ClusterOptions) *lab.Cluster {
	t.Helper()
	t.Setenv("KUBECONFIG", "")
	o.ZooKeeper, o.StandIn, o.Sidecar = p.servers, p.standIn, p.sidecar
	return start(t, o)
}

// client is a session of the test's own.
func (p *zkParts) client(t *testing.T) *zk.Conn {
	t.Helper()
	conn, err := lab.DialZooKeeper(strings.Split(p.servers.Quorum(), ","), 20*time.Second, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// audited watches the queue of a cluster until the test ends.
func (p *zkParts) audited(t *testing.T, c *lab.Cluster) *lab.LatchAudit {
	t.Helper()
	a := lab.NewLatchAudit(p.servers, c.Settings.LockPath())
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { a.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return a
}

// sessionOf is the present session of a stand-in.
func sessionOf(t *testing.T, j *lab.JobManager) string {
	t.Helper()
	var sessions []string
	eventually(t, j.Name+" stands in the queue", func() bool {
		var err error
		if sessions, err = lab.StandInSessions(j.Log()); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return len(sessions) > 0
	})
	return sessions[len(sessions)-1]
}

// gone waits until a session has no place in the queue, and returns when.
func gone(t *testing.T, c *lab.Cluster, held lab.LockVersion, session string) time.Time {
	t.Helper()
	return await(t, c, held, "the place of "+session+" to go", func(v lab.LockVersion) bool {
		return v.Queue != nil && !slices.Contains(v.Queue, session)
	}).At
}

// soon fails the test unless a release and not the end of a session did it.
func soon(t *testing.T, what string, since, at time.Time) {
	t.Helper()
	if took := at.Sub(since); took > zkSession/2 {
		t.Errorf("%s took %v, which a session that ends by itself could explain", what, took)
	} else {
		t.Logf("%s took %v", what, took)
	}
}

// mustNotDelete fails the test if a sidecar has sent a delete.
func mustNotDelete(t *testing.T, sidecars ...*lab.Sidecar) {
	t.Helper()
	for _, s := range sidecars {
		if n := metric(t, s, "flink_ha_backend_requests_total", `verb="delete"`); n != 0 {
			t.Errorf("%s: %v deletes, want none", s.Name, n)
		}
	}
}

// locksOf lists the lock nodes of a session below a cluster.
func locksOf(t *testing.T, conn *zk.Conn, path, session string) []string {
	t.Helper()
	var found []string
	names, _, err := conn.Children(path)
	if err != nil && !errors.Is(err, zk.ErrNoNode) {
		t.Fatal(err)
	}
	for _, name := range names {
		node := path + "/" + name
		if there, stat, err := conn.Exists(node); err != nil {
			t.Fatal(err)
		} else if there && ownerName(stat) == session && strings.Contains(path, "/locks") {
			found = append(found, node)
		}
		if name != "latch" {
			found = append(found, locksOf(t, conn, node, session)...)
		}
	}
	return found
}

func ownerName(stat *zk.Stat) string { return fmt.Sprintf("%#x", uint64(stat.EphemeralOwner)) }

func TestIntegrationZooKeeper(t *testing.T) {
	p := newZKParts(t, lab.ZooKeeperOptions{})
	for _, row := range []struct {
		name string
		run  func(*testing.T, *zkParts)
	}{
		{"the place and the locks of a killed leader are freed", zkKilled},
		{"a leader that ends in order needs no sidecar", zkTerminated},
		{"a leader that is started again finds its old place gone", zkRestarted},
		{"a killed standby does not hold up the next leader", zkStandbyKilled},
		{"leader and standby killed together are both freed", zkBothKilled},
		{"a stopped leader is left alone", zkStopped},
		{"the old places of a leader that changed its session are left alone", zkSessionChanged},
		{"a server that is started again is found again", zkServerRestarted},
		{"a sidecar that was stopped beyond its own session frees all the same", zkSidecarStopped},
		{"a connection_info that nobody can read keeps no dead leader in place", zkGarbage},
		{"an ACL that forbids the delete is named, and the session ends by itself", zkForbidden},
	} {
		t.Run(row.name, func(t *testing.T) { row.run(t, p) })
	}
}

func zkKilled(t *testing.T, p *zkParts) {
	c := p.cluster(t, lab.ClusterOptions{})
	leader := ready(t, c)
	next, held, conn := standbyOf(t, c, leader), c.Lock.Last(), p.client(t)
	if locks := locksOf(t, conn, c.Settings.LockPath(), held.Holder); len(locks) == 0 {
		t.Fatal("the leader holds no locks, so that nothing could be left of them")
	}
	at := signal(t, leader, syscall.SIGKILL)
	soon(t, "freeing the place", at, gone(t, c, held, held.Holder))
	if leader.Alive() {
		t.Error("the place was freed before the process had ended")
	}
	eventually(t, "the dead session's locks are gone", func() bool { return len(locksOf(t, conn, c.Settings.LockPath(), held.Holder)) == 0 })
	soon(t, "freeing the locks", at, time.Now())
	eventually(t, next.Name+" leads", func() bool { return c.LeaderNow() == next })
	s := c.SidecarOf(leader)
	eventually(t, "one release is counted", func() bool { return released(t, s, "freed") == 1 })
	mustNotDelete(t, c.SidecarOf(next))
	if locks := locksOf(t, conn, c.Settings.LockPath(), c.Lock.Last().Holder); len(locks) == 0 {
		t.Error("the new leader's locks are gone")
	}
}

func zkTerminated(t *testing.T, p *zkParts) {
	c := p.cluster(t, lab.ClusterOptions{})
	leader := ready(t, c)
	held := c.Lock.Last()
	at := signal(t, leader, syscall.SIGTERM)
	soon(t, "closing the session", at, gone(t, c, held, held.Holder))
	eventually(t, "the next one leads", func() bool { return c.LeaderNow() != nil && c.LeaderNow() != leader })
	mustNotDelete(t, c.Sidecars...)
}

func zkRestarted(t *testing.T, p *zkParts) {
	c := p.cluster(t, lab.ClusterOptions{JobManagers: 1, StartAgain: 100 * time.Millisecond})
	leader := ready(t, c)
	held := c.Lock.Last()
	at := signal(t, leader, syscall.SIGKILL)
	soon(t, "freeing the place", at, gone(t, c, held, held.Holder))
	eventually(t, "the new process leads", func() bool { return c.LeaderNow() == leader && c.Lock.Last().Holder != held.Holder })
	awaitBound(t, c, c.SidecarOf(leader))
}

// zkStandbyKilled kills the next in line, and then the leader.
func zkStandbyKilled(t *testing.T, p *zkParts) {
	c := p.cluster(t, lab.ClusterOptions{JobManagers: 3})
	leader := ready(t, c)
	held := c.Lock.Last()
	standby := nextInLine(t, c, leader, held)
	awaitSaid(t, c.SidecarOf(standby), msgBound, held.Queue[1]) // by its connection
	at := signal(t, standby, syscall.SIGKILL)
	soon(t, "freeing the standby's place", at, gone(t, c, held, held.Queue[1]))
	at = signal(t, leader, syscall.SIGKILL)
	eventually(t, "the third one leads", func() bool { return c.LeaderNow() != nil && c.LeaderNow() != leader })
	soon(t, "the next leader after a dead standby", at, time.Now())
}

func zkBothKilled(t *testing.T, p *zkParts) {
	c := p.cluster(t, lab.ClusterOptions{StartAgain: 500 * time.Millisecond})
	leader := ready(t, c)
	standby, held := standbyOf(t, c, leader), c.Lock.Last()
	awaitSaid(t, c.SidecarOf(standby), msgBound, sessionOf(t, standby))
	at := signal(t, leader, syscall.SIGKILL)
	signal(t, standby, syscall.SIGKILL)
	for _, session := range held.Queue {
		soon(t, "freeing "+session, at, gone(t, c, held, session))
	}
	eventually(t, "a new process leads", func() bool { return c.LeaderNow() != nil && !slices.Contains(held.Queue, c.Lock.Last().Holder) })
}

// zkStopped: it is stuck as soon as its session does nothing, long before that has
// ended, and nothing is deleted because of it.
func zkStopped(t *testing.T, p *zkParts) {
	c := p.cluster(t, lab.ClusterOptions{SidecarArgs: []string{"--hung-after", "2s"}})
	leader := ready(t, c)
	held, s := c.Lock.Last(), c.SidecarOf(leader)
	mustPass(t, s)
	at := signal(t, leader, syscall.SIGSTOP)
	defer signal(t, leader, syscall.SIGCONT)
	if took := awaitSaid(t, s, msgStuck).At.Sub(at); took > zkSession/2 {
		t.Errorf("stuck after %v, when its session may have ended", took)
	} else {
		t.Logf("stuck after %v, with --hung-after 2s", took)
	}
	if code, text, _ := s.Check(t.Context()); code != 1 {
		t.Errorf("the check ended with %d, saying %q", code, text)
	}
	if took := gone(t, c, held, held.Holder).Sub(at); took < zkSession/2 {
		t.Errorf("the place of a stopped leader was gone after %v", took)
	}
	mustNotDelete(t, c.Sidecars...)
}

func zkSessionChanged(t *testing.T, p *zkParts) {
	c := p.cluster(t, lab.ClusterOptions{})
	leader := ready(t, c)
	held, audit := c.Lock.Last(), p.audited(t, c)
	at := signal(t, leader, syscall.SIGUSR1)
	eventually(t, "a place of the new session", func() bool {
		return sessionOf(t, leader) != held.Holder && slices.Contains(c.Lock.Last().Queue, sessionOf(t, leader))
	})
	if took := gone(t, c, held, held.Holder).Sub(at); took < zkSession/2 {
		t.Errorf("the old place of a living leader was gone after %v", took)
	}
	mustNotDelete(t, c.Sidecars...)
	for _, d := range audit.Deletions() {
		if d.Owner != held.Holder {
			t.Errorf("%s of living session %s went away", d.Name, d.Owner)
		}
	}
}

func zkServerRestarted(t *testing.T, p *zkParts) {
	c := p.cluster(t, lab.ClusterOptions{})
	leader := ready(t, c)
	s, server := c.SidecarOf(leader), p.servers.Servers[0]
	server.Kill()
	awaitSaid(t, s, "the lock cannot be observed")
	mustLive(t, s)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	awaitSaid(t, s, "the lock can be observed again")
	held := c.Lock.Last()
	at := signal(t, leader, syscall.SIGKILL)
	soon(t, "freeing the place", at, gone(t, c, held, held.Holder))
}

func zkSidecarStopped(t *testing.T, p *zkParts) {
	c := p.cluster(t, lab.ClusterOptions{})
	leader := ready(t, c)
	s, held := c.SidecarOf(leader), c.Lock.Last()
	signal(t, s, syscall.SIGSTOP)
	pause(t, 9*time.Second) // its own session lasts 6 s
	signal(t, s, syscall.SIGCONT)
	awaitSaid(t, s, "the lock can be observed again")
	at := signal(t, leader, syscall.SIGKILL)
	soon(t, "freeing the place", at, gone(t, c, held, held.Holder))
}

func zkGarbage(t *testing.T, p *zkParts) {
	c := p.cluster(t, lab.ClusterOptions{})
	leader := ready(t, c)
	s, conn, held := c.SidecarOf(leader), p.client(t), c.Lock.Last()
	for component, data := range map[string]string{
		"text": "pekko.tcp://", "class": "\xac\xed\x00\x05\x77\x02\x00\x00sr\x00\x0ejava.util.Hash\x00", "long": strings.Repeat("x", 900<<10), "empty": "",
	} {
		node := c.Settings.LockPath() + "/leader/" + component
		for _, n := range []string{node, node + "/connection_info"} {
			content := []byte(data)
			if n == node {
				content = nil
			}
			if _, err := conn.Create(n, content, 0, zk.WorldACL(zk.PermAll)); err != nil {
				t.Fatal(err)
			}
		}
	}
	awaitSaid(t, s, "the election is not as Flink writes it", "does not parse")
	at := signal(t, leader, syscall.SIGKILL)
	soon(t, "freeing the place", at, gone(t, c, held, held.Holder))
}

func zkForbidden(t *testing.T, p *zkParts) {
	c := p.cluster(t, lab.ClusterOptions{})
	leader := ready(t, c)
	s, conn, held := c.SidecarOf(leader), p.client(t), c.Lock.Last()
	latch := c.Settings.LockPath() + "/leader/latch"
	if _, err := conn.SetACL(latch, zk.WorldACL(zk.PermRead|zk.PermCreate|zk.PermAdmin), -1); err != nil {
		t.Fatal(err)
	}
	at := signal(t, leader, syscall.SIGKILL)
	awaitSaid(t, s, msgOutcome, "forbidden", latch, "world:anyone:cra")
	if took := gone(t, c, held, held.Holder).Sub(at); took < zkSession/2 {
		t.Errorf("the place was gone after %v although nobody may delete it", took)
	}
	eventually(t, "the end is counted", func() bool { return released(t, s, "forbidden") == 1 })
}

// TestIntegrationZooKeeperWithoutCons: servers that do not tell their connections
// leave a standby's session unknown.
func TestIntegrationZooKeeperWithoutCons(t *testing.T) {
	p := newZKParts(t, lab.ZooKeeperOptions{Commands: []string{"srvr"}})
	c := p.cluster(t, lab.ClusterOptions{JobManagers: 3})
	leader := ready(t, c)
	held := c.Lock.Last()
	standby := nextInLine(t, c, leader, held)
	s := c.SidecarOf(standby)
	awaitSaid(t, s, "which session is the standby", "4lw.commands.whitelist")
	at := signal(t, standby, syscall.SIGKILL)
	awaitSaid(t, s, "JobManager ended without being bound", "a dead candidate may be ahead of the next leader")
	eventually(t, "it is counted", func() bool { return metric(t, s, "flink_ha_unbound_deaths_total") == 1 })
	signal(t, leader, syscall.SIGKILL)
	gone(t, c, held, held.Holder)
	eventually(t, "the third one leads", func() bool { return c.LeaderNow() != nil && c.LeaderNow() != leader })
	t.Logf("the next leader came %v after the standby's death", time.Since(at))
	mustNotDelete(t, s)
}

// TestIntegrationZooKeeperEnsemble: three servers.
func TestIntegrationZooKeeperEnsemble(t *testing.T) {
	p := newZKParts(t, lab.ZooKeeperOptions{Servers: 3})
	t.Run("the server that leads dies with the JobManager that leads", func(t *testing.T) {
		c := p.cluster(t, lab.ClusterOptions{})
		leader := ready(t, c)
		held, server := c.Lock.Last(), p.servers.Leader(t.Context())
		server.Kill()
		at := signal(t, leader, syscall.SIGKILL)
		took := gone(t, c, held, held.Holder).Sub(at)
		t.Logf("freeing the place took %v", took)
		eventually(t, "the sidecar says so", func() bool { return released(t, c.SidecarOf(leader), "freed") == 1 })
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a quorum that is lost comes back", func(t *testing.T) {
		c := p.cluster(t, lab.ClusterOptions{})
		leader := ready(t, c)
		held, s := c.Lock.Last(), c.SidecarOf(leader)
		lost := p.servers.Servers[:2]
		for _, server := range lost {
			server.Kill()
		}
		signal(t, leader, syscall.SIGKILL)
		awaitSaid(t, s, msgEnded)
		mustLive(t, s)
		for _, server := range lost {
			if err := server.Start(); err != nil {
				t.Fatal(err)
			}
		}
		// The servers elect before they answer anybody; sessions last anew from then on.
		eventually(t, "a quorum", func() bool { return p.servers.Leader(t.Context()) != nil })
		back := time.Now()
		soon(t, "freeing the place once the servers are back", back, gone(t, c, held, held.Holder))
	})
}

func TestIntegrationZooKeeperFlink(t *testing.T) {
	p := newZKParts(t, lab.ZooKeeperOptions{})
	for _, version := range versions(2, "2.3", "1.18", "1.20") {
		t.Run("Flink "+version, func(t *testing.T) {
			c := start(t, lab.ClusterOptions{ZooKeeper: p.servers, Flink: labtest.Flink(t, version), Sidecar: p.sidecar})
			leader := ready(t, c)
			s, next := c.SidecarOf(leader), standbyOf(t, c, leader)
			mustTakeOver(t, c, next)
			if n := released(t, s, "freed"); n != 1 {
				t.Errorf("%v releases counted, want 1", n)
			}
			mustNotDelete(t, c.SidecarOf(next))
		})
	}
}

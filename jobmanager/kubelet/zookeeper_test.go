package kubelet_test

import (
	"crypto/rand"
	"errors"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"flink-ha-sidecar/lab"
	"flink-ha-sidecar/lab/labtest"
	"flink-ha-sidecar/leader"
	"flink-ha-sidecar/leader/zookeeper"
)

// TestIntegrationKubeletsWordOnZooKeeper: the same word on a queue without times,
// on a real API server and a real ZooKeeper.
func TestIntegrationKubeletsWordOnZooKeeper(t *testing.T) {
	plane := labtest.ControlPlane(t)
	servers := labtest.ZooKeeper(t, lab.ZooKeeperOptions{})
	for name, test := range map[string]func(*testing.T, *zkPod){
		"a death that it tells frees the place":         zkDeathFrees,
		"a status that lags frees no successor's place": zkLaggingStatus,
	} {
		t.Run(name, func(t *testing.T) { test(t, newZKPod(t, plane, servers)) })
	}
}

func zkDeathFrees(t *testing.T, p *zkPod) {
	p.runs(t, "containerd://one", time.Now().Add(-time.Minute))
	place := p.leads(t)
	p.await(t, leader.Leading)
	// The status tells whole seconds, cut off: a death in the second of the binding
	// could be the container's before.
	p.terminates(t, "containerd://one", time.Now().Add(time.Second))
	p.until(t, "the place to go", func(*leader.Snapshot) bool { return !p.there(t, place) })
}

// zkLaggingStatus: the status says that the dead container runs when its successor
// stands in the queue already, and tells of the death only after that.
func zkLaggingStatus(t *testing.T, p *zkPod) {
	p.runs(t, "containerd://old", time.Now().Add(-time.Minute))
	died := time.Now().Add(-time.Second)
	place := p.leads(t) // the successor's
	p.await(t, leader.Leading)
	p.terminates(t, "containerd://old", died)
	p.await(t, leader.Refuted)
	if !p.there(t, place) {
		t.Error("the living successor's place is gone")
	}
}

// zkPod is a pod on the API server with a loop that watches over a queue.
type zkPod struct {
	*pod
	conn *zk.Conn
	path string
}

func newZKPod(t *testing.T, plane *lab.ControlPlane, servers *lab.ZooKeeper) *zkPod {
	t.Helper()
	conn, err := lab.DialZooKeeper(strings.Split(servers.Quorum(), ","), 30*time.Second, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	p := &zkPod{conn: conn, path: "/flink/" + strings.ToLower(rand.Text()[:10])}
	backend, err := zookeeper.New(zookeeper.Options{Servers: strings.Split(servers.Quorum(), ","), Path: p.path, SessionTimeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	rules := leader.DefaultRules()
	rules.Bind = leader.BindByOwner
	p.pod = newPodWith(t, plane, backend, rules)
	t.Cleanup(backend.Close)
	return p
}

// leads stands in the queue and publishes this pod's address, as Flink does.
func (p *zkPod) leads(t *testing.T) (place string) {
	t.Helper()
	p.makeAll(t, p.path+"/leader/latch")
	p.makeAll(t, p.path+"/leader/rest_server")
	everyone := zk.WorldACL(zk.PermAll)
	place, err := p.conn.Create(p.path+"/leader/latch/_c_11111111-2222-4333-8444-555555555555-latch-", nil, zk.FlagEphemeral|zk.FlagSequence, everyone)
	if err != nil {
		t.Fatal(err)
	}
	info := lab.ConnectionInfo("http://"+podIP+":8081", [16]byte{1})
	if _, err := p.conn.Create(p.path+"/leader/rest_server/connection_info", info, zk.FlagEphemeral, everyone); err != nil {
		t.Fatal(err)
	}
	return place
}

func (p *zkPod) makeAll(t *testing.T, node string) {
	t.Helper()
	if node == "/" {
		return
	}
	p.makeAll(t, path.Dir(node))
	if _, err := p.conn.Create(node, nil, 0, zk.WorldACL(zk.PermAll)); err != nil && !errors.Is(err, zk.ErrNodeExists) {
		t.Fatal(err)
	}
}

func (p *zkPod) there(t *testing.T, node string) bool {
	t.Helper()
	there, _, err := p.conn.Exists(node)
	if err != nil {
		t.Fatal(err)
	}
	return there
}

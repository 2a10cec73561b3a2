package zookeeper_test

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"flink-ha-sidecar/lab"
	"flink-ha-sidecar/leader"
)

// curator acts on a cluster's nodes as Flink's Curator does.
type curator struct {
	admin   *zk.Conn
	servers []string
	path    string
}

// everyone is Curator's default ACL.
var everyone = zk.WorldACL(zk.PermAll)

func newCurator(t testing.TB, servers []string) *curator {
	t.Helper()
	return &curator{admin: session(t, servers), servers: servers, path: "/flink/c" + strings.ToLower(rand.Text()[:10])}
}

// session opens one; it ends with the test.
func session(t testing.TB, servers []string, options ...func(*zk.Conn)) *zk.Conn {
	t.Helper()
	conn, err := lab.DialZooKeeper(servers, 40*time.Second, nil, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// contend takes a place in the queue and returns its path.
func (c *curator) contend(t testing.TB, conn *zk.Conn) string {
	t.Helper()
	c.make(t, c.path+"/leader/latch")
	uuid := newUUID()
	place, err := conn.Create(c.path+"/leader/latch/_c_"+uuid+"-latch-", nil, zk.FlagEphemeral|zk.FlagSequence, everyone)
	if err != nil {
		t.Fatal(err)
	}
	return place
}

// publish writes a component's connection_info as ZooKeeperLeaderElectionDriver
// does: another's node is deleted and made anew.
func (c *curator) publish(t testing.TB, conn *zk.Conn, component string, p leader.Publication) {
	t.Helper()
	c.put(t, conn, component, encodeInfo(t, p))
}

func (c *curator) put(t testing.TB, conn *zk.Conn, component string, data []byte) {
	t.Helper()
	names := map[string]string{leader.ResourceManager: "resource_manager", leader.RESTServer: "rest_server"}
	if name, ok := names[component]; ok {
		component = name
	}
	node := c.path + "/leader/" + component + "/connection_info"
	c.make(t, path.Dir(node))
	there, stat, err := conn.Exists(node)
	if err != nil {
		t.Fatal(err)
	}
	if there && stat.EphemeralOwner == conn.SessionID() {
		_, err = conn.Set(node, data, stat.Version)
	} else {
		if there {
			if err := conn.Delete(node, -1); err != nil {
				t.Fatal(err)
			}
		}
		_, err = conn.Create(node, data, zk.FlagEphemeral, everyone)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// lock holds a node as ZooKeeperStateHandleStore does, and returns the lock's path.
func (c *curator) lock(t testing.TB, conn *zk.Conn, held string) string {
	t.Helper()
	c.make(t, c.path+"/"+held+"/locks")
	p, err := conn.Create(c.path+"/"+held+"/locks/"+newUUID(), []byte("127.0.0.1"), zk.FlagEphemeral, everyone)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// make makes a persistent node with all above it.
func (c *curator) make(t testing.TB, node string) {
	t.Helper()
	for i := 1; i <= len(node); i++ {
		if i < len(node) && node[i] != '/' {
			continue
		}
		if _, err := c.admin.Create(node[:i], nil, 0, everyone); err != nil && !errors.Is(err, zk.ErrNodeExists) {
			t.Fatalf("make %s: %v", node[:i], err)
		}
	}
}

// remove removes a node with all below it.
func (c *curator) remove(t testing.TB, node string) {
	t.Helper()
	names, _, err := c.admin.Children(node)
	if err != nil && !errors.Is(err, zk.ErrNoNode) {
		t.Fatal(err)
	}
	for _, name := range names {
		c.remove(t, node+"/"+name)
	}
	if err := c.admin.Delete(node, -1); err != nil && !errors.Is(err, zk.ErrNoNode) {
		t.Fatal(err)
	}
}

func (c *curator) exists(t testing.TB, node string) bool {
	t.Helper()
	there, _, err := c.admin.Exists(node)
	if err != nil {
		t.Fatal(err)
	}
	return there
}

// encodeInfo writes what Java's ObjectOutputStream writes for a string and a UUID.
func encodeInfo(t testing.TB, p leader.Publication) []byte {
	t.Helper()
	uuid, err := hex.DecodeString(strings.ReplaceAll(p.Session, "-", ""))
	if err != nil || len(uuid) != 16 {
		uuid = make([]byte, 16)
		copy(uuid, p.Session)
	}
	return lab.ConnectionInfo(p.Address, [16]byte(uuid))
}

func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// name is how the backend calls a session.
func name(conn *zk.Conn) string { return fmt.Sprintf("%#x", uint64(conn.SessionID())) }

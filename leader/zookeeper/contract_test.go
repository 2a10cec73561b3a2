package zookeeper_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"flink-ha-sidecar/lab"
	"flink-ha-sidecar/lab/labtest"
	"flink-ha-sidecar/leader"
	"flink-ha-sidecar/leader/leadertest"
	"flink-ha-sidecar/leader/zookeeper"
)

// TestIntegrationContract runs the contract on a real server.
func TestIntegrationContract(t *testing.T) {
	z := labtest.ZooKeeper(t, lab.ZooKeeperOptions{})
	leadertest.Contract(t, func(t *testing.T) leadertest.Harness {
		return newLock(t, z).harness()
	})
}

// lock is one cluster's node in ZooKeeper, and a backend that reaches the server
// through a proxy. The suite names holders as it likes; here they are sessions.
type lock struct {
	*curator
	proxy   *lab.Proxy
	backend *zookeeper.Backend
	holder  string // the one that acquired last
	// connects counts the links of the backend, cut those that were cut.
	connects, cut atomic.Int64

	mu       sync.Mutex
	sessions map[string]*zk.Conn // by holder
	holders  map[string]string   // by session
}

func newLock(t *testing.T, z *lab.ZooKeeper) *lock {
	t.Helper()
	server := z.Servers[0].Address
	l := &lock{curator: newCurator(t, []string{server}), sessions: map[string]*zk.Conn{}, holders: map[string]string{}}
	host, _, err := net.SplitHostPort(server)
	if err != nil {
		t.Fatal(err)
	}
	if l.proxy, err = lab.StartProxy(host, server); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.proxy.Close)
	l.backend, err = zookeeper.New(zookeeper.Options{Servers: []string{l.proxy.Address()}, Path: l.path, Count: l.count})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.backend.Close)
	return l
}

func (l *lock) count(verb, outcome string) {
	if verb == "connect" && outcome == "ok" {
		l.connects.Add(1)
	}
}

func (l *lock) harness() leadertest.Harness {
	return leadertest.Harness{
		Backend: named{l}, Verb: "delete",
		Acquire: l.acquire, Fields: l.fields,
		Publish: func(t testing.TB, component string, p leader.Publication) {
			t.Helper()
			l.publish(t, l.session(t, l.holder), component, p)
		},
		Unpublish: func(t testing.TB, component string) {
			t.Helper()
			l.remove(t, l.path+"/leader/"+strings.ReplaceAll(component, "server", "_server")+"/connection_info")
		},
		Touch:   func(t testing.TB) { t.Helper(); l.make(t, l.path+"/jobs/touched"+rand.Text()) },
		Delete:  func(t testing.TB) { t.Helper(); l.remove(t, l.path) },
		Corrupt: func(t testing.TB) { t.Helper(); l.make(t, l.path+"/leader/latch/not-a-place") },
		Gap:     l.gap,
		Outage:  func(_ testing.TB, on bool) { l.proxy.Refuse(on) },
		Freeze:  func(_ testing.TB, on bool) { l.proxy.Freeze(on) },
		Forbid:  l.forbid,
	}
}

// session is the one that plays a holder.
func (l *lock) session(t testing.TB, holder string) *zk.Conn {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if conn, ok := l.sessions[holder]; ok {
		return conn
	}
	conn := session(t, l.servers)
	if _, _, err := conn.Exists("/"); err != nil { // waits for the session
		t.Fatal(err)
	}
	l.sessions[holder], l.holders[name(conn)] = conn, holder
	return conn
}

// acquire ends whatever stands in the queue, as an expired session does, and takes
// the first place.
func (l *lock) acquire(t testing.TB, holder string, _ time.Time) {
	t.Helper()
	conn := l.session(t, holder)
	l.remove(t, l.path+"/leader/latch")
	l.contend(t, conn)
	l.holder = holder
}

// fields are all nodes but the places in the queue.
func (l *lock) fields(t testing.TB) map[string]string {
	t.Helper()
	_, stat, err := l.admin.Exists(l.path)
	if err != nil {
		t.Fatal(err)
	}
	if !l.exists(t, l.path) {
		return nil
	}
	out := map[string]string{leadertest.RecordField: "", "uid": fmt.Sprint(stat.Czxid)}
	l.walk(t, l.path, out)
	return out
}

func (l *lock) walk(t testing.TB, node string, out map[string]string) {
	t.Helper()
	data, stat, err := l.admin.Get(node)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(node, l.path+"/leader/latch/") {
		out[leadertest.RecordField] += node + " of " + l.holders[fmt.Sprintf("%#x", uint64(stat.EphemeralOwner))] + "\n"
		return
	}
	out[node] = fmt.Sprintf("%q version %d", data, stat.Version)
	names, _, err := l.admin.Children(node)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	for _, n := range names {
		l.walk(t, node+"/"+n, out)
	}
}

// gap cuts a link; while none stands there is nothing that could be missed.
func (l *lock) gap(t testing.TB) {
	t.Helper()
	labtest.Until(t, "a link to cut", func() bool { return l.connects.Load() > l.cut.Load() })
	l.cut.Store(l.connects.Load())
	l.proxy.Cut()
}

// forbid lets nobody but one identity delete places.
func (l *lock) forbid(t testing.TB) string {
	t.Helper()
	acl := append(zk.DigestACL(zk.PermAll, "flink", "secret"), zk.WorldACL(zk.PermRead)...)
	if _, err := l.admin.SetACL(l.path+"/leader/latch", acl, -1); err != nil {
		t.Fatal(err)
	}
	return l.path + "/leader/latch"
}

// named is the backend with the suite's names of holders.
type named struct{ l *lock }

func (n named) Observe(ctx context.Context, sink func(leader.View), gap func(error)) error {
	return n.l.backend.Observe(ctx, func(v leader.View) { sink(n.l.rename(v, n.l.holders)) }, gap)
}

func (n named) Read(ctx context.Context) (leader.View, error) {
	v, err := n.l.backend.Read(ctx)
	return n.l.rename(v, n.l.holders), err
}

func (n named) Release(ctx context.Context, v leader.View, holder string) (leader.View, error) {
	sessions := map[string]string{}
	n.l.mu.Lock()
	for session, holder := range n.l.holders {
		sessions[holder] = session
	}
	n.l.mu.Unlock()
	after, err := n.l.backend.Release(ctx, n.l.rename(v, sessions), sessions[holder])
	return n.l.rename(after, n.l.holders), err
}

func (l *lock) rename(v leader.View, names map[string]string) leader.View {
	l.mu.Lock()
	defer l.mu.Unlock()
	to := func(s string) string {
		if n, ok := names[s]; ok {
			return n
		}
		return s
	}
	v.Tenure.Holder = to(v.Tenure.Holder)
	if v.Contenders != nil {
		v.Contenders = slices.Clone(v.Contenders)
		for i, c := range v.Contenders {
			v.Contenders[i] = to(c)
		}
	}
	return v
}

package zookeeper_test

import (
	"errors"
	"net"
	"testing"

	"github.com/go-zookeeper/zk"

	"flink-ha-sidecar/hastate"
	"flink-ha-sidecar/hastate/hastatetest"
	"flink-ha-sidecar/lab"
	"flink-ha-sidecar/lab/labtest"
	"flink-ha-sidecar/leader"
	"flink-ha-sidecar/leader/zookeeper"
)

// TestIntegrationStateContract runs the contract on a real server.
func TestIntegrationStateContract(t *testing.T) {
	z := labtest.ZooKeeper(t, lab.ZooKeeperOptions{})
	hastatetest.Contract(t, func(t *testing.T) hastatetest.Harness { return newStatePlace(t, z).harness() })
}

// statePlace is one cluster's node, reached through a proxy.
type statePlace struct {
	*curator
	proxy *lab.Proxy
}

func newStatePlace(t *testing.T, z *lab.ZooKeeper) *statePlace {
	t.Helper()
	server := z.Servers[0].Address
	p := &statePlace{curator: newCurator(t, []string{server})}
	p.make(t, p.path)
	host, _, err := net.SplitHostPort(server)
	if err != nil {
		t.Fatal(err)
	}
	if p.proxy, err = lab.StartProxy(host, server); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.proxy.Close)
	return p
}

func (p *statePlace) client(t *testing.T) hastate.Store { return p.open(t, zookeeper.Options{}) }

func (p *statePlace) open(t *testing.T, o zookeeper.Options) *zookeeper.State {
	t.Helper()
	o.Servers, o.Path = []string{p.proxy.Address()}, p.path
	s, err := zookeeper.NewState(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func (p *statePlace) node() string { return p.path + "/flink-ha/state" }

func (p *statePlace) harness() hastatetest.Harness {
	return hastatetest.Harness{
		Client: p.client,
		Put: func(t *testing.T, raw []byte) {
			t.Helper()
			p.make(t, p.node())
			if _, err := p.admin.Set(p.node(), raw, -1); err != nil {
				t.Fatal(err)
			}
		},
		Delete: func(t *testing.T) { t.Helper(); p.remove(t, p.node()) },
		Outage: func(_ *testing.T, on bool) { p.proxy.Refuse(on) },
		Forbid: func(t *testing.T) {
			t.Helper()
			if _, err := p.admin.SetACL(p.node(), zk.WorldACL(zk.PermRead), -1); err != nil {
				t.Fatal(err)
			}
		},
	}
}

// TestIntegrationState: the cluster's node is Flink's, and nodes of ours carry the
// ACL that Flink's would.
func TestIntegrationState(t *testing.T) {
	z := labtest.ZooKeeper(t, lab.ZooKeeperOptions{})
	t.Run("a cluster that Flink has not made is not made", func(t *testing.T) {
		p := newStatePlace(t, z)
		p.remove(t, p.path)
		s := p.client(t)
		if _, err := s.Save(t.Context(), []byte("x"), hastate.Version{}); !errors.Is(err, leader.ErrGone) {
			t.Errorf("got %v, want %v", err, leader.ErrGone)
		}
		if p.exists(t, p.path) {
			t.Error("the cluster's node was made")
		}
	})
	t.Run("creator", func(t *testing.T) {
		p := newStatePlace(t, z)
		s := p.open(t, zookeeper.Options{Auth: []zookeeper.Auth{{Scheme: "digest", Data: "flink:secret"}}, Creator: true})
		if _, err := s.Save(t.Context(), []byte("x"), hastate.Version{}); err != nil {
			t.Fatal(err)
		}
		for _, node := range []string{p.path + "/flink-ha", p.node()} {
			acl, _, err := p.admin.GetACL(node)
			want := zk.DigestACL(zk.PermAll, "flink", "secret")
			if !errors.Is(err, zk.ErrNoAuth) && (err != nil || len(acl) != 1 || acl[0] != want[0]) {
				t.Errorf("the ACL of %s is %v, %v; want %v", node, acl, err, want)
			}
		}
		if _, err := p.client(t).Load(t.Context()); !errors.Is(err, leader.ErrForbidden) {
			t.Errorf("a stranger reads it: %v", err)
		}
		if v, err := s.Load(t.Context()); err != nil || string(v.Raw) != "x" {
			t.Errorf("its creator reads %q, %v", v.Raw, err)
		}
	})
	t.Run("open", func(t *testing.T) {
		p := newStatePlace(t, z)
		if _, err := p.client(t).Save(t.Context(), []byte("x"), hastate.Version{}); err != nil {
			t.Fatal(err)
		}
		if acl, _, err := p.admin.GetACL(p.node()); err != nil || len(acl) != 1 || acl[0] != zk.WorldACL(zk.PermAll)[0] {
			t.Errorf("the ACL is %v, %v; want everybody's", acl, err)
		}
	})
}

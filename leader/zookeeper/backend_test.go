package zookeeper_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"flink-ha-sidecar/lab"
	"flink-ha-sidecar/lab/labtest"
	"flink-ha-sidecar/leader"
	"flink-ha-sidecar/leader/zookeeper"
)

const (
	ourAddress = "pekko.tcp://flink@10.0.0.1:6123/user/rpc/dispatcher_1"
	sessionID  = "11111111-2222-4333-8444-555555555555"
)

func TestIntegrationBackend(t *testing.T) {
	z := labtest.ZooKeeper(t, lab.ZooKeeperOptions{MaxNode: 16 << 20})
	for _, row := range []struct {
		name string
		run  func(*testing.T, *curator, *zookeeper.Backend)
	}{
		{"a view names owners, components and the queue", viewOfElection},
		{"a release deletes the locks of its session and no other node", locksAreFreed},
		{"both places of a dead session go", bothPlacesGo},
		{"a place of another session at the same number is left alone", placeOfAnother},
		{"a node that was written to since it was read is left alone", versionCounts},
		{"a lock that appears after the release keeps its session among the contenders", lateLock},
		{"a connection_info that nobody can read is told and binds nobody", unreadableInfo},
		{"whoever holds the identity of the ACL may delete", digestMayDelete},
		{"a release without the identity of the ACL names path and ACL", digestIsNamed},
		{"connections are told with their sessions", connectionsAreTold},
		{"other clusters under the same root are found", lookalikes},
		{"a node that is no place makes the lock unreadable", strangerInQueue},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := newCurator(t, []string{z.Servers[0].Address})
			row.run(t, c, backend(t, c))
		})
	}
}

func backend(t *testing.T, c *curator, auth ...zookeeper.Auth) *zookeeper.Backend {
	t.Helper()
	b, err := zookeeper.New(zookeeper.Options{Servers: c.servers, Path: c.path, Auth: auth, SessionTimeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func read(t *testing.T, b *zookeeper.Backend) leader.View {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	v, err := b.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func viewOfElection(t *testing.T, c *curator, b *zookeeper.Backend) {
	one, two := session(t, c.servers), session(t, c.servers)
	c.contend(t, one)
	c.contend(t, two)
	c.publish(t, one, leader.Dispatcher, leader.Publication{Session: sessionID, Address: ourAddress})
	c.publish(t, one, leader.ResourceManager, leader.Publication{Session: sessionID, Address: ourAddress})
	c.put(t, one, leader.RESTServer, nil)
	v := read(t, b)
	if v.Lock != leader.LockHeld || v.Tenure.Holder != name(one) || !slices.Equal(v.Contenders, []string{name(one), name(two)}) {
		t.Errorf("%v of %q, queue %q; want %q before %q", v.Lock, v.Tenure.Holder, v.Contenders, name(one), name(two))
	}
	want := leader.Publication{Session: sessionID, Address: ourAddress, Owner: name(one)}
	if v.Published[leader.Dispatcher] != want || v.Published[leader.ResourceManager] != want {
		t.Errorf("published %v, want %v twice", v.Published, want)
	}
	if _, there := v.Published[leader.RESTServer]; there {
		t.Errorf("an empty connection_info is told: %v", v.Published)
	}
	_, stat, err := c.admin.Exists(c.path)
	if err != nil || v.Counter == 0 || v.Tenure.Generation != number(stat.Czxid) {
		t.Errorf("generation %q, counter %d; want %q and a czxid (%v)", v.Tenure.Generation, v.Counter, number(stat.Czxid), err)
	}
}

func locksAreFreed(t *testing.T, c *curator, b *zookeeper.Backend) {
	dead, living := session(t, c.servers), session(t, c.servers)
	place, next := c.contend(t, dead), c.contend(t, living)
	c.publish(t, dead, leader.Dispatcher, leader.Publication{Session: sessionID, Address: ourAddress})
	var ours, theirs []string
	for _, held := range []string{"jobs/j/checkpoints/0000000000000000001", "jobs/j/checkpoints/0000000000000000002", "jobgraphs/j", "execution-plans/j", "applications/a"} {
		ours = append(ours, c.lock(t, dead, held))
		theirs = append(theirs, c.lock(t, living, held))
	}
	after, err := b.Release(t.Context(), read(t, b), name(dead))
	if err != nil {
		t.Fatal(err)
	}
	if after.Tenure.Holder != name(living) || slices.Contains(after.Contenders, name(dead)) {
		t.Errorf("held by %q, queue %q; want %q alone", after.Tenure.Holder, after.Contenders, name(living))
	}
	for _, node := range append(ours, place) {
		if c.exists(t, node) {
			t.Errorf("%s of the dead session is still there", node)
		}
	}
	for _, node := range append(theirs, next, c.path+"/leader/dispatcher/connection_info") {
		if !c.exists(t, node) {
			t.Errorf("%s is gone", node)
		}
	}
}

func bothPlacesGo(t *testing.T, c *curator, b *zookeeper.Backend) {
	dead, living := session(t, c.servers), session(t, c.servers)
	c.contend(t, dead)
	c.contend(t, dead)
	c.contend(t, living)
	after, err := b.Release(t.Context(), read(t, b), name(dead))
	if err != nil || !slices.Equal(after.Contenders, []string{name(living)}) {
		t.Errorf("queue %q, %v; want %q alone", after.Contenders, err, name(living))
	}
}

// placeOfAnother: the name that was read, made anew by somebody else. ZooKeeper
// does not give a number twice; a node of that name can still be made by hand.
func placeOfAnother(t *testing.T, c *curator, b *zookeeper.Backend) {
	dead, living := session(t, c.servers), session(t, c.servers)
	place := c.contend(t, dead)
	v := read(t, b)
	c.remove(t, place)
	if _, err := living.Create(place, nil, zk.FlagEphemeral, everyone); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Release(t.Context(), v, name(dead)); !errors.Is(err, leader.ErrConflict) {
		t.Errorf("Release returned %v, want a conflict", err)
	}
	if !c.exists(t, place) {
		t.Error("the place of the living session is gone")
	}
}

func versionCounts(t *testing.T, c *curator, b *zookeeper.Backend) {
	place := c.contend(t, session(t, c.servers))
	if _, err := c.admin.Set(place, []byte("x"), 0); err != nil {
		t.Fatal(err)
	}
	if err := b.DeleteVersion(t.Context(), place, 0); !errors.Is(err, leader.ErrConflict) || !c.exists(t, place) {
		t.Errorf("delete returned %v, the place is there: %t; want a conflict", err, c.exists(t, place))
	}
}

func lateLock(t *testing.T, c *curator, b *zookeeper.Backend) {
	dead, living := session(t, c.servers), session(t, c.servers)
	c.contend(t, dead)
	c.contend(t, living)
	seen := make(chan leader.View, 100)
	ctx, cancel := context.WithCancel(t.Context())
	var observing sync.WaitGroup
	observing.Go(func() {
		err := b.Observe(ctx, func(v leader.View) { seen <- v }, func(err error) { t.Errorf("a gap: %v", err) })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Observe ended with %v", err)
		}
	})
	defer observing.Wait()
	defer cancel()
	if _, err := b.Release(t.Context(), read(t, b), name(dead)); err != nil {
		t.Fatal(err)
	}
	late := c.lock(t, dead, "jobs/j/checkpoints/0000000000000000003")
	deadline := time.After(10 * time.Second)
	for {
		select {
		case v := <-seen:
			if !slices.Equal(v.Contenders, []string{name(living), name(dead)}) {
				continue
			}
			if _, err := b.Release(t.Context(), v, name(dead)); err != nil {
				t.Errorf("second release: %v", err)
			}
			if c.exists(t, late) {
				t.Error("the late lock is still there")
			}
			return
		case <-deadline:
			t.Fatal("the late lock was not noticed")
		}
	}
}

func unreadableInfo(t *testing.T, c *curator, b *zookeeper.Backend) {
	one := session(t, c.servers, zk.WithMaxConnBufferSize(11<<20))
	c.contend(t, one)
	c.put(t, one, leader.Dispatcher, encodeInfo(t, leader.Publication{Session: sessionID, Address: ourAddress}))
	for what, data := range map[string]string{"text": "pekko.tcp://flink@10.0.0.1:6123", "large": strings.Repeat("x", 10<<20)} {
		c.put(t, one, leader.RESTServer, []byte(data))
		v := read(t, b)
		if v.Lock != leader.LockHeld || !strings.Contains(v.Problem, "rest_server") {
			t.Errorf("%s: %v, problem %q; want it held and the component named", what, v.Lock, v.Problem)
		}
		if p := v.Published[leader.RESTServer]; p.Address != "" || p.Owner != name(one) {
			t.Errorf("%s: published %v", what, p)
		}
		if p := v.Published[leader.Dispatcher]; p.Address != ourAddress {
			t.Errorf("%s: the one that can be read is %v", what, p)
		}
	}
}

func digestMayDelete(t *testing.T, c *curator, _ *zookeeper.Backend) {
	one := session(t, c.servers)
	c.contend(t, one)
	restrict(t, c)
	b := backend(t, c, zookeeper.Auth{Scheme: "digest", Data: "flink:secret"})
	if _, err := b.Release(t.Context(), read(t, b), name(one)); err != nil {
		t.Errorf("Release: %v", err)
	}
}

func digestIsNamed(t *testing.T, c *curator, _ *zookeeper.Backend) {
	one := session(t, c.servers)
	place := c.contend(t, one)
	restrict(t, c)
	b := backend(t, c, zookeeper.Auth{Scheme: "digest", Data: "flink:wrong"})
	_, err := b.Release(t.Context(), read(t, b), name(one))
	if !errors.Is(err, leader.ErrForbidden) || !strings.Contains(err.Error(), place) || !strings.Contains(err.Error(), "world:anyone:r") {
		t.Errorf("Release returned %v; want it forbidden, with the place and the ACL", err)
	}
	if !c.exists(t, place) {
		t.Error("the place is gone")
	}
}

func restrict(t *testing.T, c *curator) {
	t.Helper()
	acl := append(zk.DigestACL(zk.PermAll, "flink", "secret"), zk.WorldACL(zk.PermRead)...)
	if _, err := c.admin.SetACL(c.path+"/leader/latch", acl, -1); err != nil {
		t.Fatal(err)
	}
}

func connectionsAreTold(t *testing.T, c *curator, b *zookeeper.Backend) {
	one := session(t, c.servers)
	c.contend(t, one)
	connections, err := b.Connections(t.Context())
	if err != nil || !slices.ContainsFunc(connections, func(x zookeeper.Connection) bool {
		return x.Session == name(one) && x.Server.String() == c.servers[0] && x.Client.IsValid()
	}) {
		t.Errorf("%v, %v; want %s at %s", connections, err, name(one), c.servers[0])
	}
}

func lookalikes(t *testing.T, c *curator, b *zookeeper.Backend) {
	other := newCurator(t, c.servers)
	other.make(t, other.path+"/leader/latch")
	found, err := b.Lookalikes(t.Context())
	if err != nil || !slices.Contains(found, other.path) || slices.Contains(found, c.path) {
		t.Errorf("found %q, %v; want %s among them", found, err, other.path)
	}
}

func strangerInQueue(t *testing.T, c *curator, b *zookeeper.Backend) {
	c.contend(t, session(t, c.servers))
	c.make(t, c.path+"/leader/latch/_c_11111111-2222-4333-8444-555555555555-latch-0000000009") // of no session
	if v := read(t, b); v.Lock != leader.LockUnreadable || v.Contenders != nil || v.Problem == "" {
		t.Errorf("%v with queue %q, problem %q; want it unreadable", v.Lock, v.Contenders, v.Problem)
	}
}

// TestIntegrationServerThatNeverAnswersIsLeft: one of three servers is stopped, and
// a read that met it is answered by another within the time of two.
func TestIntegrationServerThatNeverAnswersIsLeft(t *testing.T) {
	z := labtest.ZooKeeper(t, lab.ZooKeeperOptions{Servers: 3})
	var servers []string
	for _, s := range z.Servers {
		servers = append(servers, s.Address)
	}
	c := newCurator(t, servers)
	c.contend(t, session(t, servers))
	b := backend(t, c)
	read(t, b)
	for _, s := range z.Servers {
		if s == z.Leader(t.Context()) {
			continue
		}
		if err := s.Freeze(); err != nil {
			t.Fatal(err)
		}
		var failed int
		begun := time.Now()
		for {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			_, err := b.Read(ctx)
			cancel()
			if err == nil {
				break
			}
			if failed++; failed > 5 {
				t.Fatalf("read %d times in vain: %v", failed, err)
			}
		}
		t.Logf("with %s stopped: %d reads failed, an answer after %v", s.Name, failed, time.Since(begun))
		if err := s.Continue(); err != nil {
			t.Fatal(err)
		}
	}
}

func number(n int64) string { return fmt.Sprintf("%#x", n) }

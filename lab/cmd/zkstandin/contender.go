package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"

	"flink-ha-sidecar/lab"
)

// contender is one JobManager's part in the election: Curator's LeaderLatch and
// Flink's ZooKeeperLeaderElectionDriver.
type contender struct {
	servers   []string
	path      string // of the cluster
	address   string // the IP that is published
	publishes bool
	locks     int
	log       *logger
}

// session is one of ZooKeeper with its connection, which can be broken for good.
type session struct {
	conn *zk.Conn

	mu     sync.Mutex
	raw    net.Conn
	broken bool
}

// sessionTimeout is Flink's default.
const sessionTimeout = 60 * time.Second

var everyone = zk.WorldACL(zk.PermAll)

func (c *contender) connect() (*session, error) {
	s := &session{}
	conn, _, err := zk.Connect(c.servers, sessionTimeout, zk.WithLogger(quiet{}), zk.WithLogInfo(false),
		zk.WithDialer(func(network, address string, timeout time.Duration) (net.Conn, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.broken {
				return nil, net.ErrClosed
			}
			raw, err := net.DialTimeout(network, address, timeout)
			s.raw = raw
			return raw, err
		}))
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	s.conn = conn
	if _, _, err := conn.Exists("/"); err != nil { // waits for the session
		return nil, fmt.Errorf("connect: %w", err)
	}
	return s, nil
}

// snap breaks the connection and leaves the session to the server.
func (s *session) snap() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = true
	if s.raw != nil {
		s.raw.Close()
	}
}

// run contends until ctx is done; with each signal on change it does so with a new
// session.
func (c *contender) run(ctx context.Context, change <-chan os.Signal) error {
	for {
		s, err := c.connect()
		if err != nil {
			return err
		}
		contending, cancel := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- c.contend(contending, s.conn) }()
		select {
		case <-change:
			s.snap()
			cancel()
			c.over(<-ended)
		case <-ctx.Done():
			cancel()
			c.over(<-ended)
			s.conn.Close()
			return nil
		case err := <-ended:
			cancel()
			return err
		}
	}
}

// over says how a session ended that was given up.
func (c *contender) over(err error) {
	if err != nil {
		c.log.say("ZooKeeperLeaderElectionDriver", "the session was given up: %v", err)
	}
}

// contend takes a place in the queue, waits until it is the first, and leads.
func (c *contender) contend(ctx context.Context, conn *zk.Conn) error {
	latch := c.path + "/leader/latch"
	if err := c.make(conn, latch); err != nil {
		return err
	}
	place, err := conn.Create(latch+"/_c_"+newUUID()+"-latch-", nil, zk.FlagEphemeral|zk.FlagSequence, everyone)
	if err != nil {
		return fmt.Errorf("contend: %w", err)
	}
	c.log.say("ZooKeeperLeaderElectionDriver", "session %#x has place %s", uint64(conn.SessionID()), path.Base(place))
	c.log.say("DefaultLeaderElectionService", "LeaderContender has been registered under component 'dispatcher' for a stand-in.")
	for {
		names, _, err := conn.Children(latch)
		if err != nil {
			return fmt.Errorf("contend: %w", err)
		}
		slices.SortFunc(names, func(a, b string) int { return strings.Compare(order(a), order(b)) })
		i := slices.Index(names, path.Base(place))
		if i < 0 {
			return errors.New("its place in the queue is gone")
		}
		if i == 0 {
			return c.lead(ctx, conn)
		}
		there, _, gone, err := conn.ExistsW(latch + "/" + names[i-1])
		if err != nil {
			return fmt.Errorf("contend: %w", err)
		}
		if !there {
			continue
		}
		select {
		case <-gone:
		case <-ctx.Done():
			return nil
		}
	}
}

func order(name string) string { return name[strings.LastIndex(name, "latch-")+1:] }

// steps are what a new leader publishes, and when, counted from the grant; as seen
// on Flink 2.3.
var steps = []struct {
	after              time.Duration
	component, address string
}{
	{60 * time.Millisecond, "rest_server", "http://%s:8081"},
	{110 * time.Millisecond, "resource_manager", "pekko.tcp://flink@%s:6123/user/rpc/resourcemanager_0"},
	{200 * time.Millisecond, "dispatcher", "pekko.tcp://flink@%s:6123/user/rpc/dispatcher_1"},
}

// lead publishes and then waits for ctx: nobody watches his own place.
func (c *contender) lead(ctx context.Context, conn *zk.Conn) error {
	granted := time.Now()
	c.log.say("DefaultDispatcherRunner", "DefaultDispatcherRunner was granted leadership with leader id %s.", newUUID())
	for n := range c.locks {
		locks := fmt.Sprintf("%s/jobs/j/checkpoints/%019d/locks", c.path, n+1)
		if err := c.make(conn, locks); err != nil {
			return err
		}
		if _, err := conn.Create(locks+"/"+newUUID(), []byte("127.0.0.1"), zk.FlagEphemeral, everyone); err != nil {
			return fmt.Errorf("lock checkpoint: %w", err)
		}
	}
	for _, s := range steps {
		timer := time.NewTimer(s.after - time.Since(granted))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
		if !c.publishes {
			continue
		}
		if err := c.publish(conn, s.component, fmt.Sprintf(s.address, c.address)); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return nil
}

// publish replaces another's node by one of its own.
func (c *contender) publish(conn *zk.Conn, component, address string) error {
	node := c.path + "/leader/" + component + "/connection_info"
	if err := c.make(conn, path.Dir(node)); err != nil {
		return err
	}
	for {
		var session [16]byte
		_, _ = rand.Read(session[:]) // never fails
		_, err := conn.Create(node, lab.ConnectionInfo(address, session), zk.FlagEphemeral, everyone)
		if !errors.Is(err, zk.ErrNodeExists) {
			return err
		}
		if err := conn.Delete(node, -1); err != nil && !errors.Is(err, zk.ErrNoNode) {
			return fmt.Errorf("publish: %w", err)
		}
	}
}

// make makes a persistent node with all above it.
func (c *contender) make(conn *zk.Conn, node string) error {
	for i := 1; i <= len(node); i++ {
		if i < len(node) && node[i] != '/' {
			continue
		}
		if _, err := conn.Create(node[:i], nil, 0, everyone); err != nil && !errors.Is(err, zk.ErrNodeExists) {
			return fmt.Errorf("make %s: %w", node[:i], err)
		}
	}
	return nil
}

func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}

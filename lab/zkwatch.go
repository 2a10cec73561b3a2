package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"
	"k8s.io/apimachinery/pkg/types"
)

// latch is where the lock of a cluster with ZooKeeper HA is.
type latch struct {
	servers []string
	path    string // of the cluster
}

// NewLatchWatch is NewLockWatch for a cluster with ZooKeeper HA, whose node is at
// path. Its versions hold, in the place of a ConfigMap's: as UID the node's czxid,
// as Holder the session that owns the first place in the queue, as AcquireTime the
// czxid of that place.
func NewLatchWatch(z *ZooKeeper, path string) *LockWatch {
	return &LockWatch{
		name: path, changed: make(chan struct{}),
		latch: &latch{servers: strings.Split(z.Quorum(), ","), path: path},
	}
}

// DialZooKeeper opens a session of the lab's own. Events go to told, which must not
// block and may be nil; with it the client does not connect again once it has lost
// its connection, since it has a data race when it sets its watches anew.
func DialZooKeeper(servers []string, session time.Duration, told func(zk.Event), options ...func(*zk.Conn)) (*zk.Conn, error) {
	options = append(options, quiet)
	if told != nil {
		connected := false
		options = append(options, zk.WithEventCallback(told),
			zk.WithDialer(func(network, address string, timeout time.Duration) (net.Conn, error) {
				if connected {
					return nil, net.ErrClosed
				}
				raw, err := net.DialTimeout(network, address, timeout)
				connected = err == nil
				return raw, err
			}))
	}
	conn, _, err := zk.Connect(servers, session, func(c *zk.Conn) {
		for _, o := range options {
			o(c)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("connect to ZooKeeper: %w", err)
	}
	return conn, nil
}

func quiet(c *zk.Conn) { c.SetLogger(silent{}) }

type silent struct{}

func (silent) Printf(string, ...any) {}

// followLatch notes what is there and then each change, until the session ends.
func (w *LockWatch) followLatch(ctx context.Context) error {
	told := make(chan time.Time, 1)
	ended := make(chan struct{}, 1)
	conn, err := DialZooKeeper(w.latch.servers, 10*time.Second, func(e zk.Event) {
		if e.Type == zk.EventSession && (e.State == zk.StateDisconnected || e.State == zk.StateExpired) {
			select {
			case ended <- struct{}{}:
			default:
			}
		}
		select {
		case told <- time.Now():
		default:
		}
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	// The client may be deaf after a connection that broke while it was made.
	again := time.NewTicker(time.Second)
	defer again.Stop()
	gap := true
	for at := time.Now(); ctx.Err() == nil; {
		stuck := time.AfterFunc(3*time.Second, conn.Close)
		v, err := w.latch.read(conn)
		stuck.Stop()
		if err != nil && !errors.Is(err, zk.ErrNoNode) {
			return err
		}
		if err != nil {
			continue // a node came or went between two requests
		}
		v.At, v.Gap = at, gap
		w.keep(v)
		gap = false
		select {
		case at = <-told:
		case at = <-again.C:
		case <-ended:
			return zk.ErrConnectionClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return ctx.Err()
}

// read returns the lock as it is, with a watch on each node that it read. ErrNoNode
// means that a node came or went meanwhile.
func (l *latch) read(conn *zk.Conn) (LockVersion, error) {
	there, stat, _, err := conn.ExistsW(l.path)
	if err != nil || !there {
		return LockVersion{Gone: true}, err
	}
	v := LockVersion{UID: types.UID(fmt.Sprint(stat.Czxid)), Queue: []string{}, Addresses: map[string]string{}, Fresh: map[string]string{}}
	places, err := l.places(conn)
	if err != nil {
		return v, err
	}
	for _, p := range places {
		v.Queue = append(v.Queue, p.owner)
		v.Record += p.name + "=" + p.owner + " "
	}
	if len(places) > 0 {
		v.Holder, v.AcquireTime = places[0].owner, fmt.Sprint(places[0].czxid)
	}
	components, err := childrenW(conn, l.path+"/leader")
	if err != nil {
		return v, err
	}
	for _, component := range components {
		path := l.path + "/leader/" + component + "/connection_info"
		there, _, _, err := conn.ExistsW(path)
		if component == "latch" || !there {
			continue
		}
		if err != nil {
			return v, err
		}
		data, stat, _, err := conn.GetW(path)
		if err != nil {
			return v, err
		}
		name := strings.ReplaceAll(component, "_", "")
		v.Addresses[name] = string(published.Find(data))
		if owner(stat) == v.Holder {
			v.Fresh[name] = v.Addresses[name]
		}
	}
	return v, nil
}

// published finds the address in the Java object stream that Flink writes.
var published = regexp.MustCompile(`(pekko|akka|https?)[a-z.]*://[^\x00-\x1f\x7f-\xff]*`)

type place struct {
	name, owner string
	czxid       int64
}

// places are the children of the latch in the order of their sequence numbers.
func (l *latch) places(conn *zk.Conn) ([]place, error) {
	names, err := childrenW(conn, l.path+"/leader/latch")
	if err != nil {
		return nil, err
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(sequence(a), sequence(b)) })
	var places []place
	for _, name := range names {
		there, stat, _, err := conn.ExistsW(l.path + "/leader/latch/" + name)
		if err != nil {
			return nil, err
		}
		if !there {
			return nil, zk.ErrNoNode
		}
		places = append(places, place{name: name, owner: owner(stat), czxid: stat.Czxid})
	}
	return places, nil
}

func sequence(name string) int64 {
	n, _ := strconv.ParseInt(name[strings.LastIndex(name, "-")+1:], 10, 64)
	return n
}

func owner(stat *zk.Stat) string { return fmt.Sprintf("0x%x", stat.EphemeralOwner) }

// childrenW lists children and watches them; there are none of a node that is
// not there yet.
func childrenW(conn *zk.Conn, path string) ([]string, error) {
	children, _, _, err := conn.ChildrenW(path)
	if !errors.Is(err, zk.ErrNoNode) {
		return children, err
	}
	there, _, _, err := conn.ExistsW(path)
	if err == nil && there {
		err = zk.ErrNoNode // it came in between: read again
	}
	return nil, err
}

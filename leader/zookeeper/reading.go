package zookeeper

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"

	"flink-ha-sidecar/leader"
)

// reading is the election as it stood at one moment.
type reading struct {
	// generation is the czxid of the cluster's node, 0 if it is not there.
	generation int64
	// queue holds the places in the order in which they get the lock.
	queue []place
	infos []info
	// stale lists sessions that were released and still own lock nodes.
	stale []int64
	// problem is a queue that is not as Curator makes it.
	problem string
}

// place is a child of the latch.
type place struct {
	name    string
	owner   int64 // a session
	czxid   int64
	version int32
}

// info is one connection_info node with something in it.
type info struct {
	component string
	owner     int64
	mzxid     int64
	connectionInfo
	problem string // if it does not parse
}

// errChanged: something changed between two requests of one reading.
var errChanged = errors.New("it changed while it was read")

// attempts bounds how often a reading begins anew because something changed.
const attempts = 20

// collect makes a reading, with a watch on all that it rests on. synced says that
// the server is to be brought up to date before.
func (b *Backend) collect(ctx context.Context, l *link, synced bool) (leader.View, error) {
	select {
	case b.turn <- struct{}{}:
		defer func() { <-b.turn }()
	case <-ctx.Done():
		return leader.View{}, fmt.Errorf("%w: %w", leader.ErrUnavailable, ctx.Err())
	}
	if synced {
		if err := b.sync(ctx, l); err != nil {
			return leader.View{}, err
		}
	}
	for range attempts {
		before := l.firedSoFar()
		r, err := b.readOnce(ctx, l)
		if errors.Is(err, errChanged) || errors.Is(err, zk.ErrNoNode) {
			continue
		}
		if err != nil {
			return leader.View{}, err
		}
		// Every node that was read has a watch on it, and the server tells of a
		// change before it answers anything that comes after it. So if no watch has
		// fired, all that was read was true together at the last answer.
		if l.firedSoFar() != before {
			continue
		}
		return b.numbered(r), nil
	}
	return leader.View{}, fmt.Errorf("%w: %s: %w", leader.ErrUnavailable, b.o.Path, errChanged)
}

// numbered makes the reading the last one, and a view of it; the caller holds turn.
// Readings are told apart by number and not by zxid: a node that goes away leaves
// none behind.
func (b *Backend) numbered(r reading) leader.View {
	if b.revision == 0 || !r.equal(b.reading) {
		b.reading = r
		b.revision++
	}
	return b.reading.view(b.revision, time.Now())
}

func (r reading) equal(o reading) bool {
	return r.generation == o.generation && r.problem == o.problem && slices.Equal(r.queue, o.queue) &&
		slices.Equal(r.infos, o.infos) && slices.Equal(r.stale, o.stale)
}

// readOnce reads every node of the election once, what does not depend on each other
// at the same time: a release waits for it.
func (b *Backend) readOnce(ctx context.Context, l *link) (reading, error) {
	var r reading
	var root *zk.Stat
	var rootErr, queueErr, infoErr error
	var wg sync.WaitGroup
	wg.Go(func() { root, rootErr = b.stat(ctx, l, b.o.Path, true) })
	wg.Go(func() { queueErr = b.readQueue(ctx, l, &r) })
	var infos []info
	wg.Go(func() { infos, infoErr = b.readInfos(ctx, l) })
	wg.Wait()
	if rootErr == nil && root == nil {
		return reading{}, nil // whatever stood below it has gone or come meanwhile
	}
	for _, err := range []error{rootErr, queueErr, infoErr} {
		if err != nil {
			return reading{}, err
		}
	}
	r.generation, r.infos = root.Czxid, infos
	var err error
	r.stale, err = b.staleOwners(ctx, l, r.queue)
	return r, err
}

func (b *Backend) leaderPath() string { return b.o.Path + "/leader" }

func (b *Backend) latchPath() string { return b.o.Path + "/leader/latch" }

// placeName is how Curator names a contender, a protected node ("_c_" and a UUID)
// in every version that Flink 1.18 to 2.3 bring.
var placeName = regexp.MustCompile(`^(_c_[0-9a-fA-F-]{36}-)?latch-(-?\d{10,})$`)

// readQueue reads the children of the latch. They are never written to, so that
// the watch on their list covers them.
func (b *Backend) readQueue(ctx context.Context, l *link, r *reading) error {
	names, _, err := b.children(ctx, l, b.latchPath(), true)
	if err != nil {
		return err
	}
	places, err := each(names, func(name string) (place, error) {
		stat, err := b.stat(ctx, l, path.Join(b.latchPath(), name), false)
		if err == nil && stat == nil {
			err = errChanged
		}
		if err != nil {
			return place{}, err
		}
		return place{name: name, owner: stat.EphemeralOwner, czxid: stat.Czxid, version: stat.Version}, nil
	})
	if err != nil {
		return err
	}
	// Curator sorts by the text after the last "latch-" (LockInternals).
	slices.SortFunc(places, func(a, b place) int { return cmp.Compare(a.order(), b.order()) })
	for _, p := range places {
		if !placeName.MatchString(p.name) || !isSession(p.owner) {
			r.problem = fmt.Sprintf("%s/%.100s is no place of a contender: no session owns it, or its name is not Curator's; left alone", b.latchPath(), p.name)
		}
	}
	r.queue = places
	return nil
}

func (p place) order() string { return p.name[strings.LastIndex(p.name, "latch-")+1:] }

// isSession tells the owner of an ephemeral node from what stands in its place
// with others: 0, and the marks of a container and of a node with a time to live
// (EphemeralType).
func isSession(owner int64) bool {
	const container = 1 << 63
	return owner != 0 && uint64(owner) != container && uint64(owner)>>56 != 0xff
}

// readInfos returns those of all components that have one, sorted by component.
func (b *Backend) readInfos(ctx context.Context, l *link) ([]info, error) {
	names, _, err := b.children(ctx, l, b.leaderPath(), true)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	names = slices.DeleteFunc(names, func(c string) bool { return c == "latch" })
	found, err := each(names, func(c string) (*info, error) { return b.readInfo(ctx, l, c) })
	if err != nil {
		return nil, err
	}
	var infos []info
	for _, i := range found {
		if i != nil {
			infos = append(infos, *i)
		}
	}
	return infos, nil
}

// readInfo returns the connection_info of a component, nil if it is not there or
// empty.
func (b *Backend) readInfo(ctx context.Context, l *link, component string) (*info, error) {
	node := path.Join(b.leaderPath(), component, "connection_info")
	stat, err := b.stat(ctx, l, node, true)
	if err != nil || stat == nil || stat.DataLength == 0 {
		return nil, err
	}
	i := &info{component: component, owner: stat.EphemeralOwner, mzxid: stat.Mzxid}
	if stat.DataLength > maxInfo {
		i.problem = fmt.Sprintf("%d bytes, at most %d are read", stat.DataLength, maxInfo)
		return i, nil
	}
	data, read, err := b.content(ctx, l, node)
	if err != nil {
		return nil, err
	}
	if read.Mzxid != stat.Mzxid {
		return nil, errChanged
	}
	if i.connectionInfo, err = parseConnectionInfo(data); err != nil {
		i.problem = err.Error()
	}
	return i, nil
}

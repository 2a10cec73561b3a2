package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"

	"flink-ha-sidecar/hastate"
	"flink-ha-sidecar/leader"
)

const (
	// sessionTimeout is what our own session asks for. It owns nothing, so its end
	// costs nothing; a short one notices a silent server soon, after two thirds.
	sessionTimeout = 6 * time.Second
	// attemptFor bounds the attempt to get a session from one server.
	attemptFor = time.Second
	// maxPacket bounds what is read in one reply: above what a server sends by
	// default (1 MiB), so that only a store with larger limits can exceed it.
	maxPacket = 8 << 20
	// maxRequest bounds what is sent: paths, and the cluster's state.
	maxRequest = hastate.MaxBytes + 16<<10
)

// link is one TCP connection to one server with a session of its own. It is used
// until the first trouble and never mended: what a reconnecting client would have
// to keep (watches, ephemeral nodes) is read anew or not there at all.
type link struct {
	conn *zk.Conn
	raw  net.Conn
	// up is closed when the session is there, down when the link is lost, after
	// err was set.
	up, down chan struct{}
	upOnce   sync.Once
	downOnce sync.Once
	err      error
	ended    *sync.WaitGroup

	// changed tells that some watch has fired.
	changed chan struct{}
	mu      sync.Mutex
	// fired counts watch events; standing holds the watches that have not fired.
	fired    uint64
	standing map[watch]bool
}

// watch is one on a node: on its children, or on itself.
type watch struct {
	path     string
	children bool
}

// open makes a link over raw and waits for its session.
func open(ctx context.Context, raw net.Conn, auth []Auth, ended *sync.WaitGroup) (*link, error) {
	l := &link{
		raw: raw, up: make(chan struct{}), down: make(chan struct{}), ended: ended,
		changed: make(chan struct{}, 1), standing: make(map[watch]bool),
	}
	dialed := false
	conn, _, err := zk.Connect([]string{raw.RemoteAddr().String()}, sessionTimeout,
		zk.WithHostProvider(&oneServer{address: raw.RemoteAddr().String()}),
		zk.WithDialer(func(string, string, time.Duration) (net.Conn, error) {
			if dialed { // on one goroutine, one after the other
				return nil, net.ErrClosed
			}
			dialed = true
			return raw, nil
		}),
		zk.WithEventCallback(l.event), zk.WithLogger(silent{}), zk.WithLogInfo(false), zk.WithMaxBufferSize(maxPacket),
		zk.WithMaxConnBufferSize(maxRequest))
	if err != nil {
		raw.Close()
		return nil, fmt.Errorf("%w: %w", leader.ErrUnavailable, err)
	}
	ended.Add(1)
	l.mu.Lock()
	l.conn = conn
	l.mu.Unlock()
	select {
	case <-l.up:
	case <-l.down:
	case <-ctx.Done():
		err := fmt.Errorf("%w: no session from %s: %w", leader.ErrUnavailable, raw.RemoteAddr(), ctx.Err())
		l.fail(err)
		return nil, err
	}
	for _, a := range auth {
		if _, err := call(ctx, l, func() (struct{}, error) { return struct{}{}, conn.AddAuth(a.Scheme, []byte(a.Data)) }); err != nil {
			err = fmt.Errorf("authenticate by %s at %s: %w", a.Scheme, raw.RemoteAddr(), classify(err, false))
			l.fail(err)
			return nil, err
		}
	}
	if !l.alive() { // perhaps since before conn was known to whoever noticed
		l.fail(l.err)
		return nil, l.err
	}
	return l, nil
}

// event is called on the client's goroutines; it must not block. A watch event
// that precedes a reply in the stream is told before the reply is.
func (l *link) event(e zk.Event) {
	switch e.Type {
	case zk.EventSession:
		switch e.State {
		case zk.StateHasSession:
			l.upOnce.Do(func() { close(l.up) })
		case zk.StateDisconnected, zk.StateExpired, zk.StateAuthFailed:
			l.fail(fmt.Errorf("%w: connection to %s lost", leader.ErrUnavailable, l.raw.RemoteAddr()))
		}
		return
	case zk.EventNotWatching:
		return
	}
	l.mu.Lock()
	l.fired++
	switch e.Type {
	case zk.EventNodeChildrenChanged:
		delete(l.standing, watch{e.Path, true})
	case zk.EventNodeDeleted:
		delete(l.standing, watch{e.Path, true})
		delete(l.standing, watch{e.Path, false})
	default:
		delete(l.standing, watch{e.Path, false})
	}
	l.mu.Unlock()
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// begin notes that a watch is being set, and returns whether it has to be: false
// if it stands already.
func (l *link) begin(w watch) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.standing[w] {
		return false
	}
	l.standing[w] = true
	return true
}

// unset notes that a watch was not set after all.
func (l *link) unset(w watch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.standing, w)
}

func (l *link) firedSoFar() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fired
}

// fail ends the link. Every call that waits on it returns at once. It may be
// called more than once.
func (l *link) fail(err error) {
	l.downOnce.Do(func() {
		l.err = err
		l.raw.Close()
		close(l.down)
	})
	l.mu.Lock()
	conn := l.conn
	l.conn = nil
	l.mu.Unlock()
	if conn != nil {
		go func() {
			defer l.ended.Done()
			conn.Close()
		}()
	}
}

// end takes leave of the server, which then forgets the session at once.
func (l *link) end() {
	if conn, err := l.client(); err == nil {
		conn.Close()
	}
	l.fail(fmt.Errorf("%w: closed", leader.ErrUnavailable))
}

// alive reports whether the link is not lost.
func (l *link) alive() bool {
	select {
	case <-l.down:
		return false
	default:
		return true
	}
}

// client is the connection, or an error once the link is lost.
func (l *link) client() (*zk.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == nil {
		return nil, zk.ErrConnectionClosed
	}
	return l.conn, nil
}

// call does one request that ends with ctx. A request that gets no answer in time
// takes the link with it: whatever came later would wait behind it.
func call[T any](ctx context.Context, l *link, request func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		v, err := request()
		done <- result{v, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		l.fail(fmt.Errorf("%w: no answer from %s: %w", leader.ErrUnavailable, l.raw.RemoteAddr(), ctx.Err()))
		<-done // the link is closed, so it returns
		var none T
		return none, ctx.Err()
	}
}

// classify turns an error of the client into the vocabulary of package leader.
// sent says that a write may have reached the server.
func classify(err error, sent bool) error {
	kind := leader.ErrUnavailable
	switch {
	case errors.Is(err, zk.ErrNoAuth), errors.Is(err, zk.ErrAuthFailed), errors.Is(err, zk.ErrInvalidACL):
		kind = leader.ErrForbidden
	case errors.Is(err, zk.ErrBadVersion), errors.Is(err, zk.ErrNoNode):
		kind = leader.ErrConflict
	case sent:
		kind = leader.ErrUnclear
	}
	return fmt.Errorf("%w: %w", kind, err)
}

// oneServer offers the one server that was dialed. To offer it again says that all
// have been tried, since only then does the client look whether it was closed.
type oneServer struct {
	address string
	offered bool
}

func (*oneServer) Init([]string) error { return nil }
func (*oneServer) Len() int            { return 1 }
func (*oneServer) Connected()          {}

func (o *oneServer) Next() (string, bool) {
	again := o.offered
	o.offered = true
	return o.address, again
}

// silent: what matters of the client's log comes back as errors.
type silent struct{}

func (silent) Printf(string, ...any) {}

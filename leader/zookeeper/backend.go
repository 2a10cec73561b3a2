package zookeeper

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"path"
	"slices"
	"sync"
	"time"

	"flink-ha-sidecar/leader"
)

// Auth is one identity that a session shows, as in "digest" and "user:password".
type Auth struct{ Scheme, Data string }

// Options say which cluster, how to reach it, and who wants to know of the
// requests.
type Options struct {
	// Servers are host:port of every server. Names are looked up anew with each
	// connection.
	Servers []string
	// Path is the cluster's node: see ClusterPath.
	Path string
	// SubPaths are the names of the nodes below Path under which jobs and
	// applications are kept with ephemeral locks; DefaultSubPaths if nil.
	SubPaths []string
	// TLS is nil for plain connections.
	TLS  *tls.Config
	Auth []Auth
	// Creator makes nodes their creator's alone (high-availability.zookeeper.client.acl:
	// creator); else they are everybody's.
	Creator bool
	// SessionTimeout is the longest that a dead session can last: how long nodes
	// of a released one are looked for.
	SessionTimeout time.Duration
	// Count is called once a request with the verb (connect, sync, get, list,
	// delete) and the outcome (ok, conflict, gone, forbidden, unclear,
	// unavailable). May be nil.
	Count func(verb, outcome string)
}

// DefaultSubPaths are where Flink keeps jobs: jobgraphs up to 1.20, then
// execution-plans and applications.
var DefaultSubPaths = []string{"jobgraphs", "execution-plans", "applications"}

// Backend observes and frees the lock of one Flink cluster.
type Backend struct {
	o Options
	// turn is held by whoever reads the election, one at a time, so that a later
	// reading is never older than an earlier one.
	turn chan struct{}
	// reading belongs to whoever holds turn: the last one, and its number.
	reading  reading
	revision uint64

	// dialing is held by whoever opens a link.
	dialing chan struct{}
	next    int // the server to try first; guarded by dialing

	mu     sync.Mutex
	link   *link
	closed bool
	// released holds the sessions that were freed, and until when nodes of theirs
	// may still appear.
	released map[int64]time.Time
	// sweep tells Observe that released has a new entry.
	sweep chan struct{}
	ended sync.WaitGroup
}

var _ leader.Backend = (*Backend)(nil)

// New returns a backend that has not connected yet. Close ends it.
func New(o Options) (*Backend, error) {
	if len(o.Servers) == 0 || o.Path == "" {
		return nil, fmt.Errorf("zookeeper backend: servers %q and path %q must both be set", o.Servers, o.Path)
	}
	if o.SubPaths == nil {
		o.SubPaths = DefaultSubPaths
	}
	if o.SessionTimeout <= 0 {
		o.SessionTimeout = time.Minute
	}
	if o.Count == nil {
		o.Count = func(string, string) {}
	}
	return &Backend{
		o: o, turn: make(chan struct{}, 1), dialing: make(chan struct{}, 1), next: rand.IntN(len(o.Servers)),
		released: make(map[int64]time.Time), sweep: make(chan struct{}, 1),
	}, nil
}

// Name is the cluster's node, for people.
func (b *Backend) Name() string { return b.o.Path }

// Close ends the session, and waits until it has ended. No method may be called
// after it.
func (b *Backend) Close() {
	b.mu.Lock()
	b.closed = true
	l := b.link
	b.mu.Unlock()
	if l != nil {
		l.end()
	}
	b.ended.Wait()
}

// Read asks for a sync before it reads: what was committed before Read was called
// has then reached the server that is read. (A leader that has been cut off from
// its quorum and does not know it yet may answer a sync too: for as long as that
// lasts, the syncLimit of the ensemble, the reading may be old. The delete itself
// always needs a quorum.)
func (b *Backend) Read(ctx context.Context) (leader.View, error) {
	if err := ctx.Err(); err != nil {
		return leader.View{}, fmt.Errorf("read %s: %w: %w", b.o.Path, leader.ErrUnavailable, err)
	}
	l, err := b.connected(ctx)
	if err != nil {
		return leader.View{}, fmt.Errorf("read %s: %w", b.o.Path, err)
	}
	v, err := b.collect(ctx, l, true)
	if err != nil {
		return leader.View{}, fmt.Errorf("read %s: %w", b.o.Path, err)
	}
	return v, nil
}

// connected returns a link with a session.
func (b *Backend) connected(ctx context.Context) (*link, error) {
	if l := b.current(); l != nil {
		return l, nil
	}
	select {
	case b.dialing <- struct{}{}:
		defer func() { <-b.dialing }()
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: not connected: %w", leader.ErrUnavailable, ctx.Err())
	}
	if l := b.current(); l != nil {
		return l, nil
	}
	var failures []error
	for range b.o.Servers {
		server := b.o.Servers[b.next]
		b.next = (b.next + 1) % len(b.o.Servers)
		l, err := b.attempt(ctx, server)
		b.counted("connect", err)
		if err == nil {
			return l, nil
		}
		failures = append(failures, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(failures...)
}

// current is the link in use, nil if there is none.
func (b *Backend) current() *link {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.link != nil && b.link.alive() {
		return b.link
	}
	return nil
}

// attempt makes a link to one server the one in use.
func (b *Backend) attempt(ctx context.Context, server string) (*link, error) {
	if len(b.o.Servers) > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, attemptFor)
		defer cancel()
	}
	raw, err := b.dial(ctx, server)
	if err != nil {
		return nil, fmt.Errorf("%w: connect to %s: %w", leader.ErrUnavailable, server, err)
	}
	l, err := open(ctx, raw, b.o.Auth, &b.ended)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	closed := b.closed
	b.link = l
	b.mu.Unlock()
	if closed {
		err := fmt.Errorf("%w: closed", leader.ErrUnavailable)
		l.fail(err)
		return nil, err
	}
	return l, nil
}

func (b *Backend) dial(ctx context.Context, server string) (net.Conn, error) {
	if b.o.TLS == nil {
		return (&net.Dialer{}).DialContext(ctx, "tcp", server)
	}
	return (&tls.Dialer{Config: b.o.TLS}).DialContext(ctx, "tcp", server)
}

// counted tells the outcome of one request.
func (b *Backend) counted(verb string, err error) {
	outcome := "ok"
	switch {
	case err == nil:
	case errors.Is(err, leader.ErrConflict):
		outcome = "conflict"
	case errors.Is(err, leader.ErrGone):
		outcome = "gone"
	case errors.Is(err, leader.ErrForbidden):
		outcome = "forbidden"
	case errors.Is(err, leader.ErrUnclear):
		outcome = "unclear"
	default:
		outcome = "unavailable"
	}
	b.o.Count(verb, outcome)
}

// Lookalikes names the locks of other clusters under the same root, to help with
// a mistyped cluster id.
func (b *Backend) Lookalikes(ctx context.Context) ([]string, error) {
	l, err := b.connected(ctx)
	if err != nil {
		return nil, err
	}
	paths, err := b.below(ctx, l, path.Dir(b.o.Path))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(paths, func(p string) bool {
		stat, err := b.stat(ctx, l, p+"/leader/latch", false)
		return p == b.o.Path || err != nil || stat == nil
	}), nil
}

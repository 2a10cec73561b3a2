package follow_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"flink-ha-sidecar/discovery"
	"flink-ha-sidecar/discovery/follow"
)

const patience = 20 * time.Second

func until(t *testing.T, what string, yes func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !yes(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func doc(counter uint64, session string) discovery.Leader {
	return discovery.Leader{
		Format: 1, Epoch: discovery.Epoch{Generation: "g", Counter: counter}, Session: session, RPCHost: "10.0.0.1", RPCPort: 6123, RESTURL: "http://10.0.0.1:8081",
	}
}

// desk is what a sidecar serves to followers.
type desk struct {
	*httptest.Server
	feed *discovery.Feed

	mu      sync.Mutex
	waiting int
}

func newDesk(t *testing.T, tls bool) *desk {
	t.Helper()
	d := &desk{feed: discovery.NewFeed()}
	mux := http.NewServeMux()
	(&discovery.Handler{Feed: d.feed, Waiting: func(n int) { d.mu.Lock(); defer d.mu.Unlock(); d.waiting += n }}).Register(mux.Handle)
	d.Server = httptest.NewUnstartedServer(mux)
	if tls {
		d.StartTLS()
	} else {
		d.Start()
	}
	t.Cleanup(d.die)
	return d
}

func (d *desk) die() {
	d.CloseClientConnections()
	d.feed.Close()
	d.Close()
}

func (d *desk) followers() int { d.mu.Lock(); defer d.mu.Unlock(); return d.waiting }

func (d *desk) tell(l discovery.Leader) { d.feed.Tell(discovery.State{Leader: l}) }

// ear keeps what a follower is told.
type ear struct {
	mu  sync.Mutex
	all []follow.Told
}

func (e *ear) hear(t follow.Told) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, t)
}

func (e *ear) last() follow.Told {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.all) == 0 {
		return follow.Told{}
	}
	return e.all[len(e.all)-1]
}

// start runs a follower for the test.
func start(t *testing.T, source follow.Source) *ear {
	t.Helper()
	e := &ear{}
	f := &follow.Follower{Source: source, MaxAge: time.Minute, Changed: e.hear, Log: zap.NewNop()}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { f.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return e
}

func TestFollowsSidecarsAndMovesOn(t *testing.T) {
	t.Parallel()
	a, b := newDesk(t, false), newDesk(t, false)
	both := func(l discovery.Leader) { a.tell(l); b.tell(l) }
	both(doc(5, "x"))
	e := start(t, &follow.Sidecars{List: []string{a.URL, b.URL + "/"}})
	until(t, "the leader", func() bool { return e.last().Leader == doc(5, "x") })
	both(doc(6, "y"))
	until(t, "the next leader", func() bool { return e.last().Leader == doc(6, "y") })
	first, other := a, b
	if b.followers() > 0 {
		first, other = b, a
	}
	other.tell(doc(7, "z"))
	first.die()
	until(t, "it moves on to the other", func() bool { return e.last().Leader == doc(7, "z") && e.last().Out.IsZero() })
	other.feed.Tell(discovery.State{Reason: "vacant"})
	until(t, "there is none", func() bool { return !e.last().Known && e.last().Reason == "vacant" })
	for i, told := range e.all[1 : len(e.all)-1] {
		if told.Known && told.Leader.Epoch.Counter < e.all[i].Leader.Epoch.Counter {
			t.Errorf("it went back: %+v", e.all)
		}
	}
}

func TestFollowsAServiceOverTLS(t *testing.T) {
	t.Parallel()
	d := newDesk(t, true)
	d.tell(doc(5, "x"))
	u, err := url.Parse(d.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = net.JoinHostPort("localhost", u.Port())
	config := d.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	config.ServerName = "example.com" // what httptest's certificate is for
	e := start(t, &follow.Sidecars{Service: u, TLS: config})
	until(t, "the leader", func() bool { return e.last().Leader == doc(5, "x") })
}

func TestReaderIgnoresWhatALaterReleaseTells(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = w.Write([]byte(": hello\nretry: 5\nevent: weather\ndata: {\"sun\":true}\n\nevent: leader\nid: g/5\nunknown: x\n" +
			`data: {"format":2,"epoch":{"generation":"g","counter":5,"term":9},"rest_url":"http://10.0.0.1:8081","mood":"good","age_seconds":0}` + "\n\n"))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	defer server.Close()
	defer server.CloseClientConnections()
	e := start(t, &follow.Sidecars{List: []string{server.URL}})
	until(t, "the leader", func() bool {
		l := e.last().Leader
		return l.RESTURL == "http://10.0.0.1:8081" && l.Epoch == discovery.Epoch{Generation: "g", Counter: 5}
	})
}

// TestAThousandFollowersReconnectAtOnce: two sidecars carry them, one of them dies,
// and all are with the other soon.
func TestAThousandFollowersReconnectAtOnce(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a thousand connections")
	}
	const many = 1000
	a, b := newDesk(t, false), newDesk(t, false)
	a.tell(doc(5, "x"))
	b.tell(doc(5, "x"))
	var known sync.Map
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer func() { cancel(); wg.Wait() }()
	for n := range many {
		f := &follow.Follower{Source: &follow.Sidecars{List: []string{a.URL, b.URL}}, MaxAge: time.Minute, Log: zap.NewNop(), Changed: func(told follow.Told) {
			if told.Known {
				known.Store(n, told.Leader.Epoch.Counter)
			}
		}}
		wg.Go(func() { f.Run(ctx) })
	}
	all := func(counter uint64) func() bool {
		return func() bool {
			n := 0
			known.Range(func(_, v any) bool {
				if v == counter {
					n++
				}
				return true
			})
			return n == many
		}
	}
	until(t, "all follow", all(5))
	begun := time.Now()
	a.die()
	until(t, "all are with the other", func() bool { return b.followers() == many })
	t.Logf("%d reconnected within %v", many, time.Since(begun).Round(time.Millisecond))
	b.tell(doc(6, "y"))
	until(t, "all know the next leader", all(6))
}

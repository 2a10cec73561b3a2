package discovery_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"flink-ha-sidecar/discovery"
)

// patience bounds every wait of these tests.
const patience = 20 * time.Second

func doc(counter uint64) discovery.Leader {
	return discovery.Leader{
		Format: 1, Epoch: discovery.Epoch{Generation: "g", Counter: counter}, Session: "s", RPCHost: "10.0.0.1", RPCPort: 6123, RESTURL: "http://10.0.0.1:8081",
	}
}

// desk is a server with the limits of a port for short requests.
type desk struct {
	*httptest.Server
	feed    *discovery.Feed
	handler *discovery.Handler

	mu      sync.Mutex
	waiting int
	refused map[string]int
}

func newDesk(t *testing.T, h *discovery.Handler) *desk {
	t.Helper()
	d := &desk{feed: discovery.NewFeed(), refused: map[string]int{}, handler: h}
	h.Feed = d.feed
	h.Waiting = func(n int) { d.mu.Lock(); defer d.mu.Unlock(); d.waiting += n }
	h.Refused = func(why string) { d.mu.Lock(); defer d.mu.Unlock(); d.refused[why]++ }
	mux := http.NewServeMux()
	d.handler.Register(mux.Handle)
	d.Server = httptest.NewUnstartedServer(mux)
	d.Config.ReadTimeout, d.Config.WriteTimeout = 200*time.Millisecond, 200*time.Millisecond
	d.Config.ConnState = func(c net.Conn, _ http.ConnState) { _ = c.(*net.TCPConn).SetWriteBuffer(4 << 10) }
	d.Start()
	t.Cleanup(func() {
		d.feed.Close()
		d.Close()
		if d.waitingNow() != 0 {
			t.Errorf("%d followers are still counted", d.waitingNow())
		}
	})
	return d
}

func (d *desk) waitingNow() int { d.mu.Lock(); defer d.mu.Unlock(); return d.waiting }

func (d *desk) refusedFor(why string) int { d.mu.Lock(); defer d.mu.Unlock(); return d.refused[why] }

func (d *desk) tell(counter uint64) { d.feed.Tell(discovery.State{Leader: doc(counter)}) }

func until(t *testing.T, what string, yes func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !yes(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// answer is what came of one request.
type answer struct {
	code int
	doc  discovery.Answer
}

func (d *desk) get(t *testing.T, query string) answer {
	t.Helper()
	res, err := http.Get(d.URL + discovery.LeaderPath + query)
	if err != nil {
		t.Error(err)
		return answer{}
	}
	defer res.Body.Close()
	a := answer{code: res.StatusCode}
	if raw, err := io.ReadAll(res.Body); err == nil && len(raw) > 0 && raw[0] == '{' {
		err = json.Unmarshal(raw, &a.doc)
		if err != nil {
			t.Error(err)
		}
	}
	return a
}

func TestLeaderIsToldOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t, &discovery.Handler{})
	if a := d.get(t, ""); a.code != 404 || a.doc.Reason != "starting" {
		t.Errorf("before the first state: %+v", a)
	}
	d.feed.Tell(discovery.State{Leader: doc(7), Out: time.Now().Add(-time.Minute)})
	if a := d.get(t, ""); a.code != 200 || a.doc.Leader != doc(7) || a.doc.AgeSeconds < 60 || a.doc.AgeSeconds > 80 {
		t.Errorf("a leader whose lock was lost a minute ago: %+v", a)
	}
	d.feed.Tell(discovery.State{Reason: "nobody holds the lock"})
	if a := d.get(t, ""); a.code != 404 || a.doc.Reason != "nobody holds the lock" {
		t.Errorf("nobody: %+v", a)
	}
	for _, bad := range []string{"?after=x", "?after=g/-1", "?after=1&timeout=soon", "?timeout=-1s", "?timeout=2h"} {
		if a := d.get(t, bad); a.code != 400 {
			t.Errorf("%s: %+v, want 400", bad, a)
		}
	}
}

func TestLongPollWaitsForALaterEpoch(t *testing.T) {
	t.Parallel()
	d := newDesk(t, &discovery.Handler{})
	d.tell(7)
	for query, code := range map[string]int{
		"?after=6": 200, "?after=g/6": 200, "?after=other/99": 200, "?after=7&timeout=10ms": 204, "?after=g/7&timeout=10ms": 204, "?after=99&timeout=10ms": 204,
	} {
		if a := d.get(t, query); a.code != code {
			t.Errorf("%s: %+v, want %d", query, a, code)
		}
	}
	done := make(chan answer)
	go func() { done <- d.get(t, "?after=g/7&timeout=30s") }()
	until(t, "the follower waits", func() bool { return d.waitingNow() == 1 })
	pause := time.NewTimer(500 * time.Millisecond) // longer than the server's limits for short requests
	<-pause.C
	d.tell(8)
	if a := <-done; a.code != 200 || a.doc.Leader != doc(8) {
		t.Errorf("the next leader: %+v", a)
	}
	go func() { done <- d.get(t, "?after=g/8&timeout=30s") }()
	until(t, "the follower waits", func() bool { return d.waitingNow() == 1 })
	d.feed.Tell(discovery.State{Reason: "vacant"})
	if a := <-done; a.code != 404 {
		t.Errorf("the leader has gone: %+v", a)
	}
}

// events reads a stream: one string an event, "name data".
func events(t *testing.T, url string) (next func() (string, bool)) {
	t.Helper()
	res, err := http.Get(url + discovery.EventsPath)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	lines := bufio.NewScanner(res.Body)
	return func() (string, bool) {
		event := ""
		for lines.Scan() {
			switch name, value, _ := strings.Cut(lines.Text(), ": "); name {
			case "event", "data":
				event += value + " "
			case "":
				return event, true
			}
		}
		return "", false
	}
}

func TestEventsTellTheStateAndEveryChange(t *testing.T) {
	t.Parallel()
	d := newDesk(t, &discovery.Handler{})
	next := events(t, d.URL)
	must := func(prefix, part string) {
		t.Helper()
		if got, ok := next(); !ok || !strings.HasPrefix(got, prefix) || !strings.Contains(got, part) {
			t.Errorf("event %q, want %q with %q", got, prefix, part)
		}
	}
	must("none", "starting")
	d.tell(7)
	must("leader", `"counter":7}`)
	pause := time.NewTimer(500 * time.Millisecond) // longer than the server's limits for short requests
	<-pause.C
	d.tell(8)
	must("leader", `"counter":8}`)
	d.feed.Tell(discovery.State{Reason: "vacant"})
	must("none", "vacant")
	d.feed.Close()
	if got, ok := next(); ok && !strings.HasPrefix(got, "none") {
		t.Errorf("event %q after the end", got)
	}
	until(t, "the stream ends", func() bool { return d.waitingNow() == 0 })
}

func TestFollowersBeyondTheLimitAreSentElsewhere(t *testing.T) {
	t.Parallel()
	d := newDesk(t, &discovery.Handler{Most: 2})
	d.tell(7)
	events(t, d.URL)
	events(t, d.URL)
	until(t, "two followers", func() bool { return d.waitingNow() == 2 })
	res, err := http.Get(d.URL + discovery.EventsPath)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 503 || res.Header.Get("Retry-After") == "" || d.refusedFor("full") != 1 {
		t.Errorf("the third: %s, Retry-After %q, counted %d", res.Status, res.Header.Get("Retry-After"), d.refusedFor("full"))
	}
	if a := d.get(t, ""); a.code != 200 {
		t.Errorf("who does not wait is answered: %+v", a)
	}
}

func TestASlowFollowerIsCutOffAndHoldsUpNobody(t *testing.T) {
	t.Parallel()
	d := newDesk(t, &discovery.Handler{Patience: 300 * time.Millisecond})
	conn, err := net.Dial("tcp", d.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET "+discovery.EventsPath+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	until(t, "the slow one waits", func() bool { return d.waitingNow() == 1 })
	next := events(t, d.URL)
	quick := make(chan bool)
	go func() {
		for {
			if got, ok := next(); !ok || strings.HasPrefix(got, "leader") {
				quick <- ok
				return
			}
		}
	}()
	long := strings.Repeat("x", 32<<10) // below what a Scanner takes as one line
	until(t, "the slow one is cut off", func() bool {
		d.feed.Tell(discovery.State{Reason: long + time.Now().String()})
		return d.refusedFor("slow") == 1
	})
	d.tell(9)
	if !<-quick {
		t.Error("the quick one was cut off as well")
	}
}

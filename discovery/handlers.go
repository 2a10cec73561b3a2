package discovery

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// The paths at which followers ask.
const (
	// LeaderPath answers once.
	LeaderPath = "/v1/leader"
	// EventsPath is a stream of server-sent events.
	EventsPath = "/v1/events"
)

const (
	// longest bounds a long poll, usual is its length unless the follower says.
	longest = time.Minute
	usual   = 30 * time.Second
	// beatEvery is how often a stream says that it lives.
	beatEvery = 10 * time.Second
	// DefaultPatience is how long one write may take: a follower that does not read is
	// cut off.
	DefaultPatience = 5 * time.Second
	// DefaultFollowers is how many may wait at once where no memory limit is known: at
	// some 35 KiB each they take 100 MiB. inject gives the number that its limit carries.
	DefaultFollowers = 3000
)

// The events of a stream.
const (
	eventLeader = "leader"
	eventNone   = "none"
	eventAlive  = "alive"
)

// Handler serves Feed to followers.
type Handler struct {
	Feed *Feed
	// Most is how many may wait at once; DefaultFollowers if zero. Whoever comes
	// later is told to ask another sidecar.
	Most int
	// Patience is how long one write may take; DefaultPatience if zero.
	Patience time.Duration
	// Waiting is called with 1 and -1; Refused with what became of a follower: full
	// or slow. Both may be nil.
	Waiting func(change int)
	Refused func(why string)

	waiting atomic.Int64
}

// Register adds both paths.
func (h *Handler) Register(handle func(pattern string, handler http.Handler)) {
	handle("GET "+LeaderPath, http.HandlerFunc(h.leader))
	handle("GET "+EventsPath, http.HandlerFunc(h.events))
}

// leader answers with the document: 404 if there is none. With ?after=<epoch> it
// answers once there is a leader of a later epoch or of another generation, or
// anything else has changed; 204 if nothing has until ?timeout.
func (h *Handler) leader(w http.ResponseWriter, r *http.Request) {
	after, timeout, err := parsePoll(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	v := h.Feed.current()
	if after != nil && !after.passed(v) {
		if !h.enter(w) {
			return
		}
		defer h.leave()
		// The server's limits are those of a short request.
		c := http.NewResponseController(w)
		_ = c.SetReadDeadline(time.Time{}) // what cannot be set has no limit
		_ = c.SetWriteDeadline(time.Now().Add(timeout + h.patience()))
		if v = h.await(r.Context(), v, after, timeout); v.next == nil {
			w.Header().Set("Connection", "close")
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	switch {
	case v.document == nil:
		w.WriteHeader(http.StatusNotFound)
	case after != nil && !after.passed(v):
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Write(append(v.answer(time.Now()), '\n')) //nolint:errcheck // who asked has gone, nobody to tell
}

// await waits until the answer is another one, at most for timeout.
func (h *Handler) await(ctx context.Context, v view, after *position, timeout time.Duration) view {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	first := v.state.Leader
	for v.next != nil && !after.passed(v) && v.state.Leader == first {
		select {
		case <-v.next:
			v = h.Feed.current()
		case <-timer.C:
			return v
		case <-ctx.Done():
			return v
		}
	}
	return v
}

// position is what a follower has: an epoch, with its generation if it knows that.
type position struct {
	generation string
	counter    uint64
}

func (p *position) passed(v view) bool {
	if v.document == nil {
		return false
	}
	e := v.state.Leader.Epoch
	return p.generation != "" && p.generation != e.Generation || e.Counter > p.counter
}

func parsePoll(r *http.Request) (*position, time.Duration, error) {
	q := r.URL.Query()
	timeout := usual
	if text := q.Get("timeout"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 || d > longest {
			return nil, 0, fmt.Errorf("timeout %q: a duration up to %v", text, longest)
		}
		timeout = d
	}
	text := q.Get("after")
	if text == "" {
		return nil, timeout, nil
	}
	p := &position{}
	if i := strings.LastIndexByte(text, '/'); i >= 0 {
		p.generation, text = text[:i], text[i+1:]
	}
	var err error
	if p.counter, err = strconv.ParseUint(text, 10, 64); err != nil {
		return nil, 0, fmt.Errorf("after %q: an epoch is <counter> or <generation>/<counter>", q.Get("after"))
	}
	return p, timeout, nil
}

// events streams the document, at once and with every change, and a sign of life in
// between.
func (h *Handler) events(w http.ResponseWriter, r *http.Request) {
	if !h.enter(w) {
		return
	}
	defer h.leave()
	s := stream{w: w, c: http.NewResponseController(w), patience: h.patience()}
	_ = s.c.SetReadDeadline(time.Time{}) // what cannot be set has no limit
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	timer := time.NewTimer(beatEvery/2 + rand.N(beatEvery/2)) // not all at the same moment
	defer timer.Stop()
	v := h.Feed.current()
	for err := s.tell(v); ; {
		switch {
		case err != nil:
			if errors.Is(err, os.ErrDeadlineExceeded) && h.Refused != nil {
				h.Refused("slow")
			}
			return
		case v.next == nil:
			return
		}
		select {
		case <-v.next:
			v = h.Feed.current()
			err = s.tell(v)
		case now := <-timer.C:
			err = s.alive(v, now)
			timer.Reset(beatEvery)
		case <-r.Context().Done():
			return
		}
	}
}

type stream struct {
	w http.ResponseWriter
	c *http.ResponseController

	patience time.Duration
}

func (s stream) tell(v view) error {
	event, id := eventNone, ""
	if v.document != nil {
		event = eventLeader
		id = fmt.Sprintf("id: %s/%d\n", v.state.Leader.Epoch.Generation, v.state.Leader.Epoch.Counter)
	}
	return s.send(fmt.Sprintf("event: %s\n%sdata: %s\n\n", event, id, v.answer(time.Now())))
}

func (s stream) alive(v view, now time.Time) error {
	return s.send(fmt.Sprintf("event: %s\ndata: {\"age_seconds\":%g}\n\n", eventAlive, v.state.Age(now).Seconds()))
}

func (s stream) send(text string) error {
	_ = s.c.SetWriteDeadline(time.Now().Add(s.patience)) // what cannot be set has no limit
	if _, err := s.w.Write([]byte(text)); err != nil {
		return err
	}
	return s.c.Flush()
}

func (h *Handler) patience() time.Duration {
	if h.Patience > 0 {
		return h.Patience
	}
	return DefaultPatience
}

// Limit is how many may wait at once.
func (h *Handler) Limit() int {
	if h.Most > 0 {
		return h.Most
	}
	return DefaultFollowers
}

// enter counts a follower in, or sends it away.
func (h *Handler) enter(w http.ResponseWriter) bool {
	if h.waiting.Add(1) > int64(h.Limit()) {
		h.waiting.Add(-1)
		if h.Refused != nil {
			h.Refused("full")
		}
		w.Header().Set("Retry-After", strconv.Itoa(1+rand.IntN(5)))
		w.Header().Set("Connection", "close")
		http.Error(w, "too many followers: ask another sidecar", http.StatusServiceUnavailable)
		return false
	}
	if h.Waiting != nil {
		h.Waiting(1)
	}
	return true
}

func (h *Handler) leave() {
	h.waiting.Add(-1)
	if h.Waiting != nil {
		h.Waiting(-1)
	}
}

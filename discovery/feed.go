package discovery

import (
	"bytes"
	"encoding/json"
	"sync"
	"time"
)

// Feed hands the newest State to any number of followers. A follower that is slow
// misses what came in between, never the newest.
type Feed struct {
	mu     sync.Mutex
	view   view
	closed bool
}

// view is one State as followers see it. It is never changed; next is closed when
// another one has taken its place.
type view struct {
	state State
	// told is false before the first State.
	told bool
	// document is the leader's, encoded once for all of them; nil if there is none.
	document []byte
	next     chan struct{}
}

// NewFeed returns a feed that knows nothing yet, and says so.
func NewFeed() *Feed {
	return &Feed{view: view{state: State{Reason: "starting", Out: time.Now()}, next: make(chan struct{})}}
}

// Tell replaces the State. It never waits for a follower.
func (f *Feed) Tell(s State) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || f.view.told && f.view.state.same(s) {
		return
	}
	v := view{state: s, told: true, next: make(chan struct{})}
	if s.Leader.Known() {
		if v.document = f.view.document; f.view.state.Leader != s.Leader {
			v.document = encode(s.Leader)
		}
	}
	close(f.view.next)
	f.view = v
}

// Close ends every stream, so that its follower finds another sidecar at once.
func (f *Feed) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.closed = true
		close(f.view.next)
		f.view.next = nil
	}
}

// State returns the newest one.
func (f *Feed) State() State { return f.current().state }

// current returns the newest view; next is nil if the feed is closed.
func (f *Feed) current() view {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.view
}

func encode(l Leader) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(l); err != nil {
		panic(err) // strings, numbers and a time
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// Answer is what followers are told: the leader's document, how old it is, and why
// there is none.
type Answer struct {
	Leader
	// AgeSeconds is how long ago whoever answers has had contact with the lock.
	AgeSeconds float64 `json:"age_seconds"`
	// Reason says why there is no leader; empty if there is one.
	Reason string `json:"reason,omitempty"`
}

// answer puts the age into the encoded document.
func (v view) answer(now time.Time) []byte {
	age := v.state.Age(now).Seconds()
	if v.document == nil {
		raw, err := json.Marshal(struct {
			Age    float64 `json:"age_seconds"`
			Reason string  `json:"reason"`
		}{age, v.state.Reason})
		if err != nil {
			panic(err) // a string and a number
		}
		return raw
	}
	number, _ := json.Marshal(age) // a finite number
	out := append(bytes.Clone(v.document[:len(v.document)-1]), `,"age_seconds":`...)
	return append(append(out, number...), '}')
}

package discovery

import (
	"cmp"
	"time"

	"flink-ha-sidecar/leader"
)

// Format is the version of the document. A later one only adds.
const Format = 1

// Leader is the document: who leads and where. What is not known is empty.
type Leader struct {
	Format int   `json:"format"`
	Epoch  Epoch `json:"epoch"`
	// Since is when the leader was granted the lock, by the record's own time where
	// it has one.
	Since time.Time `json:"since"`
	// Session is the leader session ID, a UUID drawn for each grant.
	Session string `json:"session,omitempty"`
	// RPCHost and RPCPort are where TaskManagers connect; an IPv6 address has no
	// brackets.
	RPCHost string `json:"rpc_host,omitempty"`
	RPCPort uint16 `json:"rpc_port,omitempty"`
	// RESTURL is the web UI and REST API, as in http://10.0.0.5:8081.
	RESTURL  string `json:"rest_url,omitempty"`
	BlobPort uint16 `json:"blob_port,omitempty"`
	// Pod and Node are told by the leader's own sidecar alone.
	Pod  string `json:"pod,omitempty"`
	Node string `json:"node,omitempty"`
}

// Epoch orders the leaders of one generation, see leader.Epoch.
type Epoch struct {
	Generation string `json:"generation"`
	Counter    uint64 `json:"counter"`
}

// Known reports whether there is an address at all. A document without one is
// what is left of a cluster that was taken down.
func (l Leader) Known() bool { return l.RPCHost != "" || l.RESTURL != "" }

// SameTenure reports whether both tell of one leader's one tenure. The counters
// may differ: a sidecar that came late numbers a tenure by when it first saw it.
func (l Leader) SameTenure(o Leader) bool {
	return l.Epoch.Generation == o.Epoch.Generation && (l.Epoch == o.Epoch || l.Session != "" && l.Session == o.Session)
}

// Older reports whether l is of an earlier tenure than o in the same generation.
// This holds across observers: whatever counter one gives to a tenure lies between
// its begin and its end, so those of two tenures never cross.
func (l Leader) Older(o Leader) bool {
	return l.Epoch.Generation == o.Epoch.Generation && l.Epoch.Counter < o.Epoch.Counter && !l.SameTenure(o)
}

// Tracker makes documents of snapshots. It is fed all of them, in order.
type Tracker struct {
	// Pod, Node and BlobPort are our JobManager's; Owned says whether an address is
	// its own.
	Pod, Node string
	BlobPort  uint16
	Owned     func(leader.Address) bool

	tenure leader.Tenure
	// left is what stood there when the tenure was first seen: the one before may
	// have left it.
	left map[string]leader.Publication
	// out is since when the lock is out of sight.
	out time.Time
}

const (
	// settledAfter is how long a leader may take to remove what the one before has
	// published; Flink does it within 0.1 s of the grant (seen on 1.18, 1.20, 2.3).
	settledAfter = 2 * time.Second
	// completeWithin is how long a document waits for its second half: Flink
	// publishes REST some 0.2 s before RPC, but one of them may stay away.
	completeWithin = 2 * time.Second
)

// Next returns what follows from the next snapshot.
func (t *Tracker) Next(s *leader.Snapshot) State {
	state := State{Reason: s.Reason, Tenure: s.View.Tenure}
	switch {
	case s.Contact && s.Lost == "":
		t.out = time.Time{}
	case t.out.IsZero():
		t.out = s.At
	}
	state.Out = t.out
	if !s.Contact {
		return state
	}
	if s.Outcome == leader.Retired {
		state.Retired = s.Epoch.Generation
	}
	if s.View.Lock != leader.LockHeld {
		return state
	}
	if s.View.Tenure != t.tenure {
		t.tenure, t.left = s.View.Tenure, s.View.Published
	}
	l := t.leaderOf(s)
	complete := l.RPCHost != "" && l.RESTURL != ""
	if !complete && (!l.Known() || s.At.Sub(s.Since) < completeWithin) {
		state.Reason = "the leader has not published its address yet"
		return state
	}
	state.Leader = l
	state.Mine, state.Shared = t.mine(s)
	if state.Mine && !state.Shared {
		state.Leader.Pod, state.Leader.Node = t.Pod, t.Node
	}
	return state
}

func (t *Tracker) leaderOf(s *leader.Snapshot) Leader {
	l := Leader{Format: Format, Epoch: Epoch(s.Epoch), Since: s.View.Acquired.UTC()}
	if s.View.Acquired.IsZero() {
		l.Since = s.Since.UTC()
	}
	for _, component := range []string{leader.Dispatcher, leader.ResourceManager} {
		p, ok := t.current(s.View, component)
		a, err := leader.ParseAddress(p.Address)
		if ok && err == nil {
			l.RPCHost, l.RPCPort, l.Session = a.Host, a.Port, p.Session
			break
		}
	}
	if p, ok := t.current(s.View, leader.RESTServer); ok {
		if _, err := leader.ParseAddress(p.Address); err == nil {
			l.RESTURL, l.Session = p.Address, cmp.Or(l.Session, p.Session)
		}
	}
	if l.Known() {
		l.BlobPort = t.BlobPort
	}
	return l
}

// current is what a component has published under the present tenure: the store
// says so, it was not there before, or the leader has written long after its
// grant, when it has removed everything older. Both times are the leader's own.
func (t *Tracker) current(v leader.View, component string) (leader.Publication, bool) {
	p, there := v.Published[component]
	if !there || p.Owner != "" {
		return p, there && p.Owner == v.Tenure.Holder
	}
	return p, t.left[component] != p || v.Renewed.Sub(v.Acquired) >= settledAfter
}

// mine reports whether it is for this sidecar to publish the leader, and whether others may
// do so as well: behind a name any JobManager could be the one.
func (t *Tracker) mine(s *leader.Snapshot) (mine, shared bool) {
	if s.Bound != nil {
		return true, false
	}
	for _, component := range leader.Components {
		p, ok := t.current(s.View, component)
		a, err := leader.ParseAddress(p.Address)
		switch {
		case !ok || err != nil:
		case !a.IsIPLiteral():
			return true, true
		case t.Owned(a):
			return true, false
		}
	}
	return false, false
}

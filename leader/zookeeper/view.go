package zookeeper

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"flink-ha-sidecar/leader"
)

// components gives Flink's names of components in ZooKeeper those of package
// leader; others keep theirs.
var components = map[string]string{
	"dispatcher": leader.Dispatcher, "resource_manager": leader.ResourceManager, "rest_server": leader.RESTServer,
}

// view says what r means for the election.
func (r reading) view(revision uint64, at time.Time) leader.View {
	v := leader.View{At: at, Revision: revision, Lock: leader.LockAbsent}
	if r.generation == 0 {
		return v
	}
	v.Tenure.Generation = fmt.Sprintf("%#x", r.generation)
	v.Record = r.record()
	v.Published = make(map[string]leader.Publication)
	for _, i := range r.infos {
		name, known := components[i.component]
		if !known {
			name = i.component
		}
		// One that does not parse is told without an address: it binds nobody, and
		// keeps its owner from being bound.
		v.Published[name] = leader.Publication{Session: i.Session, Address: i.Address, Owner: sessionName(i.owner)}
		if i.problem != "" {
			v.Problem = fmt.Sprintf("connection_info of %s does not parse: %s; it is ignored, and its owner is not bound", i.component, i.problem)
		}
	}
	if r.problem != "" {
		v.Lock, v.Problem = leader.LockUnreadable, r.problem
		return v
	}
	v.Lock, v.Contenders = leader.LockVacant, []string{}
	if len(r.queue) > 0 {
		v.Lock = leader.LockHeld
		v.Tenure.Holder = sessionName(r.queue[0].owner)
		v.Tenure.Acquired = fmt.Sprintf("%#x", r.queue[0].czxid)
		v.Counter = uint64(r.queue[0].czxid)
	}
	for _, p := range r.queue {
		if name := sessionName(p.owner); !slices.Contains(v.Contenders, name) {
			v.Contenders = append(v.Contenders, name)
		}
	}
	for _, owner := range r.stale {
		v.Contenders = append(v.Contenders, sessionName(owner))
	}
	return v
}

// sessionName is how ZooKeeper's own tools write a session.
func sessionName(id int64) string { return fmt.Sprintf("%#x", uint64(id)) }

func parseSession(name string) (int64, error) {
	id, err := strconv.ParseUint(name, 0, 64)
	if err != nil || !isSession(int64(id)) {
		return 0, fmt.Errorf("%q is no session", name)
	}
	return int64(id), nil
}

// record holds what a release goes by: one place a line.
func (r reading) record() string {
	var text strings.Builder
	for _, p := range r.queue {
		fmt.Fprintf(&text, "%s %#x %d %d\n", p.name, uint64(p.owner), p.czxid, p.version)
	}
	return text.String()
}

// placesOf returns the places of a session in a record.
func placesOf(record string, session int64) ([]place, error) {
	var places []place
	for line := range strings.Lines(record) {
		var p place
		var owner uint64
		if _, err := fmt.Sscanf(line, "%s %v %d %d", &p.name, &owner, &p.czxid, &p.version); err != nil {
			return nil, fmt.Errorf("parse record line %q: %w", line, err)
		}
		if p.owner = int64(owner); p.owner == session {
			places = append(places, p)
		}
	}
	return places, nil
}

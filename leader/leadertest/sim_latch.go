package leadertest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"flink-ha-sidecar/leader"
)

// latch is the model of Flink's ZooKeeper HA: Curator's LeaderLatch, a queue of
// ephemeral places, and sessions that live for a while after who owned them. One
// Curator client a JVM has one session at a time; it takes a new one when it learns
// that the old one has ended, or has heard nothing for long, and then the old one's
// nodes may still stand.
type latch struct {
	w        *world
	sessions map[string]*latchSession
	opened   int // sessions so far
	created  int // places so far
	// generation is 0 while the cluster's node is not there.
	generation int
	made       int
	queue      []latchPlace
	infos      map[string]leader.Publication
	stranger   bool // a node in the queue that is no place
	versions   []*leader.View
}

type latchPlace struct {
	session string
	number  int
}

type latchSession struct {
	id    string
	j     *jobManager
	heard time.Duration
	ended bool
}

// latchTimeout is how long a session lives on, short to keep the runs short.
const latchTimeout = 12 * time.Second

func newLatch(w *world) *latch {
	return &latch{w: w, sessions: map[string]*latchSession{}, infos: map[string]leader.Publication{}}
}

func (l *latch) view() *leader.View { return l.at(uint64(len(l.versions))) }

func (l *latch) at(revision uint64) *leader.View {
	if revision == 0 {
		return &leader.View{}
	}
	return l.versions[revision-1]
}

// wrote makes a version of what is there now, and tells of it.
func (l *latch) wrote() {
	before := l.view()
	v := &leader.View{Revision: uint64(len(l.versions) + 1), Published: maps.Clone(l.infos)}
	if l.generation > 0 {
		v.Tenure.Generation = fmt.Sprint(l.generation)
		v.Lock, v.Contenders = leader.LockVacant, []string{}
		for _, p := range l.queue {
			v.Record += fmt.Sprintf("%s=%d ", p.session, p.number)
			if !slices.Contains(v.Contenders, p.session) {
				v.Contenders = append(v.Contenders, p.session)
			}
		}
		if len(l.queue) > 0 {
			v.Lock = leader.LockHeld
			v.Tenure.Holder, v.Tenure.Acquired = l.queue[0].session, fmt.Sprint(l.queue[0].number)
			v.Counter = uint64(l.queue[0].number)
		}
	}
	if l.stranger && l.generation > 0 {
		v.Lock, v.Contenders, v.Problem = leader.LockUnreadable, nil, "a stranger in the queue"
	}
	l.versions = append(l.versions, v)
	l.w.changed(before)
}

func (l *latch) request(j *jobManager, arrive func(), done func(err error)) {
	m := j.m
	m.link.send(m.net.between(1, 4), m.net.between(1, 4), time.Second, arrive, func(err error) { j.now(func() { done(err) }) })
}

// join opens a session and takes a place.
func (l *latch) join(j *jobManager) {
	var s *latchSession
	l.request(j, func() {
		l.opened++
		s = &latchSession{id: fmt.Sprintf("0x%d%06d", j.m.n, l.opened), j: j, heard: l.w.now}
		l.sessions[s.id] = s
		l.w.processes[s.id] = j
		l.w.in(latchTimeout, func() { l.expire(s) })
	}, func(err error) {
		if err != nil {
			j.in(time.Second, func() { l.join(j) })
			return
		}
		j.uuid = s.id
		j.elector = elector{}
		l.beat(j, s, j.m.clock())
		l.contend(j, s)
		l.attribute(j, s)
	})
}

func (l *latch) contend(j *jobManager, s *latchSession) {
	l.request(j, func() {
		if s.ended {
			return
		}
		if l.generation == 0 {
			l.made++
			l.generation = l.made
		}
		l.created++
		l.queue = append(l.queue, latchPlace{s.id, l.created})
		l.wrote()
		if l.queue[0].session == s.id {
			j.in(l.notice(j), func() { l.noticed(j, s.id) })
		}
	}, func(err error) {
		if errors.Is(err, leader.ErrUnavailable) && !s.ended && j.uuid == s.id {
			j.in(time.Second, func() { l.contend(j, s) })
		}
	})
}

func (l *latch) notice(j *jobManager) time.Duration { return j.m.link.watch(j.m.notice.between(1, 20)) }

// attribute is what the servers and the kernel tell of a connection, some seconds
// later.
func (l *latch) attribute(j *jobManager, s *latchSession) {
	if j.m.boot.IntN(4) == 0 {
		return // the servers do not tell
	}
	j.m.w.in(j.m.net.between(200, 3000), func() {
		if j.alive && j.uuid == s.id && j.m.link.up() {
			j.m.side.in(j.m.side.local.between(1, 50), func() {
				j.m.side.step(leader.Attributed{Holder: s.id, Process: j.proc})
			})
		}
	})
}

// beat keeps a session alive, and finds out that it has ended. heard is when the
// client last got an answer, by its own clock.
func (l *latch) beat(j *jobManager, s *latchSession, heard time.Time) {
	if j.uuid != s.id || j.ending {
		return
	}
	if j.m.clock().Sub(heard) > latchTimeout { // Curator gives the session up by itself
		l.w.tracef("JobManager of %s changes its session", s.id)
		l.join(j)
		return
	}
	l.request(j, func() {
		if !s.ended {
			s.heard = l.w.now
		}
	}, func(err error) {
		switch {
		case j.uuid != s.id:
		case err == nil && s.ended:
			l.join(j)
		case err == nil:
			again := j.m.clock()
			j.in(latchTimeout/3, func() { l.beat(j, s, again) })
		default:
			j.in(time.Second, func() { l.beat(j, s, heard) })
		}
	})
}

// expire ends a session of which nothing was heard.
func (l *latch) expire(s *latchSession) {
	if s.ended {
		return
	}
	if rest := s.heard + latchTimeout - l.w.now; rest > 0 {
		l.w.in(rest, func() { l.expire(s) })
		return
	}
	l.w.tracef("session %s expires", s.id)
	l.end(s)
}

// end takes away all that a session owns.
func (l *latch) end(s *latchSession) {
	s.ended = true
	l.queue = slices.DeleteFunc(l.queue, func(p latchPlace) bool { return p.session == s.id })
	maps.DeleteFunc(l.infos, func(_ string, p leader.Publication) bool { return p.Owner == s.id })
	l.wrote()
}

// noticed: the first in the queue leads, and publishes.
func (l *latch) noticed(j *jobManager, holder string) {
	if holder != j.uuid || j.elector.leads || l.view().Tenure.Holder != holder {
		return
	}
	j.elector.leads = true
	l.w.granted(j)
	if j.ending {
		return
	}
	ip := memberIP(j.m.n).String()
	rpc := "pekko.tcp://flink@" + ip + ":6123/user/rpc/"
	for _, p := range []struct {
		component, address string
		low, high          int
	}{
		{leader.RESTServer, "http://" + ip + ":8081", 40, 90}, {leader.ResourceManager, rpc + "resourcemanager_0", 80, 160},
		{leader.Dispatcher, rpc + "dispatcher_1", 150, 300}, {"job-1", rpc + "jobmanager_2", 400, 700},
	} {
		j.in(j.m.net.between(p.low, p.high), func() {
			if j.uuid == holder && j.elector.leads {
				l.publish(j, holder, p.component, p.address)
			}
		})
	}
}

// publish replaces whatever stands there, whoever owns it.
func (l *latch) publish(j *jobManager, session, component, address string) {
	l.request(j, func() {
		if s := l.sessions[session]; !s.ended && l.generation > 0 {
			l.infos[component] = leader.Publication{Session: session + "-" + component, Address: address, Owner: session}
			l.wrote()
		}
	}, func(error) {})
}

// leave closes the session, unless the JVM is gone before.
func (l *latch) leave(j *jobManager) {
	j.ending = true
	j.elector.leads = false
	j.in(j.m.net.between(60, 400), func() { j.die("SIGTERM") })
	s := l.sessions[j.uuid]
	if s == nil {
		return
	}
	j.in(j.m.net.between(10, 120), func() {
		l.request(j, func() {
			if !s.ended {
				l.end(s)
			}
		}, func(error) {})
	})
}

// finish is the end of the application: the leader takes the cluster's node away,
// with all below it; the others make it anew.
func (l *latch) finish(j *jobManager) {
	j.ending = true
	j.elector.leads = false
	l.request(j, func() {
		l.generation, l.queue = 0, nil
		clear(l.infos)
		l.wrote()
		for _, m := range l.w.members {
			if o := m.jm; o != nil && o != j {
				if s := l.sessions[o.uuid]; s != nil {
					o.elector.leads = false
					o.in(l.notice(o), func() { l.contend(o, s) })
				}
			}
		}
	}, func(error) { j.die("exit 0: the job has ended") })
}

func (l *latch) free(v leader.View, holder string) (leader.View, error) {
	if l.generation == 0 {
		return leader.View{}, leader.ErrGone
	}
	var listed []latchPlace
	for _, text := range strings.Fields(v.Record) {
		var p latchPlace
		session, number, _ := strings.Cut(text, "=")
		if _, err := fmt.Sscan(number, &p.number); err == nil && session == holder {
			p.session = session
			listed = append(listed, p)
		}
	}
	for _, p := range listed {
		if !slices.Contains(l.queue, p) {
			return leader.View{}, leader.ErrConflict
		}
	}
	if len(listed) == 0 || l.stranger {
		return leader.View{}, leader.ErrConflict
	}
	l.queue = slices.DeleteFunc(l.queue, func(p latchPlace) bool { return slices.Contains(listed, p) })
	l.wrote()
	return *l.view(), nil
}

func (l *latch) check() error { return nil }

// disturb writes beside the lock.
func (l *latch) disturb() {
	if l.generation > 0 {
		l.wrote()
	}
}

func (l *latch) damage() {
	l.stranger = true
	l.wrote()
}

func (l *latch) repair() {
	l.stranger = false
	l.wrote()
}

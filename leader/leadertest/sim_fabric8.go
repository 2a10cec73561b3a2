package leadertest

import (
	"fmt"
	"strings"
	"time"

	"flink-ha-sidecar/leader"
)

// fabric8 is the model of Flink's Kubernetes HA: fabric8's LeaderElector over
// one ConfigMap, with Flink's writes of leader information to the same object.
// The times are those measured on Flink 2.3.
type fabric8 struct {
	w     *world
	store Store
	// versions are all there were, by revision.
	versions []*leader.View
	good     string
	// text was parsed last, to parsed or parseErr: most looks find the same
	// record, and parsing it strictly is slow.
	text     string
	parsed   Record
	renewed  time.Time
	parseErr error
}

func (f *fabric8) parse(text string) (Record, error) {
	if text != f.text {
		f.text = text
		f.parsed, f.parseErr = ParseRecord(text)
		f.renewed, _ = time.Parse(TimeFormat, f.parsed.Renewed)
	}
	return f.parsed, f.parseErr
}

// elector is fabric8's state in one JVM.
type elector struct {
	// leads as the JVM believes; term tells its loops apart.
	leads bool
	term  int
	// renewBy is when it gives up unless it has renewed, by its own clock.
	renewBy time.Time
}

func (f *fabric8) view() *leader.View {
	if len(f.versions) == 0 {
		return &leader.View{}
	}
	return f.versions[len(f.versions)-1]
}

func (f *fabric8) at(revision uint64) *leader.View {
	if revision == 0 {
		return &leader.View{}
	}
	return f.versions[revision-1]
}

// wrote notes what a write has left behind, and tells of it.
func (f *fabric8) wrote(o *Object, err error) bool {
	if err != nil {
		return false
	}
	before := f.view()
	v := o.view(f.parse)
	f.versions = append(f.versions, &v)
	f.w.changed(before)
	return true
}

// request is a call of a JVM to the store.
func (f *fabric8) request(j *jobManager, arrive func(), done func(err error)) {
	m := j.m
	m.link.send(m.net.between(1, 4), m.net.between(1, 4), time.Second, arrive, func(err error) { j.now(func() { done(err) }) })
}

func (f *fabric8) join(j *jobManager) {
	j.elector.term++
	f.poll(j, j.elector.term)
}

// poll is one look of a candidate: take the lock if it is free, past, or ours.
func (f *fabric8) poll(j *jobManager, term int) {
	if j.elector.term != term {
		return
	}
	again := func() { j.in(f.jitter(j), func() { f.poll(j, term) }) }
	f.attempt(j, func(kept bool, err error) {
		switch {
		case j.elector.term != term:
		case err != nil || !kept:
			again()
		default:
			f.granted(j)
		}
	})
}

// jitter is the pause of a candidate: 1.0 to 2.2 times the retry period.
func (f *fabric8) jitter(j *jobManager) time.Duration {
	return time.Duration(float64(f.w.timings.retry) * (1 + 1.2*j.m.flink.Float64()))
}

// attempt is LeaderElector.tryAcquireOrRenew: a GET, and a PUT conditional on
// its resourceVersion.
func (f *fabric8) attempt(j *jobManager, done func(kept bool, err error)) {
	var seen *Object
	f.request(j, func() { seen = f.store.Get() }, func(err error) {
		if err != nil {
			done(false, err)
			return
		}
		record := NewRecord(j.uuid, f.w.timings.lease, j.m.clock())
		if !seen.Gone {
			old, err := f.parse(seen.Record)
			if err != nil {
				done(false, err)
				return
			}
			switch {
			case old.Holder == j.uuid:
				record.Acquired, record.Transitions = old.Acquired, old.Transitions
			case old.Holder == "" || j.m.clock().After(f.renewed.Add(f.w.timings.lease)):
				record.Transitions = old.Transitions + 1
			default:
				done(false, nil)
				return
			}
		}
		f.put(j, seen, record, done)
	})
}

func (f *fabric8) put(j *jobManager, seen *Object, record Record, done func(kept bool, err error)) {
	kept := false
	f.request(j, func() {
		if seen.Gone {
			kept = f.wrote(f.store.Create(record.String()))
		} else {
			kept = f.wrote(f.store.Update(seen.Revision, func(o *Object) { o.Record = record.String() }))
		}
		if !kept && strings.Contains(f.store.Get().Record, freedAt) {
			f.w.openLosses(func(l *Loss) { l.Raced = true })
		}
	}, func(err error) {
		if err == nil && !kept {
			err = leader.ErrConflict
		}
		done(kept, err)
	})
}

// granted begins a leadership: the old addresses go, the new ones come, and
// the lock is renewed from now on.
func (f *fabric8) granted(j *jobManager) {
	e := &j.elector
	e.leads = true
	e.term++
	e.renewBy = j.m.clock().Add(f.w.timings.deadline)
	f.w.granted(j)
	if j.ending {
		return // the second elector of a dying JVM gets no further
	}
	term, session := e.term, fmt.Sprintf("%s-%d", j.uuid[:8], e.term)
	at := func(low, high int, do func()) {
		j.in(j.m.net.between(low, high), func() {
			if e.term == term && e.leads {
				do()
			}
		})
	}
	stale := 17
	for _, component := range leader.Components {
		at(stale, stale+13, func() { f.publish(j, component, "") })
		stale += 13
	}
	address := memberIP(j.m.n).String()
	rpc := "pekko.tcp://flink@" + address + ":6123/user/rpc/"
	missing := j.m.net.IntN(20) // a key may stay missing for ever
	for i, p := range []struct {
		component string
		low, high int
		address   string
	}{
		{leader.RESTServer, 85, 116, "http://" + address + ":8081"},
		{leader.ResourceManager, 133, 198, rpc + "resourcemanager_0"},
		{leader.Dispatcher, 262, 326, rpc + "dispatcher_1"},
		{"job-00000000", 550, 700, rpc + "jobmanager_2"},
	} {
		if i != missing {
			at(p.low, p.high, func() { f.publish(j, p.component, session+","+p.address) })
		}
	}
	at(56, 78, func() { f.renew(j, term) })
}

// publish writes a component's key, or removes it. Flink repeats it until
// it was not disturbed, so it is one step here; it asks whether the annotation
// contains its UUID.
func (f *fabric8) publish(j *jobManager, component, value string) {
	f.request(j, func() {
		o := f.store.Get()
		if o.Gone || !strings.Contains(o.Record, j.uuid) {
			return
		}
		if _, there := o.Data[keyPrefix+component]; !there && value == "" {
			return
		}
		f.wrote(f.store.Update(o.Revision, func(o *Object) {
			if value == "" {
				delete(o.Data, keyPrefix+component)
			} else {
				o.Data[keyPrefix+component] = value
			}
		}))
	}, func(error) {})
}

// renew is one turn of the holder's loop.
func (f *fabric8) renew(j *jobManager, term int) {
	e := &j.elector
	if e.term != term || j.ending {
		return
	}
	if j.m.clock().After(e.renewBy) {
		f.w.tracef("JobManager %s gives up its leadership", j.uuid)
		e.leads = false
		f.join(j)
		return
	}
	f.attempt(j, func(kept bool, err error) {
		if e.term != term || j.ending {
			return
		}
		if kept {
			e.renewBy = j.m.clock().Add(f.w.timings.deadline)
		} else if err == nil {
			f.suicide(j)
			return
		}
		j.in(f.w.timings.retry, func() { f.renew(j, term) })
	})
}

// noticed: a leader that sees the lock with somebody else ends its JVM.
func (f *fabric8) noticed(j *jobManager, holder string) {
	if j.elector.leads && holder != j.uuid && !j.ending && f.view().Tenure.Holder != j.uuid {
		f.suicide(j)
	}
}

func (f *fabric8) suicide(j *jobManager) {
	f.w.openLosses(func(l *Loss) { l.Suicides++ })
	j.die("exit 239: its lock is not its own any more")
}

// leave is the end by SIGTERM: the keys go, then the lock, and in 2.3 a second
// elector may take it again before the JVM is gone.
func (f *fabric8) leave(j *jobManager) {
	j.ending = true
	led := j.elector.leads
	j.elector.leads = false
	j.elector.term++
	j.in(j.m.net.between(60, 400), func() { j.die("SIGTERM") })
	if !led || !f.w.timings.releases {
		return
	}
	for i, component := range leader.Components {
		j.in(j.m.net.between(3*i, 3*i+3), func() { f.publish(j, component, "") })
	}
	j.in(j.m.net.between(12, 30), func() {
		f.request(j, func() {
			o := f.store.Get()
			r, err := f.parse(o.Record)
			if err != nil || r.Holder != j.uuid {
				return
			}
			r.Holder = ""
			f.wrote(f.store.Update(o.Revision, func(o *Object) { o.Record = r.Renew(j.m.clock()).String() }))
		}, func(error) {
			if j.m.flink.IntN(8) < f.w.timings.retakes {
				j.in(j.m.net.between(4, 8), func() { f.join(j) })
			}
		})
	})
}

// finish is the end of the application: the leader removes the object and ends.
func (f *fabric8) finish(j *jobManager) {
	j.ending = true
	j.elector.leads = false
	j.elector.term++
	f.request(j, func() { f.wrote(f.store.Delete()) }, func(error) { j.die("exit 0: the job has ended") })
}

func (f *fabric8) free(v leader.View, holder string) (leader.View, error) {
	record, err := f.parse(v.Record)
	if err != nil || record.Holder != holder {
		return leader.View{}, leader.ErrConflict
	}
	o, err := f.store.Swap(v.Record, record.Freed().String())
	if !f.wrote(o, err) {
		return leader.View{}, err
	}
	return *f.view(), nil
}

func (f *fabric8) check() error {
	r, err := ParseRecord(f.store.Get().Record)
	if err == nil && r.Holder != "" {
		err = fmt.Errorf("it names holder %q", r.Holder)
	}
	return err
}

func (f *fabric8) disturb() {
	o := f.store.Get()
	f.wrote(f.store.Update(o.Revision, func(o *Object) { o.Data["touched"] = fmt.Sprint(f.w.now) }))
}

func (f *fabric8) damage() {
	o := f.store.Get()
	if _, err := f.parse(o.Record); err != nil {
		return
	}
	f.good = o.Record
	f.wrote(f.store.Update(o.Revision, func(o *Object) { o.Record = "{" }))
}

func (f *fabric8) repair() {
	o := f.store.Get()
	if o.Record == "{" {
		f.wrote(f.store.Update(o.Revision, func(o *Object) { o.Record = f.good }))
	}
}

package handover

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"flink-ha-sidecar/hastate"
	"flink-ha-sidecar/leader"
)

var process = leader.Process{PID: 42, StartTime: 7}

// play is a handover with all around it faked. A bubble's clock moves it.
type play struct {
	*Handover
	mu    sync.Mutex // guards snap
	snap  leader.Snapshot
	jobs  []Job
	said  []string
	begun int
	// lasts is how long a checkpoint takes; zero for never.
	lasts     time.Duration
	triggered map[string]time.Time
	fails     error // of a checkpoint
	signalErr error
	deleteErr error
	ended     string
	ready     []string
	why       string
	// then happens when the JobManager is told to end.
	then func()
}

func newPlay() *play {
	p := &play{jobs: []Job{{"j1", "RUNNING"}}, ready: []string{"pod-2"}, lasts: 300 * time.Millisecond, triggered: map[string]time.Time{}}
	p.snap = leader.Snapshot{
		At: time.Now(), Outcome: leader.Leading, Contact: true, Looked: true, Alive: true,
		Evidence: leader.Evidence{Alive: []leader.Process{process}}, Bound: &leader.Binding{Holder: "A", Process: process},
		View: leader.View{Lock: leader.LockHeld, Tenure: leader.Tenure{Generation: "g", Holder: "A", Acquired: "1"},
			Published: map[string]leader.Publication{leader.Dispatcher: {Session: "s1", Address: address(1)}}},
	}
	p.then = p.failover
	p.Handover = &Handover{
		Snapshot: func() *leader.Snapshot {
			p.mu.Lock()
			defer p.mu.Unlock()
			s := p.snap
			return &s
		},
		Flink:    p,
		Standbys: func(context.Context) ([]string, string) { return p.ready, p.why },
		Signal:   ender{p, "SIGTERM", &p.signalErr}, Delete: ender{p, "deletion", &p.deleteErr},
		Begins: func(*leader.Snapshot) { p.begun++ },
	}
	return p
}

func address(n int) string {
	return fmt.Sprintf("pekko.tcp://flink@10.0.0.%d:6123/user/rpc/dispatcher_1", n)
}

// failover is what follows: ended after 200 ms, freed 10 ms later, the next leader
// after a second, its address after another 300 ms.
func (p *play) failover() {
	at := time.Now()
	after := p.after
	after(200*time.Millisecond, func() { p.snap.Evidence.Alive, p.snap.Outcome = nil, leader.Freeing })
	after(210*time.Millisecond, func() {
		p.snap.Last = &leader.Case{Holder: "A", Tenure: p.snap.View.Tenure, Death: leader.Death{Process: process, At: at.Add(200 * time.Millisecond)}, Ending: leader.Freed, Freed: time.Now()}
		p.snap.View.Lock, p.snap.Outcome = leader.LockVacant, leader.Vacant
	})
	after(1200*time.Millisecond, func() {
		p.snap.View.Lock, p.snap.View.Tenure.Holder, p.snap.Since, p.snap.Outcome = leader.LockHeld, "B", time.Now(), leader.Observing
	})
	after(1500*time.Millisecond, func() {
		p.snap.View.Published = map[string]leader.Publication{leader.Dispatcher: {Session: "s2", Address: address(2)}}
	})
}

// after changes the snapshot after d.
func (p *play) after(d time.Duration, change func()) {
	time.AfterFunc(d, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		change()
	})
}

func (p *play) Jobs(context.Context) ([]Job, error) { return p.jobs, nil }

func (p *play) Trigger(_ context.Context, job string) (string, error) {
	p.triggered[job] = time.Now()
	return "t" + job, p.fails
}

func (p *play) Completed(_ context.Context, job, trigger string) (bool, error) {
	if trigger != "t"+job {
		return false, errors.New("no such trigger")
	}
	return p.lasts > 0 && time.Since(p.triggered[job]) >= p.lasts, nil
}

type ender struct {
	p    *play
	name string
	err  *error
}

func (e ender) String() string                              { return e.name }
func (e ender) Check(context.Context, leader.Process) error { return *e.err }
func (e ender) End(_ context.Context, process leader.Process) error {
	e.p.ended = fmt.Sprint(e.name, " ", process)
	if e.p.then != nil {
		e.p.then()
	}
	return *e.err
}

func (p *play) run(t *testing.T, r Request) (Report, error) {
	t.Helper()
	if r.CheckpointSeconds == 0 {
		r.CheckpointSeconds = 10
	}
	r.WaitSeconds = 60
	return p.Run(t.Context(), r, func(s string) { p.said = append(p.said, s) })
}

func TestHandoverIsRefusedWithoutHavingChangedAnything(t *testing.T) {
	standby := func(p *play) { p.ready, p.why = nil, "pod-2: starting" }
	for name, row := range map[string]struct {
		set  func(p *play)
		r    Request
		says []string
	}{
		"it does not lead":           {func(p *play) { p.snap.Outcome = leader.Standby }, Request{}, []string{"not known to lead (standby", "10.0.0.1:6123"}},
		"it is not bound":            {func(p *play) { p.snap.Outcome = leader.Unbound }, Request{Force: true}, []string{"not known to lead (unbound"}},
		"the lock is out of sight":   {func(p *play) { p.snap.Lost = "timeout" }, Request{Force: true}, []string{"cannot be observed", "timeout"}},
		"two JobManagers":            {func(p *play) { p.snap.Evidence.Alive = append(p.snap.Evidence.Alive, leader.Process{PID: 3}) }, Request{}, []string{"not exactly one"}},
		"paused":                     {func(p *play) { p.snap.Pause = &leader.Pause{Until: time.Now().Add(time.Hour)} }, Request{}, []string{"paused until", "--force"}},
		"no standby is ready":        {standby, Request{}, []string{"pod-2: starting", "--force"}},
		"the job is being cancelled": {func(p *play) { p.jobs[0].Status = "CANCELLING" }, Request{Force: true}, []string{"j1 is cancelling", "no way to stop a job"}},
		"the job has been cancelled": {func(p *play) { p.jobs[0].Status = "CANCELED" }, Request{}, []string{"no way to stop a job"}},
		"all jobs have ended":        {func(p *play) { p.jobs[0].Status = "FINISHED" }, Request{}, []string{"no way to stop a job"}},
		"another user's, its pod too": {func(p *play) {
			p.signalErr, p.deleteErr = errors.New("user 9999, this sidecar is user 65532"), errors.New("forbidden")
		}, Request{}, []string{"user 9999", "65532", "forbidden"}},
		"its pod may not be deleted": {func(p *play) { p.deleteErr = errors.New("forbidden") }, Request{DeletePod: true}, []string{"forbidden"}},
		"no pod is known":            {func(p *play) { p.Delete = nil }, Request{DeletePod: true}, []string{"--pod-name"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlay()
				row.set(p)
				_, err := p.run(t, row.r)
				if err == nil || strings.Contains(err.Error(), "\n") {
					t.Fatalf("got %v, want one line", err)
				}
				for _, part := range row.says {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("it says %q, want %q in it", err, part)
					}
				}
				if p.ended != "" || p.begun != 0 || len(p.triggered) != 0 {
					t.Errorf("it has done something: ended %q, %d checkpoints", p.ended, len(p.triggered))
				}
			})
		})
	}
}

func TestHandoverTellsItsPhases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlay()
		r, err := p.run(t, Request{})
		if err != nil {
			t.Fatal(err)
		}
		if r.Checkpoint != "completed" || r.CheckpointMS < 300 || r.CheckpointMS > 320 {
			t.Errorf("the checkpoint: %q after %d ms, want completed after 300", r.Checkpoint, r.CheckpointMS)
		}
		for name, phase := range map[string]struct {
			got  *int64
			want int64
		}{"ended": {r.EndedMS, 200}, "freed": {r.FreedMS, 210}, "granted": {r.GrantedMS, 1200}, "published": {r.PublishedMS, 1500}} {
			if phase.got == nil || *phase.got < phase.want || *phase.got > phase.want+10 {
				t.Errorf("%s after %v ms, want %d", name, phase.got, phase.want)
			}
		}
		if p.ended != "SIGTERM PID 42" || r.Leader != "10.0.0.2:6123" || r.Holder != "B" || r.Outcome != "freed" || p.begun != 1 {
			t.Errorf("ended by %q; %+v; %d begins", p.ended, r, p.begun)
		}
		if !strings.Contains(r.Note, "10 s") {
			t.Errorf("the note is %q, want a word about restarts", r.Note)
		}
		if len(p.said) < 6 {
			t.Errorf("it said only %q", p.said)
		}
	})
}

func TestLockThatIsTakenAgainIsNotFreedYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlay()
		p.then = func() {
			p.after(100*time.Millisecond, func() { p.snap.View.Lock = leader.LockVacant })
			p.after(150*time.Millisecond, func() { p.snap.View.Lock, p.snap.Since = leader.LockHeld, time.Now() })
			p.failover()
		}
		r, err := p.run(t, Request{})
		if err != nil || r.FreedMS == nil || *r.FreedMS < 210 {
			t.Errorf("freed after %v ms, %v; want the second time, after 210", r.FreedMS, err)
		}
	})
}

func TestHandoverGoesOn(t *testing.T) {
	for name, row := range map[string]struct {
		set        func(p *play)
		r          Request
		checkpoint string
		by         string
	}{
		"without a standby, with --force":      {func(p *play) { p.ready = nil }, Request{Force: true}, "completed", "SIGTERM"},
		"in a pause, with --force":             {func(p *play) { p.snap.Pause = &leader.Pause{} }, Request{Force: true}, "completed", "SIGTERM"},
		"by the pod if it may not signal":      {func(p *play) { p.signalErr = errors.New("other user") }, Request{}, "completed", "deletion"},
		"by the pod if that is asked for":      {func(*play) {}, Request{DeletePod: true}, "completed", "deletion"},
		"if the checkpoint is refused":         {func(p *play) { p.fails = errors.New("503") }, Request{}, "not taken, so more is processed again: job j1: 503", "SIGTERM"},
		"if the checkpoint does not complete":  {func(p *play) { p.lasts = 0 }, Request{CheckpointSeconds: 2}, "not completed within 2s", "SIGTERM"},
		"without a checkpoint":                 {func(*play) {}, Request{CheckpointSeconds: -1}, "none was asked for", "SIGTERM"},
		"with a job that restarts just now":    {func(p *play) { p.jobs[0].Status = "RESTARTING" }, Request{}, "no job is running", "SIGTERM"},
		"with two jobs, one of them has ended": {func(p *play) { p.jobs = append(p.jobs, Job{"j2", "FINISHED"}) }, Request{}, "completed", "SIGTERM"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlay()
				row.set(p)
				if row.by == "deletion" {
					p.Signal = ender{p, "SIGTERM", &p.signalErr}
				}
				r, err := p.run(t, row.r)
				if err != nil || !strings.Contains(r.Checkpoint, row.checkpoint) || !strings.HasPrefix(p.ended, row.by) || r.PublishedMS == nil {
					t.Errorf("%v, checkpoint %q, ended by %q, %+v; want %q by %q", err, r.Checkpoint, p.ended, r, row.checkpoint, row.by)
				}
				if (r.Note == "") != (row.by == "deletion") {
					t.Errorf("the note is %q", r.Note)
				}
			})
		})
	}
}

func TestHandoverThatDoesNotEndIsTold(t *testing.T) {
	for name, row := range map[string]struct {
		then func(p *play)
		says string
	}{
		"the JobManager goes on":   {func(*play) {}, "has not ended within 1m0s; it was not killed"},
		"nobody takes the lock":    {func(p *play) { p.snap.Evidence.Alive, p.snap.Outcome = nil, leader.Forbidden }, "no JobManager has taken the lock within 1m0s (forbidden"},
		"the next one says little": {func(p *play) { p.snap.Evidence.Alive, p.snap.View.Tenure.Holder = nil, "B" }, "has not published"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlay()
				p.then = func() { row.then(p) }
				if _, err := p.run(t, Request{}); err == nil || !strings.Contains(err.Error(), row.says) {
					t.Errorf("got %v, want %q", err, row.says)
				}
			})
		})
	}
}

func TestPreStopTakesTheCheckpointAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlay()
		p.ready, p.signalErr, p.deleteErr = nil, errors.New("other user"), errors.New("forbidden")
		r, err := p.run(t, Request{PreStop: true})
		if err != nil || r.Checkpoint != "completed" || p.ended != "" || p.begun != 1 {
			t.Errorf("%v, %+v, ended by %q; want the checkpoint alone", err, r, p.ended)
		}
	})
}

func TestLeadershipThatIsLostMeanwhileEndsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlay()
		p.after(100*time.Millisecond, func() { p.snap.Outcome, p.snap.View.Tenure.Holder = leader.Standby, "B" })
		if _, err := p.run(t, Request{}); err == nil || !strings.Contains(err.Error(), "does not lead any more") || p.ended != "" {
			t.Errorf("%v, ended by %q", err, p.ended)
		}
	})
}

func TestOneHandoverAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlay()
		done := make(chan error)
		go func() { _, err := p.run(t, Request{}); done <- err }()
		synctest.Wait()
		if _, err := p.Run(t.Context(), Request{}, func(string) {}); !errors.Is(err, errBusy) {
			t.Errorf("got %v, want %v", err, errBusy)
		}
		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if p.Idle(short); short.Err() == nil {
			t.Error("Idle did not wait for the one under way")
		}
		p.Idle(t.Context())
		if p.snap.View.Tenure.Holder == "A" {
			t.Error("Idle returned before there was a next leader")
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestReadyStandbysAreAsked(t *testing.T) {
	sidecar := func(status int, document, standby string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v1/status" {
				fmt.Fprint(w, document)
				return
			}
			w.WriteHeader(status)
			fmt.Fprint(w, standby)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	document := func(cluster, pod, outcome string) string {
		return fmt.Sprintf(`{"outcome":%q,"reason":"so","cluster":{"id":%q,"pod":%q}}`, outcome, cluster, pod)
	}
	members := []hastate.Member{
		{Pod: "self", URL: "http://127.0.0.1:1"},
		{Pod: "good", URL: sidecar(200, document("c", "good", "standby"), "ok")},
		{Pod: "starting", URL: sidecar(503, document("c", "starting", "standby"), "[+]loop ok\n[-]jobmanager: not serving yet\n")},
		{Pod: "leads", URL: sidecar(200, document("c", "leads", "leading"), "ok")},
		{Pod: "old", URL: sidecar(200, document("c", "new", "standby"), "ok")},
		{Pod: "other", URL: sidecar(200, document("d", "other", "standby"), "ok")},
		{Pod: "odd", URL: sidecar(200, "hello", "ok")},
		{Pod: "gone", URL: gone.URL},
	}
	ready, why := Ready(t.Context(), http.DefaultClient, members, "self", "c")
	if !slices.Equal(ready, []string{"good"}) {
		t.Errorf("ready are %q, want good alone", ready)
	}
	for _, part := range []string{"starting: jobmanager: not serving yet", "leads: leading: so", "old: at its address is now pod new", "other: at its address is now pod other of cluster d", "odd: its sidecar answers", "gone: "} {
		if !strings.Contains(why, part) {
			t.Errorf("%q is missing in %q", part, why)
		}
	}
	if ready, why := Ready(t.Context(), http.DefaultClient, members[:1], "self", "c"); len(ready) != 0 || why == "" {
		t.Errorf("alone: %q, %q", ready, why)
	}
}

package parent_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"flink-ha-sidecar/jobmanager/parent"
	"flink-ha-sidecar/leader"
)

func report(gate string, pid int, ended bool) parent.Report {
	return parent.Report{Gate: gate, Has: true, Process: parent.Process("boot", gate, pid, 1000), Started: time.Now(), Ended: ended}
}

// heard is what an observer has told.
type heard struct {
	evidence leader.Evidence
	deaths   []leader.Death
}

func follow(ctx context.Context, o *parent.Observer) *heard {
	h := &heard{}
	go o.Run(ctx, func(e leader.Evidence) { h.evidence = e }, func(d leader.Death) { h.deaths = append(h.deaths, d) }) //nolint:errcheck // it ends with ctx
	return h
}

func TestOnlyAReportOfItsEndIsADeath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		o := parent.NewObserver()
		h := follow(ctx, o)
		o.Hear(report("a", 7, false))
		synctest.Wait()
		if p, sole := h.evidence.Sole(); !sole || p.PID != 7 || h.evidence.Started.IsZero() {
			t.Fatalf("the evidence is %+v", h.evidence)
		}
		time.Sleep(time.Minute) // silent
		o.Hear(parent.Report{Gate: "b"})
		synctest.Wait()
		if len(h.deaths) > 0 || len(h.evidence.Alive) > 0 {
			t.Errorf("a gate that is silent and was followed by another one: %+v, deaths %v", h.evidence, h.deaths)
		}
		o.Hear(report("b", 8, false))
		o.Hear(report("b", 8, true))
		o.Hear(report("b", 8, true))
		o.Hear(report("b", 8, false)) // overtaken
		synctest.Wait()
		if len(h.deaths) != 1 || h.deaths[0].Process.PID != 8 || h.deaths[0].Proof != leader.ProofPidfd || len(h.evidence.Alive) > 0 {
			t.Errorf("deaths %+v, evidence %+v", h.deaths, h.evidence)
		}
	})
}

func TestTwoGatesAreNoOneJobManager(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		o := parent.NewObserver()
		h := follow(ctx, o)
		o.Hear(report("a", 7, false))
		o.Hear(report("b", 7, false))
		synctest.Wait()
		if _, sole := h.evidence.Sole(); sole || h.evidence.Problem == "" {
			t.Errorf("the evidence is %+v", h.evidence)
		}
	})
}

func TestALookCountsOnlyReportsThatWereBegunAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := parent.NewObserver()
		if e := o.Look(t.Context()); !e.At.IsZero() {
			t.Errorf("without a gate it sees %+v", e)
		}
		o.Hear(report("a", 7, false))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if e := o.Look(ctx); len(e.Alive) > 0 || e.Problem == "" {
			t.Errorf("a gate that says nothing more: %+v", e)
		}
		seen := make(chan leader.Evidence)
		go func() { seen <- o.Look(t.Context()) }()
		synctest.Wait()
		o.Hear(report("a", 7, false)) // may have been begun before
		synctest.Wait()
		select {
		case e := <-seen:
			t.Fatalf("it has seen %+v by a report that may be older", e)
		default:
		}
		o.Hear(report("a", 7, true))
		if e := <-seen; len(e.Alive) > 0 {
			t.Errorf("it has seen %+v, after the end", e)
		}
	})
}

package jobmanager

import (
	"slices"
	"testing"
	"time"
)

// 200 kills: how long from kill(2), and from the moment the parent knows it, to
// the death being noticed. It is printed, not
// asserted: the part up to the process's end is the kernel's.
func TestLatencyOfDeath(t *testing.T) {
	kills := 200
	if testing.Short() {
		kills = 20
	}
	mark := marker()
	w := newWatcher(t, Options{Match: []string{mark}})
	r := run(t, w)
	noticed, afterReaped := make([]time.Duration, 0, kills), make([]time.Duration, 0, kills)
	for i := range kills {
		cmd := start(t, "idle", argvOf(mark, "/conf")...)
		// A look instead of a wait for the next scan, as when a holder is bound.
		p, ok := w.Look(t.Context()).Sole()
		if !ok {
			t.Fatal("the process is not seen")
		}
		killed := time.Now()
		kill(t, cmd)
		reaped := time.Now()
		waitFor(t, "the death", func() bool { return len(r.died()) > i })
		d := r.died()[i]
		if d.Process != p || d.At.Before(killed) {
			t.Fatalf("death %d = %+v, want of %+v after %v", i, d, p, killed)
		}
		noticed = append(noticed, d.At.Sub(killed))
		afterReaped = append(afterReaped, d.At.Sub(reaped))
	}
	for what, took := range map[string][]time.Duration{"kill(2)": noticed, "the parent's wait(2) had returned": afterReaped} {
		slices.Sort(took)
		t.Logf("death noticed after %s, %d kills: p50 %v, p99 %v, worst %v", what, kills, took[kills/2], took[kills*99/100], took[kills-1])
	}
}

// BenchmarkLook is the cost of one scan of this machine's /proc with one
// JobManager held, which is paid every 2 s.
func BenchmarkLook(b *testing.B) {
	mark := marker()
	w := newWatcher(b, Options{Match: []string{mark}})
	start(b, "idle", argvOf(mark, "/conf")...)
	b.ReportAllocs()
	for b.Loop() {
		w.Look(b.Context())
	}
	pids, _ := w.proc.pids()
	b.ReportMetric(float64(len(pids)), "processes")
}

package jobmanager

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"flink-ha-sidecar/leader"
)

func TestHold(t *testing.T) {
	mark := marker()
	cmd := start(t, "idle", argvOf(mark, "/conf")...)
	p, ok := newWatcher(t, Options{Match: []string{mark}}).Look(t.Context()).Sole()
	if !ok {
		t.Fatal("no process")
	}
	// The sidecar's next start.
	w := newWatcher(t, Options{Match: []string{mark}})
	for name, change := range map[string]func(*leader.Process){
		"another boot":          func(p *leader.Process) { p.BootID = "another" },
		"another PID namespace": func(p *leader.Process) { p.PIDNamespace = "pid:[1]" },
	} {
		foreign := p
		change(&foreign)
		if alive, err := w.Hold(foreign); alive || !errors.Is(err, ErrForeign) {
			t.Errorf("Hold(%s) = %t, %v, want ErrForeign", name, alive, err)
		}
	}
	earlier, gone := p, p
	earlier.StartTime--
	gone.PID = 1<<22 - 1 // no such process: above any PID in use here
	for name, dead := range map[string]leader.Process{"earlier process with this PID": earlier, "no process with this PID": gone} {
		if alive, err := w.Hold(dead); alive || err != nil {
			t.Errorf("Hold(%s) = %t, %v, want it dead", name, alive, err)
		}
	}
	if alive, err := w.Hold(p); !alive || err != nil {
		t.Fatalf("Hold = %t, %v, want it alive", alive, err)
	}
	if alive, err := w.Hold(p); !alive || err != nil {
		t.Fatalf("second Hold = %t, %v, want it alive", alive, err)
	}

	r := run(t, w)
	waitFor(t, "the deaths found by Hold", func() bool { return len(r.died()) == 2 })
	kill(t, cmd)
	waitFor(t, "the death", func() bool { return len(r.died()) == 3 })
	var got []leader.Process
	for _, d := range r.died() {
		got = append(got, d.Process)
	}
	if got[2] != p || !slices.Contains(got, earlier) || !slices.Contains(got, gone) {
		t.Errorf("deaths = %+v", got)
	}
}

func TestRestoreKeepsWhatCanBeKnown(t *testing.T) {
	mark := marker()
	cmd := start(t, "idle", argvOf(mark, "/conf")...)
	p, _ := newWatcher(t, Options{Match: []string{mark}}).Look(t.Context()).Sole()
	dead, foreign := p, p
	dead.StartTime--
	foreign.BootID = "another"
	at := time.Now()
	w := newWatcher(t, Options{Match: []string{mark}})
	got, problems := w.Restore(State{
		Bindings: []leader.Binding{{Holder: "alive", Process: p}, {Holder: "dead", Process: dead}, {Holder: "foreign", Process: foreign}},
		Releases: []time.Time{at},
	})
	if len(problems) != 1 || !errors.Is(problems[0], ErrForeign) {
		t.Errorf("problems = %v, want one of the other boot", problems)
	}
	if len(got.Bindings) != 2 || got.Bindings[0].Holder != "alive" || got.Bindings[1].Holder != "dead" {
		t.Errorf("bindings = %+v", got.Bindings)
	}
	if len(got.Deaths) != 1 || got.Deaths[0].Process != dead || got.Deaths[0].At.Before(at) || len(got.Releases) != 1 {
		t.Errorf("restored = %+v", got)
	}
	r := run(t, w)
	kill(t, cmd)
	waitFor(t, "both deaths", func() bool { return len(r.died()) == 2 })
}

func TestWithoutPidfdNothingIsProven(t *testing.T) {
	mark := marker()
	cmd := start(t, "idle", argvOf(mark, "/conf")...)
	p, _ := newWatcher(t, Options{Match: []string{mark}}).Look(t.Context()).Sole()
	for _, errno := range []unix.Errno{unix.EPERM, unix.ENOSYS, unix.EACCES, unix.EMFILE} {
		t.Run(errno.Error(), func(t *testing.T) {
			k := linux()
			k.pidfdOpen = func(int) (int, error) { return -1, errno }
			w := newWatcher(t, Options{Match: []string{mark}, kernel: &k})
			e := w.Look(t.Context())
			if len(e.Alive) != 0 || e.Problem == "" || strings.Contains(e.Problem, "\n") {
				t.Errorf("evidence = %+v, want no process and one line", e)
			}
			other := p
			other.StartTime--
			for _, p := range []leader.Process{p, other} {
				if alive, err := w.Hold(p); alive || err == nil {
					t.Errorf("Hold = %t, %v, want an error", alive, err)
				}
			}
			if len(w.deaths) != 0 {
				t.Errorf("deaths = %+v, want none", w.deaths)
			}
		})
	}
	kill(t, cmd)
}

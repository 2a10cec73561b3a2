package gate

import (
	"math/rand/v2"
	"testing"
	"time"
)

const sec = Instant(time.Second)

// permit is one asked for at a time, with 5 s until SIGTERM and 8 s until SIGKILL.
func permit(epoch string, asked Instant) Permit {
	return Permit{Run: true, Epoch: epoch, StopAt: asked + 5*sec, KillAt: asked + 8*sec}
}

func says(p Permit) Event { return Event{Kind: Answered, Permit: p} }

// TestMachine plays stories: what happens when, what is then done, and by when the
// command must be gone.
func TestMachine(t *testing.T) {
	type line struct {
		at     Instant
		event  Event
		want   Action
		killAt Instant
	}
	tick, prepared, ended, leave := Event{}, Event{Kind: Prepared}, Event{Kind: Ended}, Event{Kind: Leave}
	no := says(Permit{Reason: "another pod leads"})
	running := []line{
		{100 * sec, says(permit("a", 100*sec)), Prepare, 0},
		{101 * sec, prepared, Start, 108 * sec},
	}
	story := func(more ...line) []line { return append(append([]line{}, running...), more...) }
	for name, lines := range map[string][]line{
		"nothing is started without an answer":    {{1 * sec, tick, None, 0}, {1000 * sec, tick, None, 0}},
		"nothing is started after a refusal":      {{1 * sec, no, None, 0}},
		"an answer that is too old starts none":   {{105 * sec, says(permit("a", 100*sec)), None, 0}},
		"a permit without times is none":          {{100 * sec, says(Permit{Run: true, Epoch: "a"}), None, 0}},
		"a permit that kills first is none":       {{100 * sec, says(Permit{Run: true, StopAt: 109 * sec, KillAt: 108 * sec}), None, 0}},
		"a permit that runs out while preparing":  {running[0], {105 * sec, prepared, Abandon, 0}, {105 * sec, prepared, None, 0}},
		"a refusal while preparing":               {running[0], {101 * sec, no, Abandon, 0}},
		"another epoch while preparing":           {running[0], {101 * sec, says(permit("b", 101*sec)), Abandon, 0}, {101 * sec, tick, Prepare, 0}},
		"told to end before the first command":    {{1 * sec, leave, Exit, 0}},
		"told to end while preparing":             {running[0], {101 * sec, leave, Exit, 0}},
		"told to end, and no new start":           story(line{102 * sec, leave, None, 108 * sec}, line{103 * sec, ended, Exit, 0}),
		"told to end, permits go on meanwhile":    story(line{102 * sec, leave, None, 108 * sec}, line{104 * sec, says(permit("a", 104*sec)), None, 112 * sec}),
		"each permit gives more time":             story(line{103 * sec, says(permit("a", 103*sec)), None, 111 * sec}, line{107 * sec, tick, None, 111 * sec}),
		"no answer: SIGTERM, then SIGKILL":        story(line{104 * sec, tick, None, 108 * sec}, line{105 * sec, tick, Terminate, 108 * sec}, line{107 * sec, tick, None, 108 * sec}, line{108 * sec, tick, Kill, 108 * sec}, line{109 * sec, tick, Kill, 108 * sec}),
		"a refusal: SIGTERM at once":              story(line{102 * sec, no, Terminate, 108 * sec}, line{108 * sec, tick, Kill, 108 * sec}),
		"another epoch ends the command first":    story(line{102 * sec, says(permit("b", 102*sec)), Terminate, 108 * sec}, line{103 * sec, ended, None, 0}, line{104 * sec, says(permit("b", 104*sec)), Prepare, 0}),
		"who ends gets no more time":              story(line{105 * sec, tick, Terminate, 108 * sec}, line{106 * sec, says(permit("a", 106*sec)), None, 108 * sec}, line{108 * sec, tick, Kill, 108 * sec}),
		"a stopped gate kills before all else":    story(line{500 * sec, says(permit("a", 500*sec)), Kill, 108 * sec}),
		"a stopped gate, an old answer":           story(line{500 * sec, says(permit("a", 102*sec)), Kill, 108 * sec}),
		"a stopped gate, a command that is gone":  story(line{500 * sec, ended, None, 0}),
		"the command ends by itself":              story(line{102 * sec, ended, Exit, 0}, line{103 * sec, says(permit("a", 103*sec)), Exit, 0}),
		"after an end by SIGTERM it may run anew": story(line{105 * sec, tick, Terminate, 108 * sec}, line{106 * sec, ended, None, 0}, line{107 * sec, tick, None, 0}, line{107 * sec, says(permit("c", 107*sec)), Prepare, 0}),
	} {
		t.Run(name, func(t *testing.T) {
			s := NewState(false)
			for i, l := range lines {
				var got Action
				if s, got = s.Step(l.event, l.at); got != l.want {
					t.Fatalf("line %d: got %s, want %s (%s)", i+1, got, l.want, s.Phase())
				}
				if s.KillAt() != l.killAt {
					t.Fatalf("line %d: must be gone at %d, want %d", i+1, s.KillAt(), l.killAt)
				}
			}
		})
	}
}

func TestObserveNeedsNoPermit(t *testing.T) {
	s, act := NewState(true).Step(Event{}, 1)
	if act != Prepare {
		t.Fatalf("got %s, want prepare", act)
	}
	s, act = s.Step(Event{Kind: Prepared}, 2)
	if act != Start || s.KillAt() != 0 {
		t.Fatalf("got %s until %d, want a start without an end", act, s.KillAt())
	}
	for _, e := range []Event{{}, says(Permit{}), says(permit("a", 3)), says(Permit{Run: true, Epoch: "b"})} {
		if s, act = s.Step(e, 1000*sec); act != None || s.KillAt() != 0 || s.Wake(1000*sec) != 0 {
			t.Fatalf("%+v: got %s, want nothing", e, act)
		}
	}
	if _, act = s.Step(Event{Kind: Ended}, 1001*sec); act != Exit {
		t.Fatalf("got %s, want exit", act)
	}
}

// TestMachineNeverOutlivesItsPermit drives the state by random events. Whatever comes,
// a command that is alive has been told to end at the last time that any permit of its
// epoch has given, or is being killed; and the state asks to be woken by then.
func TestMachineNeverOutlivesItsPermit(t *testing.T) {
	for seed := range uint64(2000) {
		rng := rand.New(rand.NewPCG(seed, 9))
		s, now := NewState(false), 1000*sec
		alive, terminated := false, false
		var epoch string
		var stop, kill Instant // the last that a permit for this command has given
		for range 300 {
			asleep := Instant(rng.Int64N(int64(2 * sec)))
			if rng.IntN(20) == 0 {
				asleep = Instant(rng.Int64N(int64(60 * sec))) // stopped, or suspended
			}
			now += asleep
			e := Event{Kind: Kind(rng.IntN(5))}
			switch e.Kind {
			case Answered:
				e.Permit = permit(string(rune('a'+rng.IntN(2))), now-Instant(rng.Int64N(int64(2*sec))))
				e.Permit.Run = rng.IntN(6) > 0
			case Ended:
				if !alive {
					continue
				}
				alive = false
			case Leave:
				if rng.IntN(50) > 0 {
					continue
				}
			}
			if overdue := alive && now >= kill; e.Kind == Answered && e.Permit.Run && e.Permit.Epoch == epoch && !terminated && !overdue {
				stop, kill = e.Permit.StopAt, e.Permit.KillAt
			}
			var act Action
			s, act = s.Step(e, now)
			switch act {
			case Start:
				alive, terminated, epoch, stop, kill = true, false, s.permit.Epoch, s.permit.StopAt, s.permit.KillAt
			case Terminate, Kill:
				terminated = true
			case Exit:
				if alive {
					t.Fatalf("seed %d: exit with a command alive", seed)
				}
			}
			if !alive {
				continue
			}
			if now >= kill && act != Kill {
				t.Fatalf("seed %d: %s at %d, past %d, with the command alive", seed, act, now, kill)
			}
			if now >= stop && !terminated {
				t.Fatalf("seed %d: %s at %d, past %d, and never told to end", seed, act, now, stop)
			}
			if wake := s.Wake(now); now < kill && (wake == 0 || wake > kill) {
				t.Fatalf("seed %d: wakes at %d, after %d", seed, wake, kill)
			}
		}
	}
}

package hastate

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"flink-ha-sidecar/leader"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func pauseOf(d time.Duration) leader.Pause {
	return leader.Pause{At: noon, Until: noon.Add(d), By: "ops", Reason: "upgrade"}
}

func TestDecodeTakesWhatParsesAndNamesWhatDoesNot(t *testing.T) {
	good := `"pause":{"at":"2026-01-01T12:00:00Z","until":"2026-01-01T12:30:00Z"},"members":[{"pod":"p","url":"http://p","since":"2026-01-01T12:00:00Z"}],"changes":[{"ended":{"generation":"g","holder":"h"}}]`
	for name, row := range map[string]struct {
		raw  string
		err  error
		says string
		// what is left
		paused           bool
		members, changes int
	}{
		"nothing at all":             {raw: ""},
		"an empty document":          {raw: `{"format":1}`},
		"all of it":                  {raw: `{"format":1,` + good + `}`, paused: true, members: 1, changes: 1},
		"half a document":            {raw: `{"format":1,`, err: ErrCorrupt, says: "unexpected EOF"},
		"no document":                {raw: "hello\nworld", err: ErrCorrupt, says: "invalid character"},
		"more after its end":         {raw: `{"format":1} x`, err: ErrCorrupt, says: "more after the end"},
		"no format":                  {raw: `{` + good + `}`, err: ErrCorrupt, says: "format 0"},
		"a later format":             {raw: `{"format":2,` + good + `,"more":1}`, err: ErrNewer, says: "2", paused: true, members: 1, changes: 1},
		"a pause that is a text":     {raw: `{"format":1,"pause":"yes","members":[{"pod":"p","url":"u"}]}`, err: ErrCorrupt, says: "pause: ", members: 1},
		"a pause without its end":    {raw: `{"format":1,"pause":{"at":"2026-01-01T12:00:00Z"}}`, err: ErrCorrupt, says: "pause: begin or end is missing"},
		"a pause that ends at first": {raw: `{"format":1,"pause":{"at":"2026-01-01T12:00:00Z","until":"2026-01-01T11:00:00Z"}}`, err: ErrCorrupt, says: "1h0m0s before it begins"},
		"a pause without end":        {raw: `{"format":1,"pause":{"at":"2026-01-01T12:00:00Z","until":"2036-01-01T11:00:00Z"}}`, err: ErrCorrupt, says: "longer than 24h"},
		"one bad change of three":    {raw: `{"format":1,"changes":[{"ended":{"generation":"a"}},7,{"ended":{"generation":"b"}}]}`, err: ErrCorrupt, says: "change 2: ", changes: 2},
		"one change twice":           {raw: `{"format":1,"changes":[{"ended":{"generation":"a"}},{"ended":{"generation":"a","counter":3}}]}`, changes: 1},
		"an aside that is none":      {raw: `{"format":1,"aside":[]}`, err: ErrCorrupt, says: "aside: "},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Decode([]byte(row.raw), noon)
			if !errors.Is(err, row.err) || (err == nil) != (row.err == nil) || err != nil && !strings.Contains(err.Error(), row.says) {
				t.Errorf("got error %v, want %v with %q", err, row.err, row.says)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("it is more than one line: %q", err)
			}
			if d.Pause.IsZero() == row.paused || len(d.Members) != row.members || len(d.Changes) != row.changes {
				t.Errorf("got %+v; want paused %t, %d members, %d changes", d, row.paused, row.members, row.changes)
			}
			if errors.Is(err, ErrCorrupt) != (d.Aside != nil) {
				t.Errorf("aside is %v with error %v", d.Aside, err)
			}
			if d.Aside != nil && strings.ReplaceAll(row.raw, "\n", " ") != d.Aside.Text {
				t.Errorf("aside holds %q, want %q", d.Aside.Text, row.raw)
			}
		})
	}
}

func TestDocumentStaysSmall(t *testing.T) {
	long := strings.Repeat("x\x00\"<", 500)
	d := Document{Aside: &Aside{Text: clip(long, maxAside)}}.WithPause(leader.Pause{At: noon, Until: noon.Add(time.Hour), By: long, Reason: long})
	for n := range 3 * MaxChanges {
		d = d.WithChange(Change{Ended: Term{Generation: long, Holder: fmt.Sprint(n, long), Acquired: long}, End: End{At: noon.Add(time.Duration(n) * time.Second), Reason: long}})
		d = d.WithMember(Member{Pod: fmt.Sprint(n, long), URL: fmt.Sprint(n), Since: noon.Add(time.Duration(n) * time.Second)})
	}
	if len(d.Changes) != MaxChanges || len(d.Members) != maxMembers {
		t.Errorf("%d changes and %d members, want %d and %d", len(d.Changes), len(d.Members), MaxChanges, maxMembers)
	}
	raw, err := d.Encode()
	if err != nil || len(raw) > MaxBytes {
		t.Fatalf("%d bytes, %v; want at most %d", len(raw), err, MaxBytes)
	}
	back, err := Decode(raw, noon)
	if err != nil || len(back.Changes) == 0 || !reflect.DeepEqual(back.Changes[len(back.Changes)-1], d.Changes[MaxChanges-1]) {
		t.Errorf("after encoding, %d changes, %v; want the newest kept", len(back.Changes), err)
	}
}

// A change as it really is takes so little that all of MaxChanges fit.
func TestHundredChangesFit(t *testing.T) {
	uuid := "0b9d0b3e-6a0f-4a2e-9f43-0123456789ab"
	var d Document
	for n := range MaxChanges {
		term := Term{Generation: uuid, Holder: fmt.Sprintf("%s%03d", uuid[:33], n), Acquired: "2026-01-01T00:00:00.123456Z", Counter: 1 << 40}
		d = d.WithChange(Change{Ended: term,
			End:  End{Cause: CauseDied, Outcome: "freed", Proof: "process", At: noon.Add(time.Duration(n) * time.Minute), Freed: noon, Pod: "flink-jobmanager-7d9c5b8f6-abcde"},
			Next: Next{Term: term, Address: "10.244.123.123:6123", Granted: noon, Published: noon, Pod: "flink-jobmanager-7d9c5b8f6-abcde"}})
	}
	raw, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, _ := Decode(raw, noon)
	if len(back.Changes) != MaxChanges {
		t.Errorf("%d changes are left in %d bytes, want %d", len(back.Changes), len(raw), MaxChanges)
	}
	t.Logf("%d bytes", len(raw))
}

func TestMemberIsOnePodAtOneAddress(t *testing.T) {
	at := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Second) }
	d := Document{}.WithMember(Member{"a", "http://1", at(1)}).WithMember(Member{"b", "http://2", at(2)})
	if again := d.WithMember(Member{"a", "http://1", at(9)}); !reflect.DeepEqual(again, d) {
		t.Errorf("the same member changed %v to %v", d.Members, again.Members)
	}
	d = d.WithMember(Member{"a", "http://3", at(3)}) // moved
	d = d.WithMember(Member{"c", "http://2", at(4)}) // an address that is used again
	if len(d.Members) != 2 || d.Members[0].URL != "http://3" || d.Members[1].Pod != "c" {
		t.Errorf("got %v, want a at 3 and c at 2", d.Members)
	}
}

// anyChange draws a report of one of a few changes.
func anyChange(r *rand.Rand) Change {
	at := func() time.Time {
		if r.IntN(3) == 0 {
			return time.Time{}
		}
		return noon.Add(time.Duration(r.IntN(4)) * time.Second)
	}
	name := func(of ...string) string { return of[r.IntN(len(of))] }
	term := func(holder string) Term {
		return Term{Generation: name("g", "g", "k"), Holder: holder, Acquired: name("", "1"), Counter: uint64(r.IntN(3))}
	}
	c := Change{Ended: term(name("", "a", "b"))}
	if r.IntN(3) > 0 {
		c.End = End{Cause: causes[r.IntN(len(causes))], Outcome: name("", "freed", "vacated"), Proof: name("", "process"), At: at(), Freed: at(), Pod: name("p", "q")}
	}
	if r.IntN(3) > 0 {
		c.Next = Next{Term: term(name("c", "d")), Address: name("", "1:1"), Granted: at(), Published: at(), Pod: name("p", "q")}
	}
	return c.bounded()
}

func TestJoinIsTheSameInAnyOrder(t *testing.T) {
	for seed := range uint64(5000) {
		r := rand.New(rand.NewPCG(seed, 7))
		a, b, c := anyChange(r), anyChange(r), anyChange(r)
		b.Ended, c.Ended = withCounter(a.Ended, b.Ended.Counter), withCounter(a.Ended, c.Ended.Counter)
		if got, want := a.Join(b), b.Join(a); got != want {
			t.Fatalf("seed %d: not commutative:\n%+v\n%+v", seed, got, want)
		}
		if got, want := a.Join(b).Join(c), a.Join(b.Join(c)); got != want {
			t.Fatalf("seed %d: not associative:\n%+v\n%+v", seed, got, want)
		}
		if got := a.Join(a); got != a {
			t.Fatalf("seed %d: not idempotent:\n%+v\n%+v", seed, got, a)
		}
	}
}

func withCounter(t Term, c uint64) Term { t.Counter = c; return t }

func TestDocumentsAreTheSameInAnyOrderOfWritesAndSurviveEncoding(t *testing.T) {
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 8))
		all := make([]Change, 1+r.IntN(12))
		for i := range all {
			all[i] = anyChange(r)
		}
		build := func(d Document, changes []Change) Document {
			for _, c := range changes {
				d = d.WithChange(c)
			}
			return d
		}
		first := build(Document{}, all)
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		second := build(build(Document{}, all), all[:len(all)/2])
		if !reflect.DeepEqual(first, second) {
			t.Fatalf("seed %d: the order of writes shows:\n%+v\n%+v", seed, first, second)
		}
		raw, err := first.WithPause(pauseOf(time.Hour)).Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := Decode(raw, noon)
		if err != nil {
			t.Fatalf("seed %d: %v in %s", seed, err, raw)
		}
		again, err := back.Encode()
		if err != nil || string(again) != string(raw) {
			t.Fatalf("seed %d: encoded again: %v\n%s\n%s", seed, err, raw, again)
		}
	}
}

// FuzzDecode: whatever is in the store, it is read without harm, is bounded, and what
// is written after it reads back without complaint.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{"", "{}", `{"format":1,"changes":[{}]}`, `{"format":1,"pause":{"at":"9999-12-31T23:59:59-23:00","until":"9999-12-31T23:59:59-23:59"}}`, `{"format":3}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := Decode(raw, noon)
		if errors.Is(err, ErrNewer) {
			return
		}
		out, err := d.Encode()
		if err != nil || len(out) > MaxBytes || !json.Valid(out) {
			t.Fatalf("%d bytes, %v", len(out), err)
		}
		if _, err := Decode(out, noon); err != nil {
			t.Fatalf("what was written does not parse: %v: %s", err, out)
		}
	})
}

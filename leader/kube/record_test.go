package kube

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

const holder = "5f3c1a52-9f0e-4a57-9d7c-6f2f0a0c9b11"

// The records of each fabric8 generation, as their Flink writes them.
var written = map[string]string{
	"Flink 2.3":  `{"holderIdentity":"` + holder + `","leaseDuration":"PT15S","acquireTime":"2026-01-01T00:00:00.123456Z","renewTime":"2026-01-01T00:00:07.000100Z","leaderTransitions":3}`,
	"Flink 1.20": `{"holderIdentity":"` + holder + `","leaseDuration":"PT3M","acquireTime":"2026-01-01T00:00:00.000000Z","renewTime":"2026-01-01T00:00:07.100000Z","leaderTransitions":0}`,
	"Flink 1.18": `{"holderIdentity":"` + holder + `","leaseDuration":15.000000000,"acquireTime":"2026-01-01T00:00:00.120000Z","renewTime":"2026-01-01T00:00:07.123450Z","leaderTransitions":1}`,
}

func TestFreedRecordKeepsEverythingButHolderAndRenewal(t *testing.T) {
	t.Parallel()
	for name, annotation := range written {
		r, err := ParseRecord(annotation)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := r.Freed()
		want := strings.Replace(annotation, holder, "", 1)
		from := strings.Index(want, `"renewTime":"`) + len(`"renewTime":"`)
		want = want[:from] + "1970-01-01T00:00:00.000000Z" + want[from+len("1970-01-01T00:00:00.000000Z"):]
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
		if strings.Contains(got, holder) { // Flink asks whether the annotation contains its UUID
			t.Errorf("%s: the dead holder is still in %s", name, got)
		}
		if again, err := ParseRecord(got); err != nil || again.Holder != "" {
			t.Errorf("%s: the freed record reads as %+v, %v", name, again, err)
		}
	}
}

func TestParseRecordReadsEachGeneration(t *testing.T) {
	t.Parallel()
	for name, lease := range map[string]time.Duration{"Flink 2.3": 15 * time.Second, "Flink 1.20": 3 * time.Minute, "Flink 1.18": 15 * time.Second} {
		r, err := ParseRecord(written[name])
		if err != nil || r.Holder != holder || r.Lease != lease {
			t.Errorf("%s: holder %q lease %v, %v; want %q, %v", name, r.Holder, r.Lease, err, holder, lease)
		}
		if got := r.Renewed.Sub(r.Acquired); got < 6*time.Second || got > 8*time.Second {
			t.Errorf("%s: renewed %v after it was acquired, want 7 s", name, got)
		}
	}
}

// unreadable are records that must be left alone, by what is wrong with them.
// Flink cannot read them either (TestIntegrationFlinkReadsWhatWeWrite), except
// for those marked ours.
var unreadable = []struct {
	name, annotation string
	ours             bool
}{
	{name: "empty", annotation: ``},
	{name: "not JSON", annotation: `holder`},
	{name: "cut off", annotation: `{"holderIdentity":"` + holder + `","leaseDuration":"PT15S"`},
	{name: "a list", annotation: `[]`},
	{name: "time with nine digits", annotation: record(`"PT15S"`, `"2026-01-01T00:00:00.123456789Z"`)},
	{name: "time with trimmed zeros", annotation: record(`"PT15S"`, `"2026-01-01T00:00:00.1Z"`)},
	{name: "time with an offset", annotation: record(`"PT15S"`, `"2026-01-01T00:00:00.123456+01:00"`)},
	{name: "lease as a string of seconds", annotation: record(`"15"`, `"2026-01-01T00:00:00.123456Z"`)},
	{name: "lease missing", annotation: `{"holderIdentity":"` + holder + `","acquireTime":"2026-01-01T00:00:00.123456Z","renewTime":"2026-01-01T00:00:00.123456Z","leaderTransitions":0}`},
	{name: "renewal missing", annotation: `{"holderIdentity":"` + holder + `","leaseDuration":"PT15S","acquireTime":"2026-01-01T00:00:00.123456Z","leaderTransitions":0}`},
	{name: "acquisition missing", annotation: `{"holderIdentity":"` + holder + `","leaseDuration":"PT15S","renewTime":"2026-01-01T00:00:00.123456Z","leaderTransitions":0}`},
	{name: "an unknown field", annotation: strings.Replace(written["Flink 2.3"], `}`, `,"strategy":"x"}`, 1)},
	{name: "a lease of nothing", annotation: record(`"PT0S"`, `"2026-01-01T00:00:00.123456Z"`), ours: true},
	{name: "a field twice", annotation: strings.Replace(written["Flink 2.3"], `}`, `,"holderIdentity":"other"}`, 1), ours: true},
	{name: "something behind it", annotation: written["Flink 2.3"] + `{}`, ours: true},
}

func record(lease, renewed string) string {
	return fmt.Sprintf(`{"holderIdentity":%q,"leaseDuration":%s,"acquireTime":"2026-01-01T00:00:00.123456Z","renewTime":%s,"leaderTransitions":0}`, holder, lease, renewed)
}

func TestParseRecordRefusesWhatFlinkCannotRead(t *testing.T) {
	t.Parallel()
	for _, tt := range unreadable {
		if r, err := ParseRecord(tt.annotation); err == nil {
			t.Errorf("%s: read as %+v, want an error", tt.name, r)
		}
	}
}

func TestParseRecordTakesAnAbsentHolderAsFree(t *testing.T) {
	t.Parallel()
	for _, h := range []string{`"holderIdentity":"",`, `"holderIdentity":null,`, ``} {
		r, err := ParseRecord(`{` + h + `"leaseDuration":"PT15S","acquireTime":"2026-01-01T00:00:00.123456Z","renewTime":"2026-01-01T00:00:00.123456Z","leaderTransitions":0}`)
		if err != nil || r.Holder != "" {
			t.Errorf("with %q: holder %q, %v; want none", h, r.Holder, err)
		}
	}
}

// FuzzParseRecord: whatever is accepted can be freed into something accepted,
// without its holder and with all else unchanged.
func FuzzParseRecord(f *testing.F) {
	for _, w := range written {
		f.Add(w)
	}
	for _, u := range unreadable {
		f.Add(u.annotation)
	}
	f.Fuzz(func(t *testing.T, annotation string) {
		r, err := ParseRecord(annotation)
		if err != nil {
			return
		}
		freed, err := ParseRecord(r.Freed())
		if err != nil {
			t.Fatalf("%q is freed as %q: %v", annotation, r.Freed(), err)
		}
		if freed.Holder != "" || freed.Lease != r.Lease || freed.AcquiredRaw != r.AcquiredRaw {
			t.Fatalf("%q is freed as %q", annotation, r.Freed())
		}
	})
}

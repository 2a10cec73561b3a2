package leadertest

import (
	"strings"
	"testing"
	"time"
)

func TestParseRecordTakesWhatFlinkWrites(t *testing.T) {
	for name, text := range map[string]string{
		"fabric8 7 of Flink 2.3":    `{"holderIdentity":"a-b","leaseDuration":"PT15S","acquireTime":"2026-01-01T00:00:00.123456Z","renewTime":"2026-01-01T00:00:05.000000Z","leaderTransitions":3}`,
		"fabric8 6.6 of Flink 1.18": `{"holderIdentity":"a-b","leaseDuration":15.0,"acquireTime":"2026-01-01T00:00:00.123456Z","renewTime":"2026-01-01T00:00:05.000000Z","leaderTransitions":3}`,
		"three minutes of lease":    `{"holderIdentity":"a-b","leaseDuration":"PT3M","acquireTime":"2026-01-01T00:00:00.123456Z","renewTime":"2026-01-01T00:00:05.000000Z","leaderTransitions":3}`,
		"fields in another order":   `{"leaderTransitions":3,"renewTime":"2026-01-01T00:00:05.000000Z","acquireTime":"2026-01-01T00:00:00.123456Z","leaseDuration":"PT15S","holderIdentity":"a-b"}`,
	} {
		t.Run(name, func(t *testing.T) {
			r, err := ParseRecord(text)
			if err != nil {
				t.Fatal(err)
			}
			if r.Holder != "a-b" || r.Transitions != 3 || r.Acquired != "2026-01-01T00:00:00.123456Z" || r.Renewed != "2026-01-01T00:00:05.000000Z" {
				t.Errorf("parsed %+v", r)
			}
			if d, err := r.LeaseDuration(); err != nil || d < 15*time.Second {
				t.Errorf("lease %v, %v", d, err)
			}
			if again, err := ParseRecord(r.Freed().String()); err != nil || again.Holder != "" || again.Acquired != r.Acquired || again.Lease != r.Lease {
				t.Errorf("freed: %+v, %v", again, err)
			}
		})
	}
}

// Each of these would block the election of some Flink for ever.
func TestParseRecordRefusesWhatFlinkCannotRead(t *testing.T) {
	whole := NewRecord("a", 15*time.Second, epoch.Add(123456*time.Microsecond)).String()
	if _, err := ParseRecord(whole); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"nothing":                              "",
		"an empty object":                      "{}",
		"a time with its zeros trimmed":        strings.Replace(whole, ".123456Z", ".123Z", 1),
		"a time without a fraction":            strings.Replace(whole, ".123456Z", "Z", 1),
		"a time with an offset":                strings.Replace(whole, ".123456Z", ".123456+00:00", 1),
		"a lease that is a string of a number": strings.Replace(whole, `"PT15S"`, `"15"`, 1),
		"no lease":                             strings.Replace(whole, `"leaseDuration":"PT15S",`, "", 1),
		"no acquire time":                      strings.Replace(whole, `"acquireTime":"2026-01-01T00:00:00.123456Z",`, "", 1),
		"a holder that is null":                strings.Replace(whole, `"a"`, "null", 1),
		"an unknown field":                     strings.Replace(whole, `{`, `{"preferredHolder":"x",`, 1),
		"something after the object":           whole + "{}",
	} {
		if r, err := ParseRecord(text); err == nil {
			t.Errorf("%s: taken as %+v", name, r)
		}
	}
}

package standin

import (
	"testing"
	"time"
)

func TestRecordReadsAsFlinkWritesIt(t *testing.T) {
	holder := "a841f047-94a5-4b3e-8103-fe6a3b3c42dc"
	at := time.Date(2026, 11, 22, 21, 59, 8, 578200000, time.UTC)
	r := record{
		HolderIdentity: &holder, LeaseDuration: formatDuration(15 * time.Second), AcquireTime: formatTime(at),
		RenewTime: formatTime(at.Add(11 * time.Second)), LeaderTransitions: 3,
	}
	want := `{"holderIdentity":"a841f047-94a5-4b3e-8103-fe6a3b3c42dc","leaseDuration":"PT15S",` +
		`"acquireTime":"2026-11-22T21:59:08.578200Z","renewTime":"2026-11-22T21:59:19.578200Z","leaderTransitions":3}`
	if got := r.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	back, err := parseRecord(want)
	if err != nil || !back.heldBy(holder) || back.AcquireTime != r.AcquireTime || back.RenewTime != r.RenewTime || back.LeaderTransitions != 3 {
		t.Errorf("read back: %v, %v", back, err)
	}
}

func TestFormatDurationAsJavaDoes(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "PT0S", 15 * time.Second: "PT15S", 3 * time.Minute: "PT3M", 90 * time.Second: "PT1M30S", 400 * time.Millisecond: "PT0.4S",
		time.Hour: "PT1H", 2500 * time.Millisecond: "PT2.5S", 10 * time.Second: "PT10S",
	} {
		if got := formatDuration(d); got != want {
			t.Errorf("formatDuration(%v) = %s, want %s", d, got, want)
		}
	}
}

func TestParseRecordRefusesWhatFlinkCannotRead(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":          ``,
		"an unknown field": `{"holderIdentity":"a","leaseDuration":"PT15S","acquireTime":"2026-01-01T00:00:00.000000Z","renewTime":"2026-01-01T00:00:00.000000Z","leaderTransitions":0,"x":1}`,
		"fewer digits":     `{"holderIdentity":"a","leaseDuration":"PT15S","acquireTime":"2026-01-01T00:00:00.123456Z","renewTime":"2026-01-01T00:00:00.12Z","leaderTransitions":0}`,
		"no time":          `{"holderIdentity":"a","leaseDuration":"PT15S","acquireTime":"2026-01-01T00:00:00.123456Z","leaderTransitions":0}`,
	} {
		if r, err := parseRecord(text); err == nil {
			t.Errorf("%s: read as %v", name, r)
		}
	}
}

func TestFree(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 1, 0, 0, time.UTC)
	const at = `"leaseDuration":15.000000000,"acquireTime":"2026-01-01T00:00:00.000000Z","renewTime":"2026-01-01T00:00:50.000000Z","leaderTransitions":0}`
	for name, row := range map[string]struct {
		text  string
		lease time.Duration
		want  bool
	}{
		"held within the lease":                      {`{"holderIdentity":"a",` + at, 15 * time.Second, false},
		"past by the contender's own lease, not its": {`{"holderIdentity":"a",` + at, 5 * time.Second, true},
		"at the very end of the lease":               {`{"holderIdentity":"a",` + at, 10 * time.Second, true},
		"freed by hand":                              {`{"holderIdentity":"",` + at, 15 * time.Second, true},
		"released":                                   {`{"holderIdentity":null,` + at, 15 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := parseRecord(row.text)
			if err != nil {
				t.Fatal(err)
			}
			if got := r.free(row.lease, now); got != row.want {
				t.Errorf("free: %v, want %v", got, row.want)
			}
		})
	}
}

package vvp

import (
	"strings"
	"testing"
	"time"
)

// aRecord is one as a leader writes it.
func aRecord() Record {
	return Record{
		Holder: "jm-0/3f2a91c04be7d215.7", Counter: 7, Renewals: 12, LeaseMS: 15_000,
		Acquired: "2026-01-01T00:00:00.000000Z", Renewed: "2026-01-01T00:00:24.500000Z",
		Published: map[string]Published{"restserver": {Address: "http://10.0.0.5:8081"}},
	}
}

func TestRecordIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	text := aRecord().Text("uid-1")
	r, err := ParseRecord("uid-1", text)
	if err != nil {
		t.Fatal(err)
	}
	if again := r.Text("uid-1"); again != text {
		t.Errorf("written %s, read and written again %s", text, again)
	}
	freed, err := ParseRecord("uid-1", r.Freed(time.Unix(1e9, 0)).Text("uid-1"))
	if err != nil || freed.Holder != "" || freed.Counter != 7 || freed.Published != nil {
		t.Errorf("given back it is %+v, %v", freed, err)
	}
}

func TestWhatNoSidecarWroteIsNoRecord(t *testing.T) {
	t.Parallel()
	text := aRecord().Text("uid-1")
	if _, err := ParseRecord("uid-2", text); err == nil || !strings.Contains(err.Error(), "copied from another object") {
		t.Errorf("the record of another object: %v", err)
	}
	for name, row := range map[string]struct{ text, says string }{
		"empty":             {"", "not JSON"},
		"half":              {text[:len(text)/2], "not JSON"},
		"holder taken out":  {strings.Replace(text, aRecord().Holder, "", 1), "sum"},
		"another holder":    {strings.Replace(text, "jm-0", "jm-1", 1), "sum"},
		"spaces":            {strings.Replace(text, ":", ": ", 1), "sum"},
		"a line at the end": {text + "\n", "sum"},
		"an unknown field":  {strings.Replace(text, "{", `{"x":1,`, 1), "unknown field"},
		"another format":    {strings.Replace(text, `"format":1`, `"format":2`, 1), "format 2"},
		"no counter":        {strings.Replace(text, `"counter":7`, `"counter":0`, 1), "counter"},
		"an endless lease":  {strings.Replace(text, `15000`, `9999999999`, 1), "lease_ms"},
		"nanoseconds":       {strings.Replace(text, "24.500000Z", "24.5Z", 1), "time"},
		"much too long":     {text + strings.Repeat(" ", maxRecord), "bytes"},
	} {
		if _, err := ParseRecord("uid-1", row.text); err == nil || !strings.Contains(err.Error(), row.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want one line with %q", name, err, row.says)
		}
	}
}

func TestTimingsThatDoNotGoTogetherAreRefused(t *testing.T) {
	t.Parallel()
	d := DefaultTiming()
	if err := d.Validate(); err != nil {
		t.Fatal(err)
	}
	if kill := d.KillAfter().Truncate(time.Millisecond); kill != 12_621*time.Millisecond {
		t.Errorf("of 15 s SIGKILL is due at %v, want 12.621s", kill)
	}
	for says, change := range map[string]func(*Timing){
		"so the renew deadline is at most 12.121s": func(t *Timing) { t.RenewDeadline = 12500 * time.Millisecond },
		"lease duration 11s with renew":            func(t *Timing) { t.Lease = 11 * time.Second },
		"more than 1.2 times":                      func(t *Timing) { t.RetryPeriod = 9 * time.Second },
		"at least 50ms":                            func(t *Timing) { t.RetryPeriod = 0 },
		"at least 100ms":                           func(t *Timing) { t.KillTime = 0 },
		"at most 1h0m0s":                           func(t *Timing) { t.Lease = 2 * time.Hour },
		"must not cost the lease":                  func(t *Timing) { t.CallTimeout = 10 * time.Second },
	} {
		timing := d
		change(&timing)
		if err := timing.Validate(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v, want %q", timing, err, says)
		}
	}
}

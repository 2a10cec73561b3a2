package standin

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// record is fabric8's LeaderElectionRecord, its fields in the order in which
// Flink 2.3 writes them.
type record struct {
	HolderIdentity    *string `json:"holderIdentity"` // null once released
	LeaseDuration     string  `json:"leaseDuration"`
	AcquireTime       string  `json:"acquireTime"`
	RenewTime         string  `json:"renewTime"`
	LeaderTransitions int     `json:"leaderTransitions"`
}

// timeLayout is the only form that fabric8 reads: six digits, never fewer.
const timeLayout = "2006-01-02T15:04:05.000000Z"

func formatTime(t time.Time) string { return t.UTC().Format(timeLayout) }

// formatDuration writes a duration as Java's Duration does: PT15S, PT3M, PT0.4S.
func formatDuration(d time.Duration) string {
	if d == 0 {
		return "PT0S"
	}
	var b strings.Builder
	b.WriteString("PT")
	if h := d / time.Hour; h > 0 {
		fmt.Fprintf(&b, "%dH", h)
	}
	if m := d % time.Hour / time.Minute; m > 0 {
		fmt.Fprintf(&b, "%dM", m)
	}
	if s := d % time.Minute; s > 0 {
		text := fmt.Sprintf("%d.%09d", s/time.Second, s%time.Second)
		b.WriteString(strings.TrimRight(strings.TrimRight(text, "0"), ".") + "S")
	}
	return b.String()
}

// parseRecord reads a record as fabric8 does, which knows no further fields and
// no other form of a time. The lease's duration is not read: each contender goes
// by its own.
func parseRecord(text string) (record, error) {
	var r struct {
		record
		LeaseDuration json.RawMessage `json:"leaseDuration"`
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		return record{}, fmt.Errorf("parse record: %w", err)
	}
	for _, t := range []string{r.AcquireTime, r.RenewTime} {
		if _, err := time.Parse(timeLayout, t); err != nil || len(t) != len(timeLayout) {
			return record{}, fmt.Errorf("parse record: time %q", t)
		}
	}
	return r.record, nil
}

func (r record) heldBy(identity string) bool {
	return r.HolderIdentity != nil && *r.HolderIdentity == identity
}

// free tells whether a contender with this lease duration may take the lock.
func (r record) free(lease time.Duration, now time.Time) bool {
	if r.HolderIdentity == nil || *r.HolderIdentity == "" {
		return true
	}
	renewed, err := time.Parse(timeLayout, r.RenewTime)
	return err == nil && !renewed.Add(lease).After(now)
}

func (r record) String() string {
	text, err := json.Marshal(r)
	if err != nil {
		return err.Error() // no such value exists
	}
	return string(text)
}

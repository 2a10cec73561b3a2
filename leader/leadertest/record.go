package leadertest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// TimeFormat is how fabric8 writes times, and the only form that its parsers
// take: UTC with exactly six digits.
const TimeFormat = "2006-01-02T15:04:05.000000Z"

// freedAt is the renewTime of a freed record. fabric8 5.x looks at nothing
// else to tell that a lock may be taken.
const freedAt = "1970-01-01T00:00:00.000000Z"

// Record is one election record as fabric8 writes it.
type Record struct {
	// Holder is the UUID of the elector that holds the lock, empty if nobody does.
	Holder string
	// Lease is leaseDuration as it stands in the JSON, quotes included:
	// "PT15S" of fabric8 7, 15.0 of fabric8 6.6.
	Lease string
	// Acquired and Renewed are in TimeFormat.
	Acquired, Renewed string
	Transitions       int
}

// NewRecord returns the record of a lock taken at the given time.
func NewRecord(holder string, lease time.Duration, at time.Time) Record {
	stamp := at.UTC().Format(TimeFormat)
	return Record{Holder: holder, Lease: isoDuration(lease), Acquired: stamp, Renewed: stamp}
}

// String is the record's JSON, fields in fabric8's order.
func (r Record) String() string {
	return `{"holderIdentity":` + strconv.Quote(r.Holder) + `,"leaseDuration":` + r.Lease +
		`,"acquireTime":"` + r.Acquired + `","renewTime":"` + r.Renewed + `","leaderTransitions":` + strconv.Itoa(r.Transitions) + `}`
}

// Renew returns the record renewed at the given time.
func (r Record) Renew(at time.Time) Record {
	r.Renewed = at.UTC().Format(TimeFormat)
	return r
}

// Freed returns the record that frees the lock: what every supported Flink
// reads as free.
func (r Record) Freed() Record {
	r.Holder, r.Renewed = "", freedAt
	return r
}

// LeaseDuration returns leaseDuration, or an error if Flink could not read it.
func (r Record) LeaseDuration() (time.Duration, error) {
	if iso, quoted := strings.CutPrefix(r.Lease, `"`); quoted {
		iso = strings.TrimSuffix(iso, `"`)
		rest, ok := strings.CutPrefix(iso, "PT")
		if !ok || rest == "" {
			return 0, fmt.Errorf("parse leaseDuration %s: not an ISO 8601 duration", r.Lease)
		}
		return time.ParseDuration(strings.ToLower(rest))
	}
	seconds, err := strconv.ParseFloat(r.Lease, 64)
	if err != nil {
		return 0, fmt.Errorf("parse leaseDuration %s: %w", r.Lease, err)
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

// exactTime says whether text is in TimeFormat to the letter.
func exactTime(text string) bool {
	t, err := time.Parse(TimeFormat, text)
	return err == nil && t.Format(TimeFormat) == text
}

// parseOwn reads what String writes, and nothing else, in a tenth of the time.
func parseOwn(text string) (r Record, ok bool) {
	rest := text
	next := func(prefix, end string) (value string) {
		after, found := strings.CutPrefix(rest, prefix)
		value, rest, ok = strings.Cut(after, end)
		ok = ok && found
		return value
	}
	if r.Holder = next(`{"holderIdentity":"`, `",`); !ok {
		return r, false
	}
	if r.Lease = next(`"leaseDuration":`, `,`); !ok {
		return r, false
	}
	if r.Acquired = next(`"acquireTime":"`, `",`); !ok || !exactTime(r.Acquired) {
		return r, false
	}
	if r.Renewed = next(`"renewTime":"`, `",`); !ok || !exactTime(r.Renewed) {
		return r, false
	}
	transitions, err := strconv.Atoi(next(`"leaderTransitions":`, `}`))
	if r.Transitions = transitions; !ok || err != nil || rest != "" {
		return r, false
	}
	_, err = r.LeaseDuration()
	return r, err == nil && r.String() == text
}

// ParseRecord reads a record as the strictest of Flink's parsers does: no
// unknown field, none missing, times in TimeFormat and nothing else, a lease
// that is a number or an ISO 8601 duration. Whatever it refuses would block
// the election for ever.
func ParseRecord(text string) (Record, error) {
	if r, ok := parseOwn(text); ok {
		return r, nil
	}
	var raw struct {
		Holder      *string         `json:"holderIdentity"`
		Lease       json.RawMessage `json:"leaseDuration"`
		Acquired    *string         `json:"acquireTime"`
		Renewed     *string         `json:"renewTime"`
		Transitions *int            `json:"leaderTransitions"`
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&raw); err != nil {
		return Record{}, fmt.Errorf("parse election record: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Record{}, errors.New("parse election record: something follows the object")
	}
	switch {
	case raw.Holder == nil, raw.Lease == nil, raw.Acquired == nil, raw.Renewed == nil, raw.Transitions == nil:
		return Record{}, errors.New("parse election record: a field is missing or null")
	case !exactTime(*raw.Acquired):
		return Record{}, fmt.Errorf("parse election record: acquireTime %q", *raw.Acquired)
	case !exactTime(*raw.Renewed):
		return Record{}, fmt.Errorf("parse election record: renewTime %q", *raw.Renewed)
	}
	r := Record{Holder: *raw.Holder, Lease: string(raw.Lease), Acquired: *raw.Acquired, Renewed: *raw.Renewed, Transitions: *raw.Transitions}
	if _, err := r.LeaseDuration(); err != nil {
		return Record{}, err
	}
	return r, nil
}

// isoDuration writes d as java.time.Duration does, in quotes.
func isoDuration(d time.Duration) string {
	var b strings.Builder
	b.WriteString(`"PT`)
	if h := d / time.Hour; h > 0 {
		fmt.Fprintf(&b, "%dH", h)
	}
	if m := d % time.Hour / time.Minute; m > 0 {
		fmt.Fprintf(&b, "%dM", m)
	}
	if s := d % time.Minute; s > 0 || d == 0 {
		b.WriteString(strconv.FormatFloat(s.Seconds(), 'f', -1, 64) + "S")
	}
	b.WriteString(`"`)
	return b.String()
}

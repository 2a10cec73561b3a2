package kube

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Annotation holds the election record (fabric8 ConfigMapLock, the name is that
// of client-go's resourcelock).
const Annotation = "control-plane.alpha.kubernetes.io/leader"

// TimeLayout is the only form of a time that every fabric8 generation reads:
// yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z' (LeaderElectionRecord). Go's RFC3339Nano
// trims zeros and would block the election for ever.
const TimeLayout = "2006-01-02T15:04:05.000000Z"

// freedTime is the renewTime of a record that is free: fabric8 5.x looks at
// nothing else.
const freedTime = "1970-01-01T00:00:00.000000Z"

// The fields of a record, all that Flink's parser knows: any other one makes it
// fail.
const (
	fieldHolder      = "holderIdentity"
	fieldLease       = "leaseDuration"
	fieldAcquired    = "acquireTime"
	fieldRenewed     = "renewTime"
	fieldTransitions = "leaderTransitions"
)

// Record is an election record as some fabric8 has written it.
type Record struct {
	// Holder is the JobManager's UUID; empty when the lock is free.
	Holder string
	// Lease is the leaseDuration: "PT15S" (fabric8 6.9 and later) or seconds as a
	// number, 15.0 (before).
	Lease    time.Duration
	Acquired time.Time
	Renewed  time.Time
	// AcquiredRaw is the acquireTime as written: part of the tenure's name.
	AcquiredRaw string
	// fields keeps every value byte for byte, in the order they stood.
	fields []field
}

type field struct {
	name string
	raw  json.RawMessage
}

// ParseRecord reads a record as strictly as Flink does: what Flink could not
// read is an error here, and such a record must be left alone.
func ParseRecord(annotation string) (Record, error) {
	if strings.TrimSpace(annotation) == "" {
		return Record{}, errors.New("it is empty")
	}
	fields, err := splitObject(annotation)
	if err != nil {
		return Record{}, err
	}
	r := Record{fields: fields}
	var holder *string
	for _, f := range fields {
		switch f.name {
		case fieldHolder:
			err = json.Unmarshal(f.raw, &holder)
		case fieldLease:
			r.Lease, err = parseLease(f.raw)
		case fieldAcquired:
			r.AcquiredRaw = string(f.raw)
			r.Acquired, err = parseTime(f.raw)
		case fieldRenewed:
			r.Renewed, err = parseTime(f.raw)
		case fieldTransitions:
			err = json.Unmarshal(f.raw, new(int64))
		default:
			err = errors.New("a field that Flink does not know")
		}
		if err != nil {
			return Record{}, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	if holder != nil {
		r.Holder = *holder
	}
	return r, r.complete()
}

// complete names what is missing.
func (r Record) complete() error {
	for _, name := range []string{fieldLease, fieldAcquired, fieldRenewed} {
		if !r.has(name) {
			return fmt.Errorf("%s is missing", name)
		}
	}
	return nil
}

func (r Record) has(name string) bool {
	for _, f := range r.fields {
		if f.name == name {
			return true
		}
	}
	return false
}

// Freed returns the record that frees the lock: no holder, a renewTime long
// past, and everything else byte for byte as it was.
func (r Record) Freed() string {
	var b bytes.Buffer
	b.WriteString(`{"` + fieldHolder + `":""`)
	for _, f := range r.fields {
		switch f.name {
		case fieldHolder:
			continue
		case fieldRenewed:
			f.raw = json.RawMessage(`"` + freedTime + `"`)
		}
		fmt.Fprintf(&b, ",%q:%s", f.name, f.raw)
	}
	b.WriteByte('}')
	return b.String()
}

// splitObject reads one JSON object and keeps the bytes of its values.
func splitObject(text string) ([]field, error) {
	dec := json.NewDecoder(strings.NewReader(text))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("it is not a JSON object")
	}
	var fields []field
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("not JSON: %w", err)
		}
		name, _ := key.(string)
		f := field{name: name}
		if err := dec.Decode(&f.raw); err != nil {
			return nil, fmt.Errorf("not JSON at %s: %w", name, err)
		}
		for _, seen := range fields {
			if seen.name == name {
				return nil, fmt.Errorf("%s stands there twice", name)
			}
		}
		fields = append(fields, f)
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON object")
	}
	return fields, nil
}

var timePattern = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$`)

func parseTime(raw json.RawMessage) (time.Time, error) {
	var s string
	if err := json.Unmarshal(raw, &s); err != nil || !timePattern.MatchString(s) {
		return time.Time{}, fmt.Errorf("%s is not a time as in %q", raw, TimeLayout)
	}
	return time.Parse(TimeLayout, s)
}

var durationPattern = regexp.MustCompile(`^PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d{1,9})?)S)?$`)

// parseLease reads both forms of a java.time.Duration that Jackson writes.
func parseLease(raw json.RawMessage) (time.Duration, error) {
	bad := fmt.Errorf("%s is neither seconds as a number nor an ISO-8601 duration of hours, minutes and seconds", raw)
	if len(raw) > 0 && raw[0] != '"' {
		seconds, err := strconv.ParseFloat(string(raw), 64)
		if err != nil || seconds <= 0 || seconds > maxLeaseSeconds {
			return 0, bad
		}
		return time.Duration(seconds * float64(time.Second)), nil
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return 0, bad
	}
	m := durationPattern.FindStringSubmatch(s)
	if m == nil || s == "PT" {
		return 0, bad
	}
	var seconds float64
	for i, unit := range []float64{3600, 60, 1} {
		if m[i+1] != "" {
			n, err := strconv.ParseFloat(m[i+1], 64)
			if err != nil {
				return 0, bad
			}
			seconds += n * unit
		}
	}
	if seconds <= 0 || seconds > maxLeaseSeconds {
		return 0, bad
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

// maxLeaseSeconds keeps a lease within what a time.Duration can hold, by far.
const maxLeaseSeconds = 366 * 24 * 3600

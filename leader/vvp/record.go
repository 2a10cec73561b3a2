package vvp

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"flink-ha-sidecar/leader"
)

const (
	// recordFormat is the version of Record.
	recordFormat = 1
	// maxRecord bounds the text, maxName and maxAddress parts of it.
	maxRecord, maxName, maxAddress = 4 << 10, 512, 512
	// timeFormat is that of the times, which are for people and for equality alone.
	timeFormat = "2006-01-02T15:04:05.000000Z"
)

// Record is the lock. It is written as one line of JSON in exactly the form that
// Text gives; any other text is not a record.
type Record struct {
	Format int `json:"format"`
	// Holder is the pod, the run of its sidecar and the tenure, as in
	// jm-0/3f2a91c04be7d215.7; empty if its holder has given the lock back.
	Holder string `json:"holder"`
	// Counter numbers the tenures of one object, Renewals the writes of one tenure.
	Counter  uint64 `json:"counter"`
	Renewals uint64 `json:"renewals"`
	// Acquired and Renewed are by the holder's wall clock, for people.
	Acquired string `json:"acquired"`
	Renewed  string `json:"renewed"`
	// LeaseMS is the holder's lease, in milliseconds.
	LeaseMS int64 `json:"lease_ms"`
	// Published is where the leader can be reached, by component.
	Published map[string]Published `json:"published,omitempty"`
	// Sum ties the text to its object: a record that was edited by hand, or copied
	// from another object, is none. It keeps mistakes out, not attackers.
	Sum string `json:"sum"`
}

// Published is one address, as Flink would publish it.
type Published struct {
	Session string `json:"session,omitempty"`
	Address string `json:"address"`
}

// Text is the record as it stands in the object with this uid.
func (r Record) Text(uid string) string {
	r.Format, r.Sum = recordFormat, ""
	r.Sum = r.sum(uid)
	return string(r.json())
}

func (r Record) json() []byte {
	raw, err := json.Marshal(r)
	if err != nil {
		panic(err) // strings and numbers
	}
	return raw
}

func (r Record) sum(uid string) string {
	r.Sum = ""
	h := sha256.Sum256(append([]byte(uid+"\n"), r.json()...))
	return hex.EncodeToString(h[:8])
}

// ParseRecord reads the text that stands in the object with this uid. Its errors say
// in one line what is wrong.
func ParseRecord(uid, text string) (Record, error) {
	var r Record
	if len(text) > maxRecord {
		return r, fmt.Errorf("it has %d bytes, at most %d are read", len(text), maxRecord)
	}
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return Record{}, fmt.Errorf("not JSON of this form: %w", err)
	}
	if r.Format != recordFormat {
		return Record{}, fmt.Errorf("format %d, this release reads %d", r.Format, recordFormat)
	}
	if err := r.check(); err != nil {
		return Record{}, err
	}
	if r.sum(uid) != r.Sum || string(r.json()) != text {
		return Record{}, errors.New("its sum does not fit: it was edited by hand, or copied from another object")
	}
	return r, nil
}

// check holds each field against what a sidecar writes.
func (r Record) check() error {
	switch {
	case len(r.Holder) > maxName:
		return fmt.Errorf("holder has %d bytes", len(r.Holder))
	case r.Counter == 0:
		return errors.New("counter is 0")
	case r.LeaseMS <= 0 || time.Duration(r.LeaseMS) > maxLease/time.Millisecond:
		return fmt.Errorf("lease_ms is %d", r.LeaseMS)
	case len(r.Published) > len(leader.Components):
		return fmt.Errorf("%d addresses are published", len(r.Published))
	}
	for _, text := range []string{r.Acquired, r.Renewed} {
		if at, err := time.Parse(timeFormat, text); err != nil || at.Format(timeFormat) != text {
			return fmt.Errorf("time %.40q is not of the form %s", text, timeFormat)
		}
	}
	for component, p := range r.Published {
		if len(component) > 32 || len(p.Address) > maxAddress || len(p.Session) > 64 {
			return fmt.Errorf("the address of %.40q is too long", component)
		}
	}
	return nil
}

// Lease is the holder's.
func (r Record) Lease() time.Duration { return time.Duration(r.LeaseMS) * time.Millisecond }

// Freed is the record that gives the lock back, at this time.
func (r Record) Freed(at time.Time) Record {
	r.Holder, r.Published, r.Renewed = "", nil, at.UTC().Format(timeFormat)
	r.Renewals++
	return r
}

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

// result is the file that OUT names.
type result struct {
	Changes int     `json:"changes"`
	Seconds float64 `json:"seconds"`
	// Unbound counts leaders that were ended before their sidecar knew them.
	Unbound  int            `json:"unbound"`
	Releases map[string]int `json:"releases"`
	Before   measurement    `json:"before"` // after the first changes
	After    measurement    `json:"after"`
}

// By so much a sidecar may hold more after the last change: the runtime keeps some
// memory back, and a request may be under way at each scrape.
const (
	moreRSSMiB     = 6
	moreHeapMiB    = 1
	moreGoroutines = 2
	moreFDs        = 2
)

// quantity is one line of the comparison.
type quantity struct {
	name          string
	before, after float64
	more          float64 // how much growth is fine
}

func (r *result) quantities() []quantity {
	var all []quantity
	for i, before := range r.Before.Sidecars {
		after, name := r.After.Sidecars[i], fmt.Sprintf("sidecar %d: ", i+1)
		all = append(all,
			quantity{name + "RSS, MiB", before.RSSMiB, after.RSSMiB, moreRSSMiB},
			quantity{name + "heap after collection, MiB", before.HeapMiB, after.HeapMiB, moreHeapMiB},
			quantity{name + "goroutines", before.Goroutines, after.Goroutines, moreGoroutines},
			quantity{name + "open file descriptors", before.FDs, after.FDs, moreFDs})
	}
	return append(all, quantity{"watches open at the API server", r.Before.Watches, r.After.Watches, 0})
}

// check returns an error that names what has grown by more than is fine.
func (r *result) check() error {
	var errs []error
	for _, q := range r.quantities() {
		if q.after > q.before+q.more {
			errs = append(errs, fmt.Errorf("%s grew from %.1f to %.1f, by more than %.1f", q.name, q.before, q.after, q.more))
		}
	}
	return errors.Join(errs...)
}

func (r *result) print(w io.Writer) {
	var outcomes []string
	for _, o := range slices.Sorted(maps.Keys(r.Releases)) {
		outcomes = append(outcomes, fmt.Sprintf("%d %s", r.Releases[o], o))
	}
	fmt.Fprintf(w, "\n%d leader changes in %.0f s; locks of the dead: %s; %d leaders not bound in time\n\n",
		r.Changes, r.Seconds, strings.Join(outcomes, ", "), r.Unbound)
	fmt.Fprintf(w, "| | after %d changes | after %d | may grow by |\n|---|---|---|---|\n", settleAfter, r.Changes)
	for _, q := range r.quantities() {
		fmt.Fprintf(w, "| %s | %.1f | %.1f | %.0f |\n", q.name, q.before, q.after, q.more)
	}
}

func (r *result) write(file string) error {
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write OUT: %w", err)
	}
	if err := os.WriteFile(file, append(content, '\n'), 0o644); err != nil {
		return fmt.Errorf("write OUT: %w", err)
	}
	return nil
}

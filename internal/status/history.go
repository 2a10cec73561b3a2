package status

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"flink-ha-sidecar/hastate"
	"flink-ha-sidecar/leader"
)

// HistoryPath is where a sidecar serves the history.
const HistoryPath = "/v1/history"

// History is all that "flink-ha history -o json" tells.
type History struct {
	Format  int       `json:"format"`
	At      time.Time `json:"at"`
	Cluster Cluster   `json:"cluster"`
	State   State     `json:"state"`
	// Changes are the leader changes, the newest last.
	Changes []Change `json:"changes"`
	// Aside is what of the state could not be read; null if there was nothing.
	Aside *hastate.Aside `json:"aside"`
}

// State says where the sidecars keep what they share, and what is wrong with that.
type State struct {
	Store string `json:"store"`
	// Known: it has been read at least once.
	Known   bool   `json:"known"`
	Trouble string `json:"trouble,omitempty"`
}

// Change is one leader change. Durations are in milliseconds after At and absent
// where they are not known; where two pods told them their clocks are in them.
type Change struct {
	hastate.Change
	At time.Time `json:"at"`
	// LedMS is how long the leader that went had led.
	LedMS       *int64 `json:"led_ms,omitempty"`
	FreedMS     *int64 `json:"freed_ms,omitempty"`
	GrantedMS   *int64 `json:"granted_ms,omitempty"`
	PublishedMS *int64 `json:"published_ms,omitempty"`
	// TwoClocks: the end and the next leader were told by two pods.
	TwoClocks bool `json:"two_clocks,omitempty"`
}

// HistoryOf makes the document.
func HistoryOf(d hastate.Document, s State, c Cluster, now time.Time) History {
	h := History{Format: Format, At: now, Cluster: c, State: s, Changes: []Change{}, Aside: d.Aside}
	for i, change := range d.Changes {
		h.Changes = append(h.Changes, changeOf(change, d.Changes[:i]))
	}
	return h
}

func changeOf(c hastate.Change, before []hastate.Change) Change {
	at := c.When()
	since := func(from, to time.Time) *int64 {
		if from.IsZero() || to.IsZero() {
			return nil
		}
		ms := to.Sub(from).Milliseconds()
		return &ms
	}
	out := Change{Change: c, At: at, FreedMS: since(at, c.End.Freed), GrantedMS: since(at, c.Next.Granted), PublishedMS: since(at, c.Next.Published)}
	out.TwoClocks = c.End.Pod != "" && c.Next.Pod != "" && c.End.Pod != c.Next.Pod
	for _, b := range before {
		if b.Next.Holder == c.Ended.Holder && b.Next.Acquired == c.Ended.Acquired && b.Next.Generation == c.Ended.Generation {
			out.LedMS = since(b.Next.Granted, at)
		}
	}
	return out
}

// WriteHistory writes h for people.
func WriteHistory(out io.Writer, h History) error {
	if h.State.Trouble != "" {
		fmt.Fprintf(out, "as last seen: %s\n", h.State.Trouble)
	}
	if h.Aside != nil {
		fmt.Fprintf(out, "on %s a part of the state could not be read and was set aside: %s\n", h.Aside.At.Local().Format(time.DateTime), h.Aside.Why)
	}
	if len(h.Changes) == 0 {
		_, err := fmt.Fprintf(out, "no leader change is known (%s)\n", h.State.Store)
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TIME\tCAUSE\tLOCK\tPROOF\tLED\tFREED\tGRANTED\tPUBLISHED\tNEXT LEADER\tEPOCH")
	for _, c := range h.Changes {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", c.At.Local().Format(time.DateTime), orUnknown(string(c.End.Cause)), orDash(c.End.Outcome), orDash(c.End.Proof),
			duration(c.LedMS), millis(c.FreedMS, false), millis(c.GrantedMS, c.TwoClocks), millis(c.PublishedMS, c.TwoClocks), orDash(c.Next.Address), epoch(c.Next))
	}
	return w.Flush()
}

func epoch(n hastate.Next) string {
	if n.Holder == "" {
		return "-"
	}
	return leader.Epoch{Generation: n.Generation, Counter: n.Counter}.String()
}

// millis marks a duration between two clocks.
func millis(ms *int64, twoClocks bool) string {
	switch {
	case ms == nil:
		return "-"
	case twoClocks:
		return fmt.Sprintf("~%d ms", *ms)
	}
	return fmt.Sprintf("%d ms", *ms)
}

func duration(ms *int64) string {
	if ms == nil {
		return "-"
	}
	return (time.Duration(*ms) * time.Millisecond).Round(time.Second).String()
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

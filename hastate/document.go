package hastate

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"flink-ha-sidecar/leader"
)

const (
	// Format is the version of the document that this package writes.
	Format = 1
	// MaxChanges is how many leader changes are kept, the newest.
	MaxChanges = 100
	// MaxBytes bounds the encoded document. A ConfigMap and a node of ZooKeeper may
	// have 1 MiB; each write is sent to every sidecar, so it stays well below.
	MaxBytes = 96 << 10
	// MaxPause is the longest pause: one that is forgotten ends within a day.
	MaxPause = 24 * time.Hour
	// maxMembers bounds Members; pods come and go under new names.
	maxMembers = 16
	// maxText bounds every text that somebody else wrote; maxAside the one aside.
	maxText  = 200
	maxAside = 4 << 10
)

// Document is all of it. It is a value: what changes it returns another one.
type Document struct {
	// Pause stands for all sidecars; zero if there is none. It may be over.
	Pause leader.Pause
	// Members are sidecars of the cluster, by pod, the newest last. A pod that is
	// gone may still be among them.
	Members []Member
	// Changes are the newest leader changes, the newest last.
	Changes []Change
	// Aside is what could not be read, nil if there was nothing.
	Aside *Aside
}

// Member is where the sidecar of one pod answers.
type Member struct {
	Pod string `json:"pod"`
	// URL is the base of its network port, as in http://10.0.0.5:8088.
	URL string `json:"url"`
	// Since is when it was written.
	Since time.Time `json:"since"`
}

// Aside is a document, or the beginning of one, that could not be read.
type Aside struct {
	At   time.Time `json:"at"`
	Why  string    `json:"why"`
	Text string    `json:"text"`
}

// WithPause replaces the pause; a zero one ends it.
func (d Document) WithPause(p leader.Pause) Document {
	p.At, p.Until = stamp(p.At), stamp(p.Until)
	p.By, p.Reason = clip(p.By, maxText), clip(p.Reason, maxText)
	d.Pause = p
	return d
}

// WithMember adds a member, or replaces that of the same pod if it is elsewhere now.
func (d Document) WithMember(m Member) Document {
	m.Pod, m.URL, m.Since = clip(m.Pod, maxText), clip(m.URL, maxText), stamp(m.Since)
	for _, other := range d.Members {
		if other.Pod == m.Pod && other.URL == m.URL {
			return d
		}
	}
	d.Members = slices.DeleteFunc(slices.Clone(d.Members), func(o Member) bool { return o.Pod == m.Pod || o.URL == m.URL })
	d.Members = append(d.Members, m)
	slices.SortStableFunc(d.Members, func(a, b Member) int { return a.Since.Compare(b.Since) })
	d.Members = d.Members[max(0, len(d.Members)-maxMembers):]
	return d
}

// WithChange joins c with what the document has of the same change.
func (d Document) WithChange(c Change) Document {
	c = c.bounded()
	d.Changes = slices.Clone(d.Changes)
	if i := slices.IndexFunc(d.Changes, c.same); i >= 0 {
		d.Changes[i] = d.Changes[i].Join(c)
	} else {
		d.Changes = append(d.Changes, c)
	}
	d.Changes = newest(d.Changes)
	return d
}

// WithHearsay adds what the document lacks of c. It is for a sidecar that only looked
// on: what others have written of the same change it leaves as it is.
func (d Document) WithHearsay(c Change) Document {
	c = c.bounded()
	if i := slices.IndexFunc(d.Changes, c.same); i >= 0 {
		if d.Changes[i].End.Cause != CauseUnknown {
			c.End = End{}
		}
		if !d.Changes[i].Next.Published.IsZero() {
			c.Next = Next{}
		}
		c.Ended.Counter = 0
	}
	return d.WithChange(c)
}

// newest sorts by time and keeps MaxChanges.
func newest(all []Change) []Change {
	slices.SortFunc(all, func(a, b Change) int {
		return cmp.Or(a.When().Compare(b.When()), cmp.Compare(a.Next.Counter, b.Next.Counter), cmp.Compare(a.key(), b.key()))
	})
	return all[max(0, len(all)-MaxChanges):]
}

// stamp is a time as the document keeps it: in UTC and whole milliseconds, and none
// that RFC 3339 cannot write.
func stamp(t time.Time) time.Time {
	t = t.UTC().Truncate(time.Millisecond)
	if t.IsZero() || t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}
	}
	return t
}

// clip bounds a text, in one line of valid UTF-8.
func clip(text string, to int) string {
	text = strings.ToValidUTF8(strings.NewReplacer("\n", " ", "\r", " ").Replace(text), "?")
	if len(text) <= to {
		return text
	}
	for to > 0 && !utf8.RuneStart(text[to]) {
		to--
	}
	return text[:to]
}

package status

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// WriteTable writes d for people.
func WriteTable(out io.Writer, d Document) error {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	row("CLUSTER", "%s in namespace %s, %s HA", d.Cluster.ID, d.Cluster.Namespace, d.Cluster.Backend)
	if d.Cluster.Deprecated != "" {
		row("WARNING", "%s", d.Cluster.Deprecated)
	}
	row("STATE", "%s: %s", d.Outcome, d.Reason)
	if d.Pause != nil {
		row("PAUSED", "nothing is freed: %s", d.Pause)
	}
	switch {
	case !d.Backend.Contact:
		row("BACKEND", "no contact yet: %s", orDash(d.Backend.Lost))
	case d.Backend.Lost != "":
		row("BACKEND", "lost, trying again: %s", d.Backend.Lost)
	}
	if l := d.Leader; l != nil {
		where := "another pod"
		if l.Here {
			where = "this pod"
		}
		row("LEADER", "%s (%s) since %s", l.Holder, where, l.Since.Local().Format(time.DateTime))
		row("", "RPC %s, REST %s", orDash(l.HostPort), orDash(l.RESTURL))
		row("EPOCH", "%s/%d", l.Epoch.Generation, l.Epoch.Counter)
	} else {
		row("LEADER", "none known")
	}
	if d.Lock.LeaseSeconds > 0 {
		row("LOCK", "%s, renewed %.1f s ago, runs out in %.1f s", d.Lock.State, d.Lock.AgeSeconds, d.Lock.MarginSeconds)
	} else {
		row("LOCK", "%s", d.Lock.State)
	}
	row("JOBMANAGER", "%s", d.JobManager.line())
	if j := d.JobManager; j.Proof != "" {
		row("PROOF", "%s: %s", j.Proof, j.ProofWhy)
		if j.SecondOpinion != "" {
			row("", "second opinion: %s", j.SecondOpinion)
		}
	}
	if c := d.LastDeath; c != nil {
		row("LAST DEATH", "%s", c.line())
	}
	if d.State.Trouble != "" {
		row("SHARED STATE", "pause and history may be missing: %s", d.State.Trouble)
	}
	return w.Flush()
}

func (j JobManager) line() string {
	var parts []string
	if j.Alive {
		parts = append(parts, "alive, "+orDash(j.Process))
	} else {
		parts = append(parts, "not seen")
	}
	switch {
	case j.Guard != "":
		parts = append(parts, "guard refused: "+j.Guard)
	case j.Bound:
		parts = append(parts, "bound: its lock is freed when it dies")
	case j.Why != "":
		parts = append(parts, "not bound: "+j.Why)
	}
	switch {
	case j.Stuck:
		parts = append(parts, fmt.Sprintf("%s, for %.0f s", j.Health, j.SilentSeconds))
	case j.Health != "":
		parts = append(parts, j.Health)
	}
	if j.Problem != "" && j.Problem != j.Why {
		parts = append(parts, j.Problem)
	}
	return strings.Join(parts, "; ")
}

func (c Case) line() string {
	s := fmt.Sprintf("%s, %s (proof %s)", c.DiedAt.Local().Format(time.DateTime), c.Outcome, c.Proof)
	for _, phase := range []struct {
		name string
		ms   *int64
	}{{"freed", c.FreedMS}, {"next leader granted", c.GrantedMS}, {"published", c.PublishedMS}} {
		if phase.ms != nil {
			s += fmt.Sprintf(", %s after %d ms", phase.name, *phase.ms)
		}
	}
	if c.Reason != "" {
		s += ": " + c.Reason
	}
	return s
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

package discovery

import (
	"time"

	"flink-ha-sidecar/leader"
)

// State is all that followers and publishers need to know at one instant.
type State struct {
	// Leader is unknown (see Leader.Known) while nobody leads or the leader has
	// published nothing; Reason then says why.
	Leader Leader
	Reason string
	// Out is since when what is told may be out of date, zero while it is not.
	Out time.Time

	// Tenure is the lock's, for publishers.
	Tenure leader.Tenure
	// Mine says that it is for this sidecar to publish Leader, Shared that others
	// publish the same.
	Mine, Shared bool
	// Retired is the generation whose lock Flink has removed for good, else empty.
	Retired string
}

// Age is how long ago State was known to be true.
func (s State) Age(now time.Time) time.Duration {
	if s.Out.IsZero() {
		return 0
	}
	return max(0, now.Sub(s.Out))
}

// same reports whether followers would see no difference.
func (s State) same(o State) bool {
	return s.Leader == o.Leader && s.Reason == o.Reason && s.Out.Equal(o.Out)
}

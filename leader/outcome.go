package leader

import "fmt"

// Outcome is what Decide makes of the situation: exactly one at any time.
type Outcome int

const (
	// Connecting: the lock has not been seen yet.
	Connecting Outcome = iota
	// Absent: there is no lock object yet; Flink makes it, never we.
	Absent
	// Retired: the lock object was there and Flink has removed it: the
	// application has ended for good or the cluster was taken down.
	Retired
	// Unreadable: the record does not parse; it is left alone.
	Unreadable
	// Vacant: nobody holds the lock.
	Vacant
	// Leading: the lock's holder is our living JobManager.
	Leading
	// Standby: our JobManager lives and another one leads.
	Standby
	// Observing: no JobManager process of ours is known and another one leads.
	Observing
	// Unbound: the lock may be our JobManager's, but that is not certain, so
	// its death would not be acted on.
	Unbound
	// UnboundDeath: our JobManager ended while the lock may have been its; it is
	// not known for certain, so the lease runs out as in plain Flink.
	UnboundDeath
	// GuardOff: the configuration rules out that a holder is ever bound.
	GuardOff
	// Freeing: the holder is dead, its lock is being freed.
	Freeing
	// Waiting: the holder is dead, and the backend cannot be asked just now.
	Waiting
	// Forbidden: the holder is dead, and the backend does not permit freeing.
	Forbidden
	// Paused: the holder is dead, and a person has asked that nothing be freed for
	// a while.
	Paused
	// Damped: the holder is dead, and so are its predecessors; the lease runs.
	Damped
	// Refuted: the lock was renewed after the death, so the holder lives after
	// all and the binding was wrong. Never freed.
	Refuted
	// Expired: the dead holder's lease is past, or so nearly that the standby
	// takes it anyway.
	Expired
	// Freed, Superseded and Vacated only end a case. Freed: by our write.
	Freed
	// Superseded: another holder had the lock before we could free it.
	Superseded
	// Vacated: the dead JobManager had released its lock itself.
	Vacated
)

var outcomeNames = [...]string{
	"connecting", "absent", "retired", "unreadable", "vacant", "leading", "standby", "observing",
	"unbound", "unbound-death", "guard-off", "freeing", "waiting", "forbidden", "paused", "damped", "refuted",
	"expired", "freed", "superseded", "vacated",
}

// Outcomes lists every outcome, for tables and coverage.
func Outcomes() []Outcome {
	all := make([]Outcome, len(outcomeNames))
	for i := range all {
		all[i] = Outcome(i)
	}
	return all
}

// String returns the name used in logs, metrics and the status.
func (o Outcome) String() string {
	if int(o) < 0 || int(o) >= len(outcomeNames) {
		return fmt.Sprintf("Outcome(%d)", int(o))
	}
	return outcomeNames[o]
}

// MarshalText makes outcomes readable in JSON.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// Package leader watches a leader election that others hold, and frees the lock
// of a leader that is known to be dead.
//
// Flink's own HA service elects. This package observes the election and the
// local JobManager, decides in one pure function (Rules.Decide), and acts
// through a Backend. When in doubt it waits: a lock that runs out costs seconds,
// freeing the lock of a living leader makes two of them.
//
// # What is promised
//
//   - A lock is freed only when its holder is bound to a process of this pod and
//     that process is proven to have ended (see Proof). A timeout, a refused
//     connection, a stopped process and a missing object prove nothing.
//   - The write is conditional on the exact record of a read that was begun after
//     the death was known. If anything was written in between, nothing happens.
//   - What is left behind is a record that every supported Flink reads as free.
//   - No request is sent that Flink waits for: with this process dead, stopped or
//     cut off, the election runs as if it were not there.
//
// # What is not promised
//
//   - That every death is acted on. A holder that cannot be bound for certain, a
//     lease that is nearly over, a pause that a person has asked for, a backend
//     that does not answer, a JobManager that dies again and again: in each of
//     these the lease runs out as in plain Flink, the Outcome says which, and it is
//     counted.
//   - Fencing. A JobManager that lives on without its lock is Flink's own concern.
//   - That a Snapshot is the latest truth: it is what was last seen, and says when.
//
// # Clocks
//
// Durations come from the local clock alone. The record's times are compared
// with it in two places, both for a holder that ran on this machine and so read
// the same clock: to leave a lease alone that is about to end, and to notice a
// renewal dated after the death, which refutes the binding. A pause ends at a time
// that another machine's clock gave, and no later than its own length after it was
// heard of (Pause).
package leader

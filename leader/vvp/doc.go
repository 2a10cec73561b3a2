// Package vvp is the HA service in which the sidecars elect: each campaigns for its
// own pod's JobManager, which runs only while its pod leads (`flink-ha gate`). It
// takes the place of Ververica Platform's own service of that name, and works with
// any Flink, since Flink itself runs without HA.
//
// The lock is the ConfigMap <cluster-id>-vvp-leader, read by polling and written by
// compare-and-swap. The verbs are get, create and update.
//
// # What is promised
//
//   - At most one JobManager runs at any time, as long as every clock runs between
//     5 % slow and 5 % fast, a SIGKILL takes no longer than Timing.KillTime, and each
//     gate ends its JobManager by the time that it was told. Where clocks stand does
//     not matter: none is compared with another machine's.
//   - A holder counts its lease from before it sent the write; everybody else counts
//     it from after the read that showed it. The holder's JobManager is gone (SIGTERM,
//     SIGKILL, the time that takes, the drift of both clocks) before the shortest
//     lease that anybody may measure is over.
//   - A lock is taken at once only if its record says that its holder has given it
//     back, which happens on proof of its JobManager's end alone. Whatever else stands
//     there (a record edited by hand, one that does not parse, an empty or a new
//     object) has to stand unchanged for a whole lease first.
//   - No write follows one whose reply was lost before the lock was read again.
//   - With the faults over, one JobManager leads within Timing.Bound.
//
// # What is not promised
//
//   - Fencing. Storage takes writes from whoever has its credentials; what is said
//     above is about processes, not about requests on their way.
//   - That a hung sidecar is harmless. It is the HA service here: its JobManager ends.
//   - That an older text of the lock, put back by hand, is told from a new one by a
//     member that has seen neither before. All others notice.
//
// # How it works
//
// Rules.Decide is pure: state, input, time -> state and what to do. Elector runs it
// and is the leader.Backend for the loop that all HA services share; that loop binds
// the lock to the gate's child and frees it on proof, as it does for Flink's own
// services.
package vvp

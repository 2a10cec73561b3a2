// Package hastate keeps what all sidecars of one cluster share: the pause, the
// history of leader changes, and where the sidecars answer. It is one small JSON
// document in the cluster's own store (the ConfigMap <cluster-id>-ha-state, or a
// node in ZooKeeper), read by watch and written by compare-and-swap.
//
// # What is promised
//
//   - Nothing that was written is lost because two sidecars wrote at once: a write
//     that meets another one is made again on what the other has left.
//   - One leader change is one entry, however many sidecars have seen it. What each
//     knows of it is joined, and the result does not depend on who wrote first.
//   - The document has at most MaxChanges entries and MaxBytes bytes.
//   - What cannot be read of it is named in one line and kept in it, aside.
//   - The guard waits for none of this. Without the document there is no pause and
//     no history, and all else goes on.
//
// # What is not promised
//
//   - That the history is complete: a change that no sidecar saw, or that the store
//     did not take before its sidecars ended, is not in it.
//   - That times of two pods compare to the millisecond: each is by the clock of the
//     pod that told it. The phases after a death are of one clock wherever the dead
//     leader's own sidecar lived to see them.
package hastate

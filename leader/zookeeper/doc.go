// Package zookeeper is the backend for Flink's own ZooKeeper HA: the lock is a
// queue of ephemeral sequential nodes under <root>/<cluster-id>/leader/latch
// (Curator's LeaderLatch), the leader's addresses are in the nodes
// <root>/<cluster-id>/leader/<component>/connection_info, and what a session owns
// is told by the store itself.
//
// To free the lock of a dead session is to delete its places in that queue, and
// then the ephemeral lock nodes with which it held checkpoints and job graphs:
// with those left, the next leader could not remove what it has replaced. Each
// node has a name that is never used twice, its owner is read again just before,
// and the delete names its version. A connection_info is never deleted: its path
// is the same for every leader, and ZooKeeper knows no delete-if-owner. Of what is
// Flink's nothing is ever created or written; the sidecars' own state is in a node
// beside it, flink-ha/state (State).
//
// The layout is that of Flink 1.18, 1.20 and 2.3 (Curator 5.4 and 5.9), read on
// running clusters.
package zookeeper

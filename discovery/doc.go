// Package discovery tells the world who leads: it makes one document of what the
// sidecar sees of the election, keeps it published in objects and files, and
// serves it to followers.
//
// # What is promised
//
//   - What is told under an epoch was published by the leader of that epoch. The
//     addresses of the one before, which Flink leaves in place for the first
//     moments of a new one, are not passed on.
//   - A published object is written only under the condition that it is still as
//     it was last seen, and never back to an older epoch of its generation.
//   - Readers ignore what they do not know: a release that tells more works beside
//     one that tells less.
//
// # What is not promised
//
//   - That the leader still lives. During a failover the last address stands until
//     the next leader has published its own; State says since when the lock is out
//     of sight.
package discovery

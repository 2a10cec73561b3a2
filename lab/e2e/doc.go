// Package e2e tests the sidecar's binary from outside: real processes, a real
// API server, faults in all of them, and assertions on what others can see: the
// lock by an independent watch, the sidecar's log, its probes and its metrics.
//
// Most tests use stand-ins for JobManagers, which hold the lock as Flink does
// with a lease of a few seconds. Those whose outcome hangs on Flink itself run
// Flink. No test asserts a number of milliseconds: they assert what happened and
// in which order, and that no standby waits longer than it does without sidecars.
package e2e

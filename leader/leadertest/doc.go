// Package leadertest holds what is needed to test anything that stands on
// package leader: a lock store in memory with faults that a test switches on
// (Memory), the behaviour that every backend owes (Contract), a stand-in for
// the local processes (Processes), and a simulator that runs the shipped
// decision against a model of Flink's elections (Simulate).
//
// The models know Flink's election record as fabric8 writes it. They are
// written apart from the code under test on purpose: what both sides get wrong
// in the same way is found by the tests on real Flink alone.
package leadertest

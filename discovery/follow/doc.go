// Package follow keeps up with the leader from outside its pod: TaskManager pods,
// clients, CI. It hears of it from one Source after the other, believes nothing
// that is older than what it knows, and says when what it knows is too old to be
// relied on.
package follow

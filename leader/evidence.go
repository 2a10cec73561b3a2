package leader

import (
	"fmt"
	"strings"
	"time"
)

// Process names one JobManager process so exactly that no other process is
// ever taken for it: a PID alone is used again by the kernel, a PID together
// with its start time, its PID namespace and the boot is not.
type Process struct {
	// BootID is /proc/sys/kernel/random/boot_id.
	BootID string `json:"bootID"`
	// PIDNamespace is the target of /proc/self/ns/pid, as in "pid:[4026531836]".
	PIDNamespace string `json:"pidNamespace"`
	// PID is the process ID in that namespace.
	PID int `json:"pid"`
	// StartTime is field 22 of /proc/PID/stat: clock ticks since boot.
	StartTime uint64 `json:"startTime"`
	// ContainerID is the container's ID from /proc/PID/cgroup or from the pod's
	// status, empty where there is none. It tells people which container it was.
	ContainerID string `json:"containerID,omitempty"`
}

// String is for people: "PID 4711", or "container 0123456789ab" where only the
// container is known.
func (p Process) String() string {
	if p.PID == 0 {
		id := p.ContainerID[strings.LastIndexByte(p.ContainerID, '/')+1:]
		return "container " + id[:min(12, len(id))]
	}
	return fmt.Sprintf("PID %d", p.PID)
}

// Evidence is what one look at the processes of this pod showed.
type Evidence struct {
	// At is when the look ended, by this machine's clock.
	At time.Time
	// Alive holds every JobManager process that was alive at At, with a pidfd
	// held on it, its start time and command line read again after the pidfd was
	// opened. Only a look that found exactly one can bind a holder.
	Alive []Process
	// Proof is what would prove the end of what is in Alive.
	Proof Proof
	// Started is when the one in Alive began to run, where that is known from
	// somebody else's word, which may lag: it binds only a holder that acquired
	// the lock later. Zero when the process itself was seen.
	Started time.Time
	// Problem says in one line why Alive is empty or ambiguous, or why the death
	// of a process cannot be witnessed; empty when all is well.
	Problem string
	// Waiting: no JobManager runs, and one will be started when this pod leads.
	Waiting bool
	// Second is what another witness says of the same JobManager, for people;
	// nothing is decided by it. Empty where there is no other.
	Second string
}

// Sole returns the one JobManager process, and whether there is exactly one.
func (e Evidence) Sole() (Process, bool) {
	if len(e.Alive) != 1 {
		return Process{}, false
	}
	return e.Alive[0], true
}

// Proof says how a death is known. Nothing else is a proof: not a timeout, not
// a refused connection, not an object that is gone from the API server.
type Proof string

const (
	// ProofPidfd is P1: the kernel reported through a pidfd, or through the
	// absence of a process whose identity was recorded, that it has ended.
	ProofPidfd Proof = "process"
	// ProofContainerStatus is P2: the kubelet reported the container bound to
	// the holder as terminated.
	ProofContainerStatus Proof = "kubelet"
)

// Death is the proven end of one JobManager process.
type Death struct {
	Process Process
	// At is the latest time at which it can have ended, by this machine's clock:
	// when the end was noticed, or the kubelet's word for it.
	At time.Time
	// Seen is when the proof was here, if that was later. A read proves who holds
	// the lock after the death only if it began no earlier.
	Seen  time.Time
	Proof Proof
}

// known is when this process could first act on the death.
func (d Death) known() time.Time {
	if d.Seen.After(d.At) {
		return d.Seen
	}
	return d.At
}

package lab

import (
	"fmt"
	"time"
)

// freedTime is the renewTime by which a record that a sidecar has freed is known
// from one that Flink has let go of.
const freedTime = "1970-01-01T00:00:00.000000Z"

// reaped is how long after the death of a process its parent may learn of it: a
// sidecar is told by the kernel at the same time.
const reaped = 100 * time.Millisecond

// CheckReleases returns an error if a sidecar has freed the lock of a JobManager
// that lived, or of one whose process the watch on the lock cannot tell.
func (c *Cluster) CheckReleases() error {
	var held LockVersion
	for _, v := range c.Lock.Versions() {
		switch {
		case v.Holder != "":
			held = v
		case v.Free() && v.RenewTime == freedTime && held.Holder != "":
			if err := c.checkRelease(held, v); err != nil {
				return err
			}
			held = LockVersion{}
		}
	}
	return nil
}

func (c *Cluster) checkRelease(held, freed LockVersion) error {
	at := freed.At.UTC().Format(time.TimeOnly)
	holder := c.holderProcess(held)
	switch {
	case holder == nil:
		return fmt.Errorf("the lock of %s was freed at %s: no process is known for it, by its address %q", held.Holder, at, held.LeaderIP())
	case holder.Alive() || holder.EndedAt().After(freed.At.Add(reaped)):
		return fmt.Errorf("the lock of %s was freed at %s, while its holder %s lived", held.Holder, at, holder.Name())
	}
	return nil
}

// holderProcess is the process that has published in a tenure: the last one at
// that address that was started before the lock was taken.
func (c *Cluster) holderProcess(held LockVersion) *Process {
	taken, err := time.Parse(time.RFC3339Nano, held.AcquireTime)
	if err != nil {
		return nil
	}
	var holder *Process
	for _, j := range c.JobManagers {
		if j.Address != held.LeaderIP() {
			continue
		}
		for _, p := range j.processes() {
			if p.startedAt.Before(taken) {
				holder = p
			}
		}
	}
	return holder
}

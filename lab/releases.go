package lab

import (
	"fmt"
	"time"
)

// freedTime is the renewTime by which a record that a sidecar has freed is known
// from one that Flink has let go of; the acquireTime stays as it was.
const freedTime = "1970-01-01T00:00:00.000000Z"

// reaped is how long after the death of a process its parent may learn of it on a
// busy machine: a sidecar is told by the kernel.
const reaped = time.Second

// deposedStatus is what Flink and the stand-in exit with that find their lock in
// other hands: they lived when it was taken from them.
const deposedStatus = 239

// mayHaveLived tells whether a process may have lived at a time: it lives still, it
// was killed only later, or it ended later by itself.
func (p *Process) mayHaveLived(at time.Time) bool {
	killed := p.killedAt.Load()
	switch {
	case p.Alive(), p.ExitCode() == deposedStatus:
		return true
	case killed != nil && !killed.After(p.EndedAt()):
		return killed.After(at)
	}
	return p.EndedAt().After(at.Add(reaped))
}

// CheckReleases returns an error if a sidecar has freed the lock of a JobManager
// that lived, or of one whose process the watch on the lock cannot tell.
func (c *Cluster) CheckReleases() error {
	var held LockVersion
	processes := map[string]*Process{} // by holder, which is one process for life
	for _, v := range c.Lock.Versions() {
		if v.Holder != "" {
			held = v
			if p := c.publisher(v); p != nil {
				processes[v.Holder] = p
			}
			continue
		}
		if !v.Free() || v.RenewTime != freedTime || held.Holder == "" || v.AcquireTime != held.AcquireTime {
			continue
		}
		if err := checkRelease(held, v, processes[held.Holder]); err != nil {
			return err
		}
		held = LockVersion{}
	}
	return nil
}

func checkRelease(held, freed LockVersion, holder *Process) error {
	at := freed.At.UTC().Format(time.TimeOnly)
	switch {
	case holder == nil:
		return fmt.Errorf("the lock of %s was freed at %s: no process is known that published under it", held.Holder, at)
	case holder.mayHaveLived(freed.At):
		return fmt.Errorf("the lock of %s was freed at %s, while its holder %s lived", held.Holder, at, holder.Name())
	}
	return nil
}

// publisher is the process that has published in a tenure, be it its first address
// only: the last one there that was started before the lock was taken.
func (c *Cluster) publisher(v LockVersion) *Process {
	var ip string
	for _, component := range []string{"dispatcher", "resourcemanager", "restserver"} {
		if ip == "" {
			ip = hostOf(v.Fresh[component])
		}
	}
	taken, err := time.Parse(time.RFC3339Nano, v.AcquireTime)
	if ip == "" || err != nil {
		return nil
	}
	var last *Process
	for _, j := range c.JobManagers {
		if j.Address != ip {
			continue
		}
		for _, p := range j.processes() {
			if p.startedAt.Before(taken) {
				last = p
			}
		}
	}
	return last
}

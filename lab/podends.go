package lab

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ProcessEnd is the end of a JobManager's process in a pod, as the kernel told it.
type ProcessEnd struct {
	Pod, IP string
	PID     int
	At      time.Time
}

// processEnds looks for the JobManagers of a cluster and waits for the end of
// each, whatever becomes of its pod.
type processEnds struct {
	cluster *PodCluster

	mu    sync.Mutex
	alive map[int]bool
	pods  map[string]string // the latest pod with an IP
	ends  []ProcessEnd
}

func newProcessEnds(c *PodCluster) *processEnds {
	return &processEnds{cluster: c, alive: map[int]bool{}, pods: map[string]string{}}
}

// run looks until ctx is done. A JobManager lives for seconds before it can lead,
// so that none is missed that matters.
func (e *processEnds) run(ctx context.Context) {
	var tasks sync.WaitGroup
	defer tasks.Wait()
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for {
		for _, pid := range e.cluster.processes() {
			e.mu.Lock()
			known := e.alive[pid]
			e.mu.Unlock()
			if known || !runs(pid, JobManagerProgram) {
				continue
			}
			fd, err := unix.PidfdOpen(pid, 0)
			if err != nil || !runs(pid, JobManagerProgram) {
				continue
			}
			end := ProcessEnd{PID: pid, Pod: environ(pid, "POD_NAME"), IP: environ(pid, "POD_IP")}
			e.mu.Lock()
			e.alive[pid], e.pods[end.IP] = true, end.Pod
			e.mu.Unlock()
			tasks.Go(func() { e.await(ctx, fd, end) })
		}
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
	}
}

// await notes the end of one process. It looks at ctx between two polls.
func (e *processEnds) await(ctx context.Context, fd int, end ProcessEnd) {
	defer unix.Close(fd)
	for ctx.Err() == nil {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 500)
		if n == 0 || err != nil {
			continue
		}
		end.At = time.Now()
		e.mu.Lock()
		delete(e.alive, end.PID)
		e.ends = append(e.ends, end)
		e.mu.Unlock()
		return
	}
}

// pod is the name of the pod that had an IP last.
func (e *processEnds) pod(ip string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.pods[ip]
}

// Ends are the ends of the cluster's JobManager processes so far.
func (c *PodCluster) Ends() []ProcessEnd {
	c.ends.mu.Lock()
	defer c.ends.mu.Unlock()
	return slices.Clone(c.ends.ends)
}

func environ(pid int, name string) string {
	content, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	for _, entry := range strings.Split(string(content), "\x00") {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

package lab

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"
)

// GatedOptions say what a [GatedCluster] consists of.
type GatedOptions struct {
	// Flink runs the ticking job; nil: stand-ins, and no job.
	Flink *Flink
	// Binary is the program that is sidecar and gate.
	Binary string
	// Dir holds everything the cluster writes; it exists.
	Dir string
	// GateArgs are further flags of each gate.
	GateArgs []string
	// Sidecar, if not nil, returns the sidecar of a pod. Without it somebody else
	// answers at the pods' sockets.
	Sidecar func(c *GatedCluster, p *GatedPod) (*Sidecar, error)
}

// GatedCluster is a cluster of the HA service vvp-kubernetes: two pods with a gate each,
// one TaskManager, and a Service in front of the JobManagers.
type GatedCluster struct {
	Settings    *Settings
	Pods        []*GatedPod
	Sidecars    []*Sidecar // as Pods, or none
	TaskManager *TaskManager

	service *Service
	subnet  *Subnet
}

// serviceHost is the Service's address within the subnet.
const serviceHost = 9

// NewGatedCluster prepares a cluster; only its Service runs. Stop must be called.
func NewGatedCluster(o GatedOptions) (_ *GatedCluster, err error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("start cluster: %w", err)
	}
	id := make([]byte, 4)
	if _, err := rand.Read(id); err != nil {
		return nil, fmt.Errorf("name cluster: %w", err)
	}
	c := &GatedCluster{}
	if c.subnet, err = ReserveSubnet(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.Stop()
		}
	}()
	address := c.subnet.IP(serviceHost)
	c.Settings = GatedSettings(o.Flink, "lab-"+hex.EncodeToString(id), dir, address)
	var backends []string
	for n := range 2 {
		p, err := NewGatedPod(c.Settings, fmt.Sprintf("jobmanager-%d", n+1), c.subnet.IP(firstJobManager+n), GateOptions{
			Binary: o.Binary, Args: o.GateArgs, ServiceIP: address, StandIn: o.Flink == nil,
		})
		if err != nil {
			return nil, err
		}
		c.Pods, backends = append(c.Pods, p), append(backends, p.Address)
		if o.Sidecar == nil {
			continue
		}
		s, err := o.Sidecar(c, p)
		if err != nil {
			return nil, err
		}
		c.Sidecars = append(c.Sidecars, s)
	}
	c.service, err = StartService(address, backends, 6123, 6124)
	return c, err
}

// Start starts sidecars, gates and, with Flink, the TaskManager.
func (c *GatedCluster) Start() error {
	for _, s := range c.Sidecars {
		if err := s.Start(); err != nil {
			return err
		}
	}
	for _, p := range c.Pods {
		if err := p.Start(); err != nil {
			return err
		}
	}
	if c.Settings.Flink == nil {
		return nil
	}
	var err error
	c.TaskManager, err = StartTaskManager(c.Settings, "taskmanager-1", c.subnet.IP(firstTaskManager))
	return err
}

// Stop ends all parts and waits for their end.
func (c *GatedCluster) Stop() {
	for _, p := range c.Pods {
		p.Stop()
	}
	for _, s := range c.Sidecars {
		s.Kill()
	}
	if c.TaskManager != nil {
		c.TaskManager.Kill()
	}
	if c.service != nil {
		c.service.Close()
	}
	_ = c.subnet.Close() // nothing uses the addresses any more
}

// Marks tell the JobManagers of each pod for [WatchLifespans].
func (c *GatedCluster) Marks() map[string][]string {
	marks := map[string][]string{}
	for _, p := range c.Pods {
		marks[p.Name] = []string{p.Script, p.ConfDir}
	}
	return marks
}

// Leader is the pod whose JobManager runs; nil if there is none. Two are an error.
func (c *GatedCluster) Leader() (*GatedPod, error) {
	var leader *GatedPod
	for _, p := range c.Pods {
		switch _, pid, err := p.Processes(); {
		case err != nil:
			return nil, err
		case pid == 0:
		case leader != nil:
			return nil, errors.New("two JobManagers run")
		default:
			leader = p
		}
	}
	return leader, nil
}

// Other is the pod that is not p.
func (c *GatedCluster) Other(p *GatedPod) *GatedPod {
	return c.Pods[(slices.Index(c.Pods, p)+1)%len(c.Pods)]
}

// SidecarOf is the sidecar of a pod.
func (c *GatedCluster) SidecarOf(p *GatedPod) *Sidecar { return c.Sidecars[slices.Index(c.Pods, p)] }

// WaitForLeader waits until a JobManager runs.
func (c *GatedCluster) WaitForLeader(ctx context.Context) (*GatedPod, error) {
	var leader *GatedPod
	err := c.Poll(ctx, "a JobManager", func() (done bool, err error) {
		leader, err = c.Leader()
		return leader != nil, err
	})
	return leader, err
}

// WaitForCheckpoint waits until some JobManager has completed a checkpoint at or after
// since, and returns when that was, by its log.
func (c *GatedCluster) WaitForCheckpoint(ctx context.Context, since time.Time) (at time.Time, err error) {
	err = c.Poll(ctx, "a checkpoint", func() (bool, error) {
		for _, p := range c.Pods {
			logs, err := p.FlinkLogs()
			if err != nil {
				return false, err
			}
			for _, log := range logs {
				events, err := ReadFlinkLog(log)
				if err != nil {
					return false, err
				}
				for _, e := range events {
					if e.Kind == LogCheckpoint && !e.At.Before(since) && (at.IsZero() || e.At.Before(at)) {
						at = e.At
					}
				}
			}
		}
		return !at.IsZero(), nil
	})
	return at, err
}

// Poll asks done until it is, or ctx is.
func (c *GatedCluster) Poll(ctx context.Context, what string, done func() (bool, error)) error {
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-retry.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w; logs are in %s", what, ctx.Err(), c.Settings.Dir)
		}
	}
}

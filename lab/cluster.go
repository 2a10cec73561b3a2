package lab

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
)

// ClusterOptions say what a [Cluster] consists of.
type ClusterOptions struct {
	Flink        *Flink
	ControlPlane *ControlPlane
	// ZooKeeper is the ensemble of a cluster with ZooKeeper HA; with it Backend is
	// [Zookeeper] if empty, and ControlPlane may be nil.
	ZooKeeper *ZooKeeper
	Backend   Backend // Kubernetes if empty
	// Dir holds everything the cluster writes; it exists.
	Dir string
	// JobManagers is how many there are, one of them leading; two if zero.
	JobManagers int
	// StartAgain, if not zero, is how long after its end the process of a
	// JobManager is started again, as a kubelet does.
	StartAgain time.Duration

	// Session runs a session cluster: no job, and no TaskManager.
	Session bool

	// StandIn is the binary of the stand-in; empty: real Flink. With stand-ins
	// there is no job, and no TaskManager.
	StandIn string
	// StandInArgs are further arguments for each stand-in.
	StandInArgs []string

	// Sidecar is the path of the sidecar's binary; empty: no sidecars.
	Sidecar string
	// Gated: each JobManager is started by `gate --observe`.
	Gated bool
	// SidecarArgs are further flags for each sidecar.
	SidecarArgs []string
	// SidecarKubeConfig is what the sidecars reach the API server with. If it is
	// empty they share a user that may do what SidecarRights say of the lock's name;
	// nil: what [SidecarRules] say.
	SidecarKubeConfig string
	SidecarRights     func(lock string) []rbacv1.PolicyRule

	RetryPeriod   time.Duration // these three: zero is Flink's default
	LeaseDuration time.Duration
	RenewDeadline time.Duration
	// Extra are further keys of Flink's configuration.
	Extra map[string]string
	// Rewrite is that of [Settings].
	Rewrite func(name, conf string) (string, error)
}

// Cluster is a Flink cluster in application mode that runs the ticking job:
// JobManagers, one TaskManager, a sidecar beside each JobManager if asked for,
// and an independent watch on the lock.
type Cluster struct {
	Settings    *Settings
	JobManagers []*JobManager
	TaskManager *TaskManager // nil with stand-ins and in a session cluster
	Sidecars    []*Sidecar   // as JobManagers, or none
	Lock        *LockWatch

	subnet *Subnet
	cancel context.CancelFunc
	tasks  sync.WaitGroup
}

// StartCluster starts a cluster and returns at once: see the WaitFor methods.
// ctx bounds the start alone; the cluster then runs until [Cluster.Stop].
func StartCluster(ctx context.Context, o ClusterOptions) (_ *Cluster, err error) {
	c, err := newCluster(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.Stop()
		}
	}()
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.cancel = cancel
	c.tasks.Go(func() { c.Lock.Run(running) })
	for _, s := range c.Sidecars {
		if err := s.Start(); err != nil {
			return nil, err
		}
	}
	c.awaitContact(ctx)
	for _, j := range c.JobManagers {
		if err := j.Start(); err != nil {
			return nil, err
		}
		if o.StartAgain != 0 {
			c.tasks.Go(func() { _ = j.StartAgain(running, o.StartAgain) })
		}
	}
	if o.StandIn != "" || o.Session {
		return c, nil
	}
	c.TaskManager, err = StartTaskManager(c.Settings, "taskmanager-1", c.subnet.IP(firstTaskManager))
	return c, err
}

// newCluster prepares all parts and starts none.
func newCluster(ctx context.Context, o ClusterOptions) (_ *Cluster, err error) {
	switch {
	case o.Backend == "" && o.ZooKeeper != nil:
		o.Backend = Zookeeper
	case o.Backend == "":
		o.Backend = Kubernetes
	}
	if o.JobManagers == 0 {
		o.JobManagers = 2
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("start cluster: %w", err)
	}
	id := make([]byte, 4)
	if _, err := rand.Read(id); err != nil {
		return nil, fmt.Errorf("name cluster: %w", err)
	}
	s := &Settings{
		Flink: o.Flink, Backend: o.Backend, ClusterID: "lab-" + hex.EncodeToString(id), Namespace: "default",
		Dir:         dir,
		RetryPeriod: o.RetryPeriod, LeaseDuration: o.LeaseDuration, RenewDeadline: o.RenewDeadline, Extra: o.Extra, Rewrite: o.Rewrite,
	}
	c := &Cluster{Settings: s, cancel: func() {}}
	if c.subnet, err = ReserveSubnet(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.subnet.Close()
		}
	}()
	if err := c.watchLock(o); err != nil {
		return nil, err
	}
	for n := range o.JobManagers {
		name, address := fmt.Sprintf("jobmanager-%d", n+1), c.subnet.IP(firstJobManager+n)
		j, err := NewJobManager(s, name, address)
		if o.StandIn != "" {
			j, err = NewStandIn(s, name, address, o.StandIn, o.StandInArgs...)
		}
		if err != nil {
			return nil, err
		}
		j.Session = o.Session
		c.JobManagers = append(c.JobManagers, j)
	}
	if o.Sidecar == "" {
		return c, nil
	}
	if o.ControlPlane != nil {
		if err := c.makePods(ctx, &o); err != nil {
			return nil, err
		}
	}
	for _, j := range c.JobManagers {
		c.Sidecars = append(c.Sidecars, NewSidecar(s, j, o.Sidecar, o.SidecarKubeConfig, o.SidecarArgs...))
		if o.Gated {
			j.Gate, j.Socket = o.Sidecar, c.Sidecars[len(c.Sidecars)-1].Socket
		}
	}
	return c, nil
}

// makePods makes the Pods that the sidecars watch, and a user with the rights to
// it unless there is one.
func (c *Cluster) makePods(ctx context.Context, o *ClusterOptions) (err error) {
	for _, j := range c.JobManagers {
		if err := o.ControlPlane.makePod(ctx, c.Settings.Namespace, j.PodName()); err != nil {
			return err
		}
	}
	if o.SidecarRights == nil {
		o.SidecarRights = SidecarRules
	}
	if o.SidecarKubeConfig == "" {
		o.SidecarKubeConfig, _, err = o.ControlPlane.UserKubeConfig(ctx, c.Settings.Namespace, o.SidecarRights(c.Settings.LockName())...)
	}
	return err
}

// watchLock tells the settings where the lock is, and prepares the watch on it.
func (c *Cluster) watchLock(o ClusterOptions) (err error) {
	if o.Backend == Zookeeper {
		c.Settings.Quorum = o.ZooKeeper.Quorum()
		c.Lock = NewLatchWatch(o.ZooKeeper, c.Settings.LockPath())
		return nil
	}
	c.Settings.KubeConfig = o.ControlPlane.KubeConfig()
	c.Lock, err = NewLockWatch(o.ControlPlane, c.Settings.Namespace, c.Settings.LockName())
	return err
}

// Stop ends all parts and waits for their end. The JobManagers are killed: the
// lock they held is never used again. It may be called twice.
func (c *Cluster) Stop() {
	c.cancel()
	c.tasks.Wait() // from here nothing is started again
	for _, s := range c.Sidecars {
		s.Kill()
	}
	for _, j := range c.JobManagers {
		j.Kill()
	}
	if c.TaskManager != nil {
		c.TaskManager.Kill()
	}
	_ = c.subnet.Close()
}

// LeaderNow is the JobManager that leads, known once it has published its
// dispatcher's address; nil if none does.
func (c *Cluster) LeaderNow() *JobManager {
	ip := c.Lock.Last().LeaderIP()
	for _, j := range c.JobManagers {
		if j.Address == ip && j.Alive() {
			return j
		}
	}
	return nil
}

// Standbys are the JobManagers but leader.
func (c *Cluster) Standbys(leader *JobManager) []*JobManager {
	var standbys []*JobManager
	for _, j := range c.JobManagers {
		if j != leader {
			standbys = append(standbys, j)
		}
	}
	return standbys
}

// SidecarOf is the sidecar beside a JobManager, nil if there is none.
func (c *Cluster) SidecarOf(j *JobManager) *Sidecar {
	for i, other := range c.JobManagers {
		if other == j && i < len(c.Sidecars) {
			return c.Sidecars[i]
		}
	}
	return nil
}

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"

	"flink-ha-sidecar/lab"
)

// cluster is the one whose lock is written.
const cluster = "bench"

// podIPs are the JobManagers', which lead in turn. Nothing is there: only their
// addresses are told.
var podIPs = []string{"10.9.0.1", "10.9.0.2"}

// site is what one cell runs on: an API server that has served nobody yet, the lock
// and two sidecars.
type site struct {
	control    *lab.ControlPlane
	subnet     *lab.Subnet
	lock       *lock
	sidecars   []*lab.Sidecar
	kubeConfig string // the followers'
}

func newSite(ctx context.Context, cache *lab.Cache, dir, sidecar string) (_ *site, err error) {
	s := &site{}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	control := filepath.Join(dir, "control-plane")
	if err := os.Mkdir(control, 0o755); err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	if s.control, err = lab.StartControlPlane(ctx, cache, control); err != nil {
		return nil, err
	}
	if s.subnet, err = lab.ReserveSubnet(); err != nil {
		return nil, err
	}
	name := cluster + "-cluster-config-map"
	sidecarConfig, _, err := s.control.UserKubeConfig(ctx, "default", append(lab.SidecarRules(name), lab.PublishRules(cluster)...)...)
	if err != nil {
		return nil, err
	}
	rules := append(lab.FollowRules(cluster), rbacv1.PolicyRule{
		APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{name}, Verbs: []string{"get", "watch"},
	})
	if s.kubeConfig, _, err = s.control.UserKubeConfig(ctx, "default", rules...); err != nil {
		return nil, err
	}
	for i, ip := range podIPs {
		one, err := lab.NewObserver(dir, fmt.Sprintf("sidecar-%d", i+1), sidecar, sidecarConfig, cluster, ip, s.subnet.IP(11+i)+":8088", "--max-followers", "10000")
		if err != nil {
			return nil, err
		}
		if err := one.Start(); err != nil {
			return nil, err
		}
		s.sidecars = append(s.sidecars, one)
	}
	maps, err := s.control.ConfigMaps("default")
	if err != nil {
		return nil, err
	}
	if s.lock, err = newLock(ctx, maps, cluster); err != nil {
		return nil, err
	}
	if _, err = s.lock.change(ctx, podIPs[0]); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *site) stop() {
	for _, one := range s.sidecars {
		one.Kill()
	}
	if s.control != nil {
		s.control.Stop()
	}
	if s.subnet != nil {
		_ = s.subnet.Close()
	}
}

// bases are the sidecars as followers find them.
func (s *site) bases() []string {
	var all []string
	for _, one := range s.sidecars {
		all = append(all, one.URL())
	}
	return all
}

// lead renews the lock and changes the leader, evenly over length, and returns when
// each session's
// addresses stood there.
func (s *site) lead(ctx context.Context, retry, length time.Duration, changes int) (map[string]time.Time, error) {
	told := map[string]time.Time{}
	begun := time.Now()
	for n := range changes {
		at, err := s.lock.change(ctx, podIPs[(n+1)%len(podIPs)])
		if err != nil {
			return nil, err
		}
		told[session(s.lock.number)] = at
		if err := s.renewUntil(ctx, retry, begun.Add(length*time.Duration(n+1)/time.Duration(changes))); err != nil {
			return nil, err
		}
	}
	return told, nil
}

// renewUntil renews the lock every retry, as its leader does.
func (s *site) renewUntil(ctx context.Context, retry time.Duration, end time.Time) error {
	for {
		next := s.lock.renewed().Add(retry)
		if next.After(end) {
			return sleep(ctx, time.Until(end))
		}
		if err := sleep(ctx, time.Until(next)); err != nil {
			return err
		}
		if err := s.lock.renew(ctx); err != nil {
			return err
		}
	}
}

package lab

import (
	"context"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
)

// VVPTiming is what sidecars that elect go by; zero is their default.
type VVPTiming struct {
	LeaseDuration, RenewDeadline, RetryPeriod time.Duration
}

func (t VVPTiming) flags() []string {
	var flags []string
	for _, f := range []struct {
		name string
		d    time.Duration
	}{{"lease-duration", t.LeaseDuration}, {"renew-deadline", t.RenewDeadline}, {"retry-period", t.RetryPeriod}} {
		if f.d != 0 {
			flags = append(flags, "--vvp-"+f.name+"="+f.d.String())
		}
	}
	return flags
}

// VVPRules are the rights of a sidecar of the HA service vvp-kubernetes: on its lock, and
// those that every sidecar has.
func VVPRules(clusterID string) []rbacv1.PolicyRule {
	lock := rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{clusterID + "-vvp-leader"}, Verbs: []string{"get", "update"}}
	return append(SidecarRules(clusterID+"-cluster-config-map"), lock)
}

// VVPSidecars returns what makes the sidecars of a [GatedCluster]: they elect, by a lock on
// the control plane, with the rights that they need and no others.
func VVPSidecars(ctx context.Context, control *ControlPlane, binary string, t VVPTiming) func(*GatedCluster, *GatedPod) (*Sidecar, error) {
	kubeConfig := ""
	return func(c *GatedCluster, p *GatedPod) (_ *Sidecar, err error) {
		if kubeConfig == "" {
			if kubeConfig, _, err = control.UserKubeConfig(ctx, c.Settings.Namespace, VVPRules(c.Settings.ClusterID)...); err != nil {
				return nil, err
			}
		}
		s := p.NewSidecar(binary, kubeConfig, t.flags()...)
		return s, control.makePod(ctx, c.Settings.Namespace, c.Settings.ClusterID+"-"+p.Name)
	}
}

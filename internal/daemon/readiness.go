package daemon

import (
	"slices"
	"strings"

	"go.uber.org/zap"

	"flink-ha-sidecar/health"
)

// workloads are the values of --workload.
var workloads = []string{"flinkdeployment", "deployment", "statefulset", "job", "other"}

// readyPolicy holds --ready-policy against what this pod belongs to. A rollout of a
// Deployment waits for its new pods to be ready before it ends the old ones; with
// leader-only none but the leader is, and the leader is an old one.
func (p *plan) readyPolicy(s Settings, log *zap.Logger) (health.Policy, error) {
	if s.Workload != "" && !slices.Contains(workloads, s.Workload) {
		return "", refuse("--workload %q is none of %s", s.Workload, strings.Join(workloads, ", "))
	}
	switch policy := health.Policy(s.ReadyPolicy); policy {
	case health.Serving, "":
		return health.Serving, nil
	case health.LeaderOnly:
		// The operator names the owner in the configuration that it writes for Flink
		// (kubernetes.jobmanager.owner.reference).
		if s.Workload == "flinkdeployment" || s.Workload == "" && strings.Contains(p.conf.Owner.Text, "FlinkDeployment") {
			return "", refuse("--ready-policy leader-only: the operator of a FlinkDeployment waits until every JobManager is ready, and standbys would never be; use serving, and /leader for load balancers")
		}
		if s.Workload == "deployment" {
			warnLeaderOnly(log, "--workload deployment")
		}
		return policy, nil
	}
	return "", refuse("--ready-policy %q is neither serving nor leader-only", s.ReadyPolicy)
}

func warnLeaderOnly(log *zap.Logger, from string) {
	log.Warn("--ready-policy leader-only: a rolling update of a Deployment waits until its new pods are ready, and with the leader in an old one they never are; use serving, and /leader for load balancers",
		zap.String("seen_by", from))
}

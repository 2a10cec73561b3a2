package migrate

// Steps are those for a job that runs, in order. The two HA services know nothing of
// each other: what the old one has kept is not read, the job goes on from a
// savepoint, and both must never run at once.
func (w Way) Steps() []string {
	switch w {
	case ByOperator:
		return []string{
			"set spec.job.upgradeMode to savepoint, and see that state.savepoints.dir (execution.checkpointing.savepoint-dir from Flink 2.0 on) is set",
			"kubectl apply the migrated FlinkDeployment: the operator takes a savepoint, ends the cluster, and starts the job from it with Flink's HA service",
			"kubectl get configmap <name>-cluster-config-map: there is a leader; the job runs and completes checkpoints",
			"set upgradeMode back, and set spec.jobManager.replicas to 2",
			"remove the ConfigMaps of the old service",
		}
	case ByPlatform:
		return []string{
			"check that the Flink image is 1.15.2-stream3 or later; change that first, by an upgrade of its own",
			"suspend the Deployment (spec.state: SUSPENDED): that takes a savepoint; cancel the jobs of a SessionCluster with a savepoint and stop it",
			"apply the migrated resource while nothing runs, with restoreStrategy LATEST_SAVEPOINT: what the old service has kept is not read",
			"set spec.state to RUNNING; the job goes on from the savepoint and completes checkpoints",
			"only then upgrade the platform to 2.12 or later, which does not have the old service any more",
		}
	}
	return []string{
		"give the service account its rights (--role), and the JobManagers a $(POD_IP) to advertise",
		"flink stop --savepointPath DIR JOB: note the savepoint that it prints, and see that its _metadata is there",
		"scale JobManager and TaskManagers to 0, and wait until no pod of either is left: two HA services, two leaders",
		"apply the migrated files, for JobManager and TaskManagers alike",
		"start from the savepoint: application mode with --fromSavepoint PATH among the JobManager's arguments, session mode with flink run -s PATH",
		"kubectl get configmap <cluster-id>-cluster-config-map: there is a leader; the job runs and completes checkpoints",
		"take --fromSavepoint out again (with Flink's HA data it is not read any more), scale the JobManagers to 2, remove the ConfigMaps of the old service",
	}
}

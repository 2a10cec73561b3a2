// Package kube is the backend for Flink's own Kubernetes HA: the lock is an
// annotation on the ConfigMap <cluster-id>-cluster-config-map, and the leader's
// addresses are in the data of the same object
// (KubernetesLeaderElectionHaServices, fabric8 LeaderElector).
//
// It needs the verbs get, watch and patch on that one ConfigMap. It never
// creates and never deletes it: Flink dies of the one and loses its pointers to
// jobs by the other.
package kube

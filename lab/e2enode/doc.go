// Package e2enode tests the sidecar in real pods: a kubelet, containerd, a
// scheduler and controllers, Flink as UID 9999 beside a native sidecar, service
// accounts with exactly the rights that are documented, in-cluster configuration.
// User IDs, rights, probes, signals and the kubelet's word can be wrong only here.
//
// It needs root and containerd, and runs only if FLINK_HA_LAB_NODE is 1, as make
// e2e sets it. FLINK_HA_LAB_SLOW=1 runs the scenarios that take minutes, and more
// kills in the others.
package e2enode

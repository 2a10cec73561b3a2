// Package lab runs real parts on one machine for the tests, the demo and the
// benchmarks: etcd and kube-apiserver, Flink JobManagers and a TaskManager, the
// sidecar, and faults in all of them. Nothing is simulated, and nothing but a
// [Node] needs root, a container engine or a cluster.
//
// Every part is an ordinary process of this machine. A [Subnet] gives a run
// loopback addresses of its own, so that several runs may go on side by side
// with Flink's usual ports. A process started here dies with the program that
// started it, whatever ends that program.
//
// A [Node] is a whole Kubernetes cluster of one node, with real pods: kubelet,
// containerd, scheduler, controllers, kube-proxy and CoreDNS, in namespaces of
// its own. A [PodCluster] is a Flink cluster in such pods.
//
// Only tests and the programs in lab/cmd import this package. What is downloaded
// or built is kept in a [Cache].
package lab

package lab

import (
	"fmt"
	"os"
	"path/filepath"
)

// Names of the images that a node runs; none of them is in a registry.
const (
	pauseImage   = "docker.io/flink-ha-lab/pause:1"
	hostImage    = "docker.io/flink-ha-lab/host:1"
	corednsImage = "docker.io/flink-ha-lab/coredns:1"
	// SidecarImage is the project's own image on a node.
	SidecarImage = "docker.io/flink-ha-lab/flink-ha-sidecar:1"
)

// containerd in the words of its configuration. A process without
// CAP_SYS_RESOURCE cannot lower an OOM score, hence restrict_oom_score_adj.
const containerdConf = `version = 2
root = "%[1]s/containerd"
state = "%[1]s/containerd-state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
  address = "%[1]s/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "` + pauseImage + `"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "%[2]s"
    conf_dir = "%[1]s/cni"
`

// Pods reach everything through the node, and the node's services are reached
// from one's own pod as well (hairpin).
const cniConf = `{"cniVersion":"0.4.0","name":"lab","plugins":[{"type":"bridge","bridge":"` + bridge + `","isGateway":true,"isDefaultGateway":true,
 "ipMasq":false,"hairpinMode":true,
 "ipam":{"type":"host-local","dataDir":"%[1]s/cni-leases","ranges":[[{"subnet":"` + podSubnet + `","rangeStart":"` + firstPodIP + `"}]]}}]}
`

// The kubelet works on a small machine with cgroup v1, without systemd, and with
// a disk that it need not watch. Containers that crash are started again after
// 10 s at most, where the default goes up to 5 minutes: a suite that kills the
// same container thirty times would wait for hours.
const kubeletConf = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix://%[1]s/containerd.sock
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: %[2]s
enforceNodeAllocatable: []
failSwapOn: false
localStorageCapacityIsolation: false
makeIPTablesUtilChains: false
evictionHard: {memory.available: 100Mi}
imageGCHighThresholdPercent: 100
crashLoopBackOff: {maxContainerRestartPeriod: 10s}
podLogsDir: %[1]s/pod-logs
volumePluginDir: %[1]s/volume-plugins
resolvConf: %[1]s/resolv.conf
clusterDomain: cluster.local
clusterDNS: [` + dnsIP + `]
address: 0.0.0.0
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
`

// writeNodeConf writes everything that the node's processes read at their start.
func (n *Node) writeNodeConf() error {
	for _, dir := range []string{"cni", "pod-logs", "volume-plugins", "images"} {
		if err := os.Mkdir(n.path(dir), 0o755); err != nil {
			return fmt.Errorf("write node's configuration: %w", err)
		}
	}
	for name, content := range map[string]string{
		"containerd.toml":     fmt.Sprintf(containerdConf, n.dir, cniFolder()),
		"cni/10-lab.conflist": fmt.Sprintf(cniConf, n.dir),
		"kubelet.yaml":        fmt.Sprintf(kubeletConf, n.dir, n.cgroups.name),
		// Pods that do not ask the cluster's DNS ask nobody: there is no other
		// network, and a name server that does not answer would be waited for.
		"resolv.conf": "",
	} {
		if err := os.WriteFile(n.path(name), []byte(content), 0o644); err != nil {
			return fmt.Errorf("write node's configuration: %w", err)
		}
	}
	return nil
}

// cniFolder is where the network plugins are: Debian's package has them in
// /usr/lib/cni, the upstream archives go to /opt/cni/bin.
func cniFolder() string {
	for _, dir := range []string{"/usr/lib/cni", "/opt/cni/bin"} {
		if _, err := os.Stat(filepath.Join(dir, "bridge")); err == nil {
			return dir
		}
	}
	return ""
}

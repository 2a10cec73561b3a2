package lab

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"runtime"

	"flink-ha-sidecar/lab/image"
)

//go:embed pods/coredns.yaml
var corednsInPods []byte

// startNetwork makes Services and their names real: kube-proxy, and CoreDNS as a
// Deployment. It does not wait for CoreDNS: nothing that the node itself runs asks
// for names.
func (n *Node) startNetwork(ctx context.Context) error {
	p, err := n.run("kube-proxy", n.binaries["kube-proxy"], "--kubeconfig="+n.KubeConfig(), "--hostname-override="+NodeName,
		"--proxy-mode=iptables", "--cluster-cidr="+podSubnet,
		// Pods that talk to each other through a Service are on one bridge: the
		// answer would take the short way and come from the wrong address.
		"--masquerade-all",
		// The connection table is the whole machine's.
		"--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0", "--conntrack-tcp-timeout-close-wait=0",
		"--healthz-bind-address=127.0.0.1:10256", "--metrics-bind-address=127.0.0.1:10249")
	if err != nil {
		return err
	}
	n.others = append(n.others, p)
	return n.Apply(ctx, "kube-system", corednsInPods)
}

// corednsArchive writes the image of CoreDNS.
func (n *Node) corednsArchive() (string, error) {
	program, err := os.ReadFile(n.binaries[coredns.name])
	if err != nil {
		return "", fmt.Errorf("write images: %w", err)
	}
	archive := n.path("images/coredns.tar")
	_, err = writeImage(image.Image{
		Name: corednsImage, Arch: runtime.GOARCH, Entrypoint: []string{"/coredns"},
		Files: []image.File{{Path: "/coredns", Mode: 0o755, Content: program}},
	}, archive)
	return archive, err
}

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typed "k8s.io/client-go/kubernetes/typed/core/v1"
)

// NodeName is the name of the Node object.
const NodeName = "node1"

// Node is a whole Kubernetes cluster of one node on this machine: control plane,
// scheduler, controllers, containerd and kubelet. Pods on it are real ones. It
// needs root and Debian's containerd; see [CheckNodeNeeds].
//
// It has network, mounts and process IDs of its own. So several nodes may run
// side by side, none touches the machine's network, and when the program that
// started it ends, however that comes, the kernel ends everything on the node.
type Node struct {
	*ControlPlane

	dir      string
	lock     *os.File
	machine  *machine
	cgroups  cgroups
	binaries map[string]string
	progress *Progress

	containerd, kubelet *Process
	others              []*Process
}

// nodePrefix begins the name of a node's folder and that of its cgroup.
const nodePrefix = "flink-ha-node-"

// StartNode starts a node with the given sidecar image, an archive as
// lab/cmd/image writes it, or none if it is empty. ctx bounds the start alone; the
// node then runs until [Node.Stop]. What killed runs left behind is removed first.
func StartNode(ctx context.Context, cache *Cache, sidecarImage string) (_ *Node, err error) {
	if err := CheckNodeNeeds(); err != nil {
		return nil, err
	}
	removeLeftovers()
	n := &Node{progress: cache.progress, binaries: map[string]string{}}
	for _, t := range nodeTools {
		if n.binaries[t.name], err = cache.tool(ctx, t); err != nil {
			return nil, err
		}
	}
	defer func() {
		if err != nil {
			n.Stop(true)
		}
	}()
	if err := n.makeFolder(ctx); err != nil {
		return nil, err
	}
	done := n.progress.Step("start a Kubernetes node")
	defer func() { done(err) }()
	if n.machine, err = newMachine(ctx, n.dir, n.path("pause")); err != nil {
		return nil, err
	}
	if err := n.startControlPlane(ctx, cache); err != nil {
		return nil, err
	}
	if err := n.startContainerd(ctx, sidecarImage); err != nil {
		return nil, err
	}
	if err := n.startKubernetes(ctx); err != nil {
		return nil, err
	}
	return n, n.startNetwork(ctx)
}

func (n *Node) path(name string) string { return filepath.Join(n.dir, name) }

// Dir is the node's folder: logs of its parts, and of its pods in pod-logs.
func (n *Node) Dir() string { return n.dir }

// makeFolder makes the folder, takes its lock, and puts in what the others need.
func (n *Node) makeFolder(ctx context.Context) (err error) {
	if n.dir, err = os.MkdirTemp("", nodePrefix); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	if err := os.Chmod(n.dir, 0o755); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	if n.lock, err = lockNode(n.dir); err != nil {
		return err
	}
	if err := saveSysctls(n.path("sysctls")); err != nil {
		return err
	}
	if n.cgroups, err = makeCgroups("/" + filepath.Base(n.dir)); err != nil {
		return err
	}
	if err := n.writeNodeConf(); err != nil {
		return err
	}
	root, err := ModuleRoot()
	if err != nil {
		return err
	}
	return goBuildStatic(ctx, root, n.path("pause"), "./lab/cmd/pause")
}

func (n *Node) startControlPlane(ctx context.Context, cache *Cache) error {
	dir := n.path("control-plane")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	n.ControlPlane = &ControlPlane{dir: dir, seat: seat{
		site: n.machine.master, host: clusterIP, port: 443, etcd: "127.0.0.1",
		bind: "0.0.0.0", advertise: masterIP, endpoints: "lease",
	}}
	return n.start(ctx, cache)
}

// startContainerd starts it and imports the images.
func (n *Node) startContainerd(ctx context.Context, sidecarImage string) (err error) {
	if n.containerd, err = n.run("containerd", "containerd", "-c", n.path("containerd.toml")); err != nil {
		return err
	}
	err = n.waitUntil(ctx, n.containerd, func(ctx context.Context) error { return n.ctr(ctx, "version") })
	if err != nil {
		return err
	}
	archives, err := n.writeImages()
	if err != nil {
		return err
	}
	if sidecarImage != "" {
		archives = append(archives, sidecarImage)
	}
	for _, archive := range archives {
		if err := n.ctr(ctx, "--namespace", "k8s.io", "images", "import", archive); err != nil {
			return err
		}
	}
	return nil
}

// ctr talks to the node's containerd.
func (n *Node) ctr(ctx context.Context, args ...string) error {
	return n.machine.site.run(ctx, "ctr", append([]string{"--address", n.path("containerd.sock")}, args...)...)
}

// startKubernetes starts what makes pods run, and waits until the node is ready
// and pods can be made.
func (n *Node) startKubernetes(ctx context.Context) (err error) {
	config := "--kubeconfig=" + n.KubeConfig()
	for _, part := range []struct {
		name string
		args []string
	}{
		{"kube-scheduler", []string{config, "--leader-elect=false", "--bind-address=127.0.0.1"}},
		{"kube-controller-manager", []string{
			config, "--leader-elect=false", "--bind-address=127.0.0.1",
			"--service-account-private-key-file=" + n.ControlPlane.path("sa.key"), "--root-ca-file=" + n.caFile(),
		}},
	} {
		p, err := n.run(part.name, n.binaries[part.name], part.args...)
		if err != nil {
			return err
		}
		n.others = append(n.others, p)
	}
	n.kubelet, err = n.run("kubelet", n.binaries["kubelet"], "--config="+n.path("kubelet.yaml"), config,
		"--hostname-override="+NodeName, "--node-ip="+nodeIP, "--root-dir="+n.path("kubelet"))
	if err != nil {
		return err
	}
	return n.waitUntil(ctx, n.kubelet, n.ready)
}

// run starts a process of the node with a log of its own.
func (n *Node) run(name, program string, args ...string) (*Process, error) {
	return start(spec{name: name, path: program, args: args, log: n.path(name + ".log"), site: n.machine.site})
}

// ready returns nil once the node takes pods and the default namespace has a
// service account: pods cannot be made before.
func (n *Node) ready(ctx context.Context) error {
	client, err := n.core()
	if err != nil {
		return err
	}
	node, err := client.Nodes().Get(ctx, NodeName, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if !conditionTrue(node.Status.Conditions, corev1.NodeReady) {
		return errors.New("the node is not ready")
	}
	_, err = client.ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
	return err
}

func conditionTrue(conditions []corev1.NodeCondition, kind corev1.NodeConditionType) bool {
	for _, c := range conditions {
		if c.Type == kind {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// core is the admin's client.
func (n *Node) core() (*typed.CoreV1Client, error) {
	client, err := typed.NewForConfig(n.Config())
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	return client, nil
}

// FreezeKubelet stops the kubelet by SIGSTOP: containers go on, nobody reports
// or ends them.
func (n *Node) FreezeKubelet() error { return n.kubelet.Freeze() }

// ContinueKubelet ends what [Node.FreezeKubelet] began.
func (n *Node) ContinueKubelet() error {
	_, err := n.kubelet.Signal(syscall.SIGCONT)
	return err
}

// Stop ends everything on the node at once and removes what it has made. With
// keep its folder stays, logs and all, until another node is started. It may be
// called twice.
func (n *Node) Stop(keep bool) {
	n.machine.stop()
	if n.ControlPlane != nil {
		n.ControlPlane.Stop()
	}
	if n.dir == "" {
		return
	}
	restoreSysctls(n.path("sysctls"))
	if err := n.cgroups.remove(); err != nil && n.cgroups.name != "" {
		n.progress.Say("%v", err)
	}
	if n.lock != nil {
		n.lock.Close()
	}
	if !keep {
		os.RemoveAll(n.dir)
	}
}

// lockNode takes a node's folder for this process. The kernel frees it when the
// process ends.
func lockNode(dir string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock node: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		file.Close()
		return nil, fmt.Errorf("lock node: %w", err)
	}
	return file, nil
}

// removeLeftovers removes the folders and cgroups of nodes whose program has
// ended. Their processes, mounts and networks have ended with it.
func removeLeftovers() {
	folders, _ := filepath.Glob(filepath.Join(os.TempDir(), nodePrefix+"*"))
	for _, dir := range folders {
		lock, err := lockNode(dir)
		if err != nil {
			continue // in use
		}
		restoreSysctls(filepath.Join(dir, "sysctls"))
		_ = cgroups{name: "/" + filepath.Base(dir)}.remove()
		os.RemoveAll(dir)
		lock.Close()
	}
}

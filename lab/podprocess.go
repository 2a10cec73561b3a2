package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	typed "k8s.io/client-go/kubernetes/typed/core/v1"
)

const mergePatch = types.StrategicMergePatchType

// podClient is the admin's client for one namespace.
type podClient struct {
	Core      typed.CoreV1Interface
	namespace string
}

func newPodClient(n *Node, namespace string) (*podClient, error) {
	client, err := n.core()
	if err != nil {
		return nil, err
	}
	return &podClient{Core: client, namespace: namespace}, nil
}

// Pods is the client for the namespace's pods.
func (p *podClient) Pods() typed.PodInterface { return p.Core.Pods(p.namespace) }

// Pods is the admin's client for the cluster's pods.
func (c *PodCluster) Pods() typed.PodInterface { return c.core.Pods() }

// JobManagers lists the pods of JobManagers, those that are being deleted
// included.
func (c *PodCluster) JobManagers(ctx context.Context) ([]corev1.Pod, error) {
	pods, err := c.Pods().List(ctx, metav1.ListOptions{LabelSelector: "component=jobmanager"})
	if err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	return pods.Items, nil
}

// Leader is the pod of the JobManager that leads, known once it has published its
// dispatcher's address.
func (c *PodCluster) Leader(ctx context.Context) (*corev1.Pod, error) {
	ip := c.Lock.Last().LeaderIP()
	pods, err := c.JobManagers(ctx)
	if err != nil {
		return nil, err
	}
	for _, pod := range pods {
		if ip != "" && pod.Status.PodIP == ip {
			return &pod, nil
		}
	}
	return nil, errNobody
}

// Programs that a pod's containers run, by a part of their command line.
const (
	JobManagerProgram = ".entrypoint.StandaloneApplicationClusterEntryPoint"
	SidecarProgram    = "flink-ha\x00run"
)

// PodProcess is a process in a pod, by this machine's PID.
type PodProcess struct {
	PID    int
	handle *os.Process // by pidfd: never another process
	cgroup string      // of the memory controller
}

// Process finds the one process of a pod that runs a program.
func (c *PodCluster) Process(pod *corev1.Pod, program string) (*PodProcess, error) {
	for _, pid := range c.node.cgroups.under("pod" + string(pod.UID)) {
		if !runs(pid, program) {
			continue
		}
		handle, err := os.FindProcess(pid)
		if err != nil || !runs(pid, program) {
			continue // it has ended
		}
		return &PodProcess{PID: pid, handle: handle, cgroup: cgroupOf(pid, "memory")}, nil
	}
	return nil, fmt.Errorf("pod %s runs no %s", pod.Name, strings.ReplaceAll(program, "\x00", " "))
}

// processes are all of the cluster's, of pods that the API server knows or has
// forgotten.
func (c *PodCluster) processes() []int {
	var pids []int
	for _, pid := range c.node.cgroups.under("kubepods") {
		environ, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if bytes.Contains(environ, []byte("lab.log="+podStorage)) && c.mounts(pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// mounts tells whether a process has this cluster's storage.
func (c *PodCluster) mounts(pid int) bool {
	info, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
	return err == nil && bytes.Contains(info, []byte(filepath.Base(c.dir)+" "+podStorage+" "))
}

// runs tells whether a process lives and has part in its command line.
func runs(pid int, part string) bool {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && bytes.Contains(line, []byte(part))
}

// cgroupOf is the folder of a process's cgroup: of one controller with cgroup v1,
// of all with v2.
func cgroupOf(pid int, controller string) string {
	content, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	for line := range strings.Lines(string(content)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(fields) != 3:
		case fields[1] == controller:
			return filepath.Join(cgroupMount, controller, fields[2])
		case fields[0] == "0" && len(hierarchies()) == 1:
			return filepath.Join(cgroupMount, fields[2])
		}
	}
	return ""
}

// Signal sends the process a signal and returns the time just before.
func (p *PodProcess) Signal(s syscall.Signal) (time.Time, error) {
	at := time.Now()
	if err := p.handle.Signal(s); err != nil {
		return at, fmt.Errorf("signal process %d: %w", p.PID, err)
	}
	return at, nil
}

// Alive tells whether the process has not ended yet.
func (p *PodProcess) Alive() bool {
	return !errors.Is(p.handle.Signal(syscall.Signal(0)), os.ErrProcessDone)
}

// UID is the user that the process runs as.
func (p *PodProcess) UID() (int, error) {
	info, err := os.Stat(fmt.Sprintf("/proc/%d", p.PID))
	if err != nil {
		return 0, fmt.Errorf("read process %d: %w", p.PID, err)
	}
	return int(info.Sys().(*syscall.Stat_t).Uid), nil
}

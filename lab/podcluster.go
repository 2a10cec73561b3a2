package lab

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apps "k8s.io/client-go/kubernetes/typed/apps/v1"
)

// PodOptions say what a [PodCluster] consists of.
type PodOptions struct {
	Node  *Node
	Flink *Flink
	// JobManagers is how many there are; two if zero.
	JobManagers int
	// Inject adds the sidecar to the cluster's manifest; nil: plain Flink.
	Inject func(ctx context.Context, manifest []byte) ([]byte, error)

	RetryPeriod   time.Duration // these three: zero is Flink's default
	LeaseDuration time.Duration
	RenewDeadline time.Duration
	// Extra are further keys of Flink's configuration.
	Extra map[string]string
	// JVM are further arguments of every JVM.
	JVM []string
}

// PodCluster is a Flink cluster in application mode that runs the ticking job in
// real pods: a Deployment of JobManagers, one of a TaskManager, a namespace and a
// service account of their own. Flink runs as UID 9999, as in its official image.
type PodCluster struct {
	Namespace string
	// Settings are as the containers see them.
	Settings *Settings
	Lock     *LockWatch
	Replicas int

	node   *Node
	dir    string // the cluster's storage as this program sees it
	inject bool
	core   *podClient
	apps   apps.AppsV1Interface
	cancel context.CancelFunc
	tasks  sync.WaitGroup
	ends   *processEnds
}

// StartPodCluster applies the cluster and returns at once: see
// [PodCluster.WaitReady]. ctx bounds the start alone; the cluster then runs until
// [PodCluster.Stop].
func StartPodCluster(ctx context.Context, o PodOptions) (_ *PodCluster, err error) {
	if o.JobManagers == 0 {
		o.JobManagers = 2
	}
	id := make([]byte, 4)
	if _, err := rand.Read(id); err != nil {
		return nil, fmt.Errorf("name cluster: %w", err)
	}
	name := "lab-" + hex.EncodeToString(id)
	c := &PodCluster{
		Namespace: name, node: o.Node, dir: o.Node.path(name), Replicas: o.JobManagers, inject: o.Inject != nil, cancel: func() {},
		Settings: &Settings{
			Flink:   &Flink{Version: o.Flink.Version, Lib: podJars, Job: podJob + "/" + filepath.Base(o.Flink.Job), JDK: o.Flink.JDK},
			Backend: Kubernetes, ClusterID: name, Namespace: name, Dir: podStorage,
			RetryPeriod: o.RetryPeriod, LeaseDuration: o.LeaseDuration, RenewDeadline: o.RenewDeadline, Extra: o.Extra, JVM: o.JVM,
		},
	}
	if err := c.makeStorage(); err != nil {
		return nil, err
	}
	if err := c.connect(ctx); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.Stop()
		}
	}()
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.cancel = cancel
	c.tasks.Go(func() { c.Lock.Run(running) })
	c.ends = newProcessEnds(c)
	c.tasks.Go(func() { c.ends.run(running) })
	manifest, err := c.manifest(o)
	if err != nil {
		return nil, err
	}
	if o.Inject != nil {
		if manifest, err = o.Inject(ctx, manifest); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(filepath.Join(c.dir, "manifest.yaml"), manifest, 0o644); err != nil {
		return nil, fmt.Errorf("write manifest: %w", err)
	}
	return c, c.node.Apply(ctx, name, manifest)
}

// Inject adds the sidecar by the program's own subcommand, with the image that
// the node has. binary is the sidecar's, flags are further ones.
func Inject(binary string, flags ...string) func(ctx context.Context, manifest []byte) ([]byte, error) {
	return func(ctx context.Context, manifest []byte) ([]byte, error) {
		args := append([]string{"inject", "--image", SidecarImage, "--image-pull-policy", "Never", "--role", "add"}, flags...)
		cmd := exec.CommandContext(ctx, binary, args...)
		cmd.Stdin = bytes.NewReader(manifest)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("inject the sidecar: %w\n%s", err, lastLines(stderr.String(), 5))
		}
		return out, nil
	}
}

// makeStorage makes the folder that all of the cluster's containers share. They
// run as a user that does not own it.
func (c *PodCluster) makeStorage() error {
	for _, dir := range []string{c.dir, filepath.Join(c.dir, "log"), filepath.Join(c.dir, "tmp")} {
		if err := os.Mkdir(dir, 0o777); err != nil {
			return fmt.Errorf("make storage: %w", err)
		}
		if err := os.Chmod(dir, 0o777); err != nil { // whatever the umask
			return fmt.Errorf("make storage: %w", err)
		}
	}
	return nil
}

// connect makes the clients and the namespace, and waits for what a pod in it
// needs.
func (c *PodCluster) connect(ctx context.Context) (err error) {
	if c.core, err = newPodClient(c.node, c.Namespace); err != nil {
		return err
	}
	if c.apps, err = apps.NewForConfig(c.node.Config()); err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	if c.Lock, err = NewLockWatch(c.node.ControlPlane, c.Namespace, c.Settings.LockName()); err != nil {
		return err
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: c.Namespace}}
	if _, err := c.core.Core.Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("make namespace: %w", err)
	}
	return nil
}

// Stop deletes the pods and waits until the last of their processes has ended;
// the rest of the namespace goes in its own time. It may be called twice.
func (c *PodCluster) Stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	now := int64(0)
	at := metav1.DeleteOptions{GracePeriodSeconds: &now}
	for _, name := range []string{"jobmanager", "taskmanager"} {
		if err := c.apps.Deployments(c.Namespace).Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			c.node.progress.Say("stop cluster: %v", err)
		}
	}
	// Until the controller has heard of it, it replaces what is deleted.
	err := pollUntil(ctx, "the end of the cluster's pods", func() (bool, error) {
		_ = c.core.Pods().DeleteCollection(ctx, at, metav1.ListOptions{})
		pods, err := c.core.Pods().List(ctx, metav1.ListOptions{})
		return err == nil && len(pods.Items) == 0 && len(c.processes()) == 0, nil
	})
	if err != nil {
		c.node.progress.Say("stop cluster: %v", err)
	}
	_ = c.core.Core.Namespaces().Delete(ctx, c.Namespace, metav1.DeleteOptions{})
	c.cancel()
	c.tasks.Wait()
}

// Scale sets the number of JobManagers.
func (c *PodCluster) Scale(ctx context.Context, replicas int) error {
	c.Replicas = replicas
	return c.patchDeployment(ctx, fmt.Sprintf(`{"spec":{"replicas":%d}}`, replicas))
}

// Restart begins a rolling update of the JobManagers, as kubectl rollout restart
// does.
func (c *PodCluster) Restart(ctx context.Context) error {
	return c.patchDeployment(ctx, fmt.Sprintf(
		`{"spec":{"template":{"metadata":{"annotations":{"lab/restarted-at":%q}}}}}`, time.Now().Format(time.RFC3339Nano)))
}

func (c *PodCluster) patchDeployment(ctx context.Context, patch string) error {
	_, err := c.apps.Deployments(c.Namespace).Patch(ctx, "jobmanager", mergePatch, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		return fmt.Errorf("change Deployment jobmanager: %w", err)
	}
	return nil
}

// RolledOut tells whether the last change of the Deployment is complete: all pods
// are of its latest form and available, and no other is left.
func (c *PodCluster) RolledOut(ctx context.Context) (bool, error) {
	d, err := c.apps.Deployments(c.Namespace).Get(ctx, "jobmanager", metav1.GetOptions{})
	if err != nil {
		return false, fmt.Errorf("read Deployment jobmanager: %w", err)
	}
	want := int32(c.Replicas)
	s := d.Status
	return s.ObservedGeneration >= d.Generation && s.UpdatedReplicas == want && s.Replicas == want && available(d) == want, nil
}

func available(d *appsv1.Deployment) int32 { return d.Status.AvailableReplicas }

// Ticks reads what the job has written so far.
func (c *PodCluster) Ticks() ([]Tick, error) { return ReadTicks(filepath.Join(c.dir, "ticks")) }

// Logs are the paths of Flink's logs of one pod, one a run of its JobManager,
// the latest last.
func (c *PodCluster) Logs(pod string) []string {
	logs, _ := filepath.Glob(filepath.Join(c.dir, "log", pod+".*.log"))
	slices.Sort(logs) // named by the time of their start
	return logs
}

// errNobody is what a fault has when there is no JobManager to hit.
var errNobody = errors.New("nobody leads")

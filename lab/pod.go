package lab

import (
	"context"
	"fmt"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

// makeServiceAccount makes what a controller makes in a real cluster: without it
// the API server takes no pod of the namespace.
func (c *ControlPlane) makeServiceAccount(ctx context.Context) error {
	client, err := corev1.NewForConfig(c.Config())
	if err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	account := &v1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
	_, err = client.ServiceAccounts("default").Create(ctx, account, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("make service account: %w", err)
	}
	return nil
}

// makePod writes the Pod of a JobManager, so that its sidecar has one to watch. No
// kubelet looks after it: its status never says that anything runs or has ended.
func (c *ControlPlane) makePod(ctx context.Context, namespace, name string) error {
	client, err := corev1.NewForConfig(c.Config())
	if err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	mount := false
	pod := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1.PodSpec{
		AutomountServiceAccountToken: &mount,
		Containers:                   []v1.Container{{Name: "jobmanager", Image: "none"}, {Name: "flink-ha", Image: "none"}},
	}}
	if _, err := client.Pods(namespace).Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("make pod: %w", err)
	}
	return nil
}

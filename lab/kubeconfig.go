package lab

import (
	"context"
	"errors"
	"fmt"
	"os"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	rbac "k8s.io/client-go/kubernetes/typed/rbac/v1"
)

// KubeConfig is the path of the admin's kubeconfig, namespace "default".
func (c *ControlPlane) KubeConfig() string { return c.adminPath }

// UserKubeConfig gives one more user exactly these rights in one namespace and
// returns the path of that user's kubeconfig and the user's name. Without rules
// the user may do nothing.
func (c *ControlPlane) UserKubeConfig(ctx context.Context, namespace string, rules ...rbacv1.PolicyRule) (path, user string, err error) {
	c.mu.Lock()
	n := c.users
	c.users++
	c.mu.Unlock()
	if n >= userCount {
		return "", "", fmt.Errorf("make user: all %d users of this control plane are given out", userCount)
	}
	user = userName(n)
	path = c.path("kubeconfig-" + user)
	if err := c.writeKubeConfig(path, user, namespace, c.tokens[n+1]); err != nil {
		return "", "", err
	}
	if err := c.Grant(ctx, namespace, user, rules...); err != nil {
		return "", "", err
	}
	return path, user, nil
}

// Grant replaces the rights of a user in one namespace; the API server heeds the
// change within moments, not at once.
func (c *ControlPlane) Grant(ctx context.Context, namespace, user string, rules ...rbacv1.PolicyRule) error {
	client, err := rbac.NewForConfig(c.Config())
	if err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: user}, Rules: rules}
	_, err = client.Roles(namespace).Create(ctx, role, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		_, err = client.Roles(namespace).Update(ctx, role, metav1.UpdateOptions{})
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: user},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}},
	}
	_, errBinding := client.RoleBindings(namespace).Create(ctx, binding, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(errBinding) {
		errBinding = nil
	}
	if err := errors.Join(err, errBinding); err != nil {
		return fmt.Errorf("grant rights to %s: %w", user, err)
	}
	return nil
}

func userName(n int) string { return fmt.Sprintf("lab-user-%d", n) }

func (c *ControlPlane) writeKubeConfig(path, user, namespace, token string) error {
	content := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: lab
contexts:
- name: lab
  context: {cluster: lab, user: %q, namespace: %q}
clusters:
- name: lab
  cluster: {server: %q, certificate-authority: %q}
users:
- name: %q
  user: {token: %q}
`, user, namespace, c.URL(), c.caFile(), user, token)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	return nil
}

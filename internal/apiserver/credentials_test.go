package apiserver_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typed "k8s.io/client-go/kubernetes/typed/core/v1"
	rbac "k8s.io/client-go/kubernetes/typed/rbac/v1"
	"k8s.io/client-go/rest"

	"flink-ha-sidecar/internal/apiserver"
	"flink-ha-sidecar/lab"
	"flink-ha-sidecar/lab/labtest"
)

var lockRef = apiserver.Ref{Namespace: "default", Resource: "configmaps", Name: "x"}

// TestIntegrationCredentialsChange: what a request needs is read when it is made,
// on a real API server.
func TestIntegrationCredentialsChange(t *testing.T) {
	plane := labtest.ControlPlane(t)
	admin := typed.NewForConfigOrDie(plane.Config())
	if _, err := admin.ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "x"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Run("a token is replaced and the old one revoked", func(t *testing.T) { tokenReplaced(t, plane, admin) })
	t.Run("the API server comes back with another certificate", func(t *testing.T) { certificateReplaced(t, plane) })
}

func tokenReplaced(t *testing.T, plane *lab.ControlPlane, admin *typed.CoreV1Client) {
	account(t, plane, admin)
	file := filepath.Join(t.TempDir(), "token")
	old := token(t, admin, "first")
	write(t, file, old)
	config := plane.Config()
	config.BearerToken, config.BearerTokenFile = old, file // as rest.InClusterConfig gives both
	client := newClient(t, config)
	labtest.Until(t, "the account's rights", func() bool { return client.Get(t.Context(), lockRef, &corev1.ConfigMap{}) == nil })

	write(t, file, token(t, admin, "second"))
	if err := admin.Secrets("default").Delete(t.Context(), "first", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	config = plane.Config()
	config.BearerToken = old
	outdated := newClient(t, config)
	labtest.Until(t, "the old token to be refused", func() bool {
		return apierrors.IsUnauthorized(outdated.Get(t.Context(), lockRef, &corev1.ConfigMap{}))
	})
	if err := client.Get(t.Context(), lockRef, &corev1.ConfigMap{}); err != nil {
		t.Errorf("get with the file's new token: %v", err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := client.Get(t.Context(), lockRef, &corev1.ConfigMap{}); err != nil {
		t.Errorf("get while the token's file is missing: %v", err)
	}
}

func certificateReplaced(t *testing.T, plane *lab.ControlPlane) {
	client := newClient(t, plane.Config())
	if err := client.Get(t.Context(), lockRef, &corev1.ConfigMap{}); err != nil {
		t.Fatal(err)
	}
	plane.KillAPIServer()
	if err := plane.RenewCertificate(); err != nil {
		t.Fatal(err)
	}
	if err := client.Get(t.Context(), lockRef, &corev1.ConfigMap{}); err == nil || strings.Contains(err.Error(), "certificate") {
		t.Errorf("get while neither the API server nor the CA file is there: got %v, want the lost connection", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := plane.StartAPIServer(ctx); err != nil {
		t.Fatal(err)
	}
	if err := client.Get(t.Context(), lockRef, &corev1.ConfigMap{}); err != nil {
		t.Errorf("get with the new CA file: %v", err)
	}
}

// account makes a ServiceAccount that may read the lock.
func account(t *testing.T, plane *lab.ControlPlane, admin *typed.CoreV1Client) {
	t.Helper()
	if _, err := admin.ServiceAccounts("default").Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "flink"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	rights := rbac.NewForConfigOrDie(plane.Config())
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "flink"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{"x"}, Verbs: []string{"get"}},
	}}
	if _, err := rights.Roles("default").Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "flink"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "flink"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "default", Name: "flink"}},
	}
	if _, err := rights.RoleBindings("default").Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// token asks for one that is good only as long as a Secret of that name exists.
func token(t *testing.T, admin *typed.CoreV1Client, secret string) string {
	t.Helper()
	s, err := admin.Secrets("default").Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: secret}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		BoundObjectRef: &authenticationv1.BoundObjectReference{Kind: "Secret", APIVersion: "v1", Name: secret, UID: s.UID},
	}}
	request, err = admin.ServiceAccounts("default").CreateToken(t.Context(), "flink", request, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return request.Status.Token
}

func TestTokenFile(t *testing.T) {
	t.Parallel()
	var told atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		told.Store(r.Header.Get("Authorization"))
		http.Error(w, "only listening", http.StatusTeapot)
	}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "token")
	if _, err := apiserver.New(&rest.Config{Host: server.URL, BearerTokenFile: file}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("without any token: got error %v, want one that names %s", err, file)
	}
	write(t, file, "\n")
	if _, err := apiserver.New(&rest.Config{Host: server.URL, BearerTokenFile: file}); err == nil || !strings.Contains(err.Error(), "empty") {
		t.Errorf("with an empty file: got error %v, want one that says so", err)
	}
	write(t, file, "one\n")
	client := newClient(t, &rest.Config{Host: strings.TrimPrefix(server.URL, "http://"), BearerTokenFile: file})
	for _, tt := range []struct{ name, content, want string }{
		{"as it was", "one\n", "Bearer one"},
		{"replaced", "two", "Bearer two"},
		{"being written", "", "Bearer two"},
		{"written", "three", "Bearer three"},
	} {
		write(t, file, tt.content)
		_ = client.Get(t.Context(), lockRef, &corev1.ConfigMap{}) // it only listens
		if got := told.Load(); got != tt.want {
			t.Errorf("%s: the server was told %q, want %q", tt.name, got, tt.want)
		}
	}
}

func newClient(t *testing.T, config *rest.Config) *apiserver.Client {
	t.Helper()
	c, err := apiserver.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

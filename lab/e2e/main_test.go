package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"

	"flink-ha-sidecar/lab"
)

// parts are what all tests share: starting them for each would cost more than
// the tests.
type parts struct {
	control          *lab.ControlPlane
	sidecar, standIn string // binaries
	// kubeConfig is of a user who may get, watch, patch, create and update every
	// ConfigMap and EndpointSlice, so that what a sidecar leaves alone it leaves
	// alone by itself.
	kubeConfig string
}

var (
	once     sync.Once
	common   parts
	startErr error
	dir      string
)

func TestMain(m *testing.M) {
	code := m.Run()
	if common.control != nil {
		common.control.Stop()
	}
	if dir != "" {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// shared returns the parts, started by the first test that asks.
func shared(t *testing.T) *parts {
	t.Helper()
	if testing.Short() {
		t.Skip("needs real parts, which -short leaves out")
	}
	once.Do(func() { startErr = common.start() })
	if startErr != nil {
		t.Fatal(startErr)
	}
	return &common
}

func (p *parts) start() (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute)
	defer cancel()
	progress := lab.NewProgress(os.Stderr)
	if dir, err = os.MkdirTemp("", "flink-ha-e2e-"); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	cache, err := lab.OpenCache(progress)
	if err != nil {
		return err
	}
	if p.sidecar, err = lab.BuildSidecar(ctx, progress, dir, true); err != nil {
		return err
	}
	if p.standIn, err = lab.BuildStandIn(ctx, progress, dir); err != nil {
		return err
	}
	data := filepath.Join(dir, "control-plane")
	if err := os.Mkdir(data, 0o755); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	if p.control, err = lab.StartControlPlane(ctx, cache, data); err != nil {
		return err
	}
	p.kubeConfig, _, err = p.control.UserKubeConfig(ctx, "default", onConfigMaps("get", "watch", "patch", "create", "update"),
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"events"}, Verbs: []string{"create"}},
		rbacv1.PolicyRule{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: []string{"get", "watch", "create", "update"}})
	return err
}

// onConfigMaps is the right to these verbs on every ConfigMap.
func onConfigMaps(verbs ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: verbs}
}

package e2enode

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"flink-ha-sidecar/lab"
)

// parts are what all tests share.
type parts struct {
	node    *lab.Node
	flink   *lab.Flink
	sidecar string // the binary that injects
}

var (
	once     sync.Once
	common   parts
	startErr error
	dir      string
)

func TestMain(m *testing.M) {
	code := m.Run()
	if dir != "" {
		os.RemoveAll(dir)
	}
	if common.node != nil {
		common.node.Stop(code != 0)
		if code != 0 {
			fmt.Fprintln(os.Stderr, "logs and data, until the next node is started:", common.node.Dir())
		}
	}
	os.Exit(code)
}

// shared returns the parts, started by the first test that asks.
func shared(t *testing.T) *parts {
	t.Helper()
	if testing.Short() {
		t.Skip("needs real parts, which -short leaves out")
	}
	if os.Getenv("FLINK_HA_LAB_NODE") != "1" {
		t.Skip("needs root and containerd, and takes minutes; make e2e runs it")
	}
	if err := lab.CheckNodeNeeds(); err != nil {
		t.Skip("no real node on this machine: " + strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	once.Do(func() { startErr = common.start() })
	if startErr != nil {
		t.Fatal(startErr)
	}
	return &common
}

func (p *parts) start() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute)
	defer cancel()
	progress := lab.NewProgress(os.Stderr)
	cache, err := lab.OpenCache(progress)
	if err != nil {
		return err
	}
	if p.flink, err = cache.Flink(ctx, "2.3"); err != nil {
		return err
	}
	if dir, err = os.MkdirTemp("", "flink-ha-e2enode-"); err != nil {
		return err
	}
	if p.sidecar, err = lab.BuildSidecar(ctx, progress, dir, false); err != nil {
		return err
	}
	archive := filepath.Join(dir, "sidecar.tar")
	if _, err := lab.BuildSidecarImage(ctx, lab.SidecarImage, "e2e", runtime.GOARCH, archive); err != nil {
		return err
	}
	p.node, err = lab.StartNode(ctx, cache, archive)
	if err != nil {
		p.node = nil // StartNode has stopped it
	}
	return err
}

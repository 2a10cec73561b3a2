// Package labtest gives tests the parts of the lab: started for one test, stopped
// with it, and with the logs kept where the test failed.
package labtest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"flink-ha-sidecar/lab"
)

// fetchTimeout bounds what is built or downloaded the first time.
const fetchTimeout = 30 * time.Minute

// Cache opens the lab's cache, or skips the test if it was asked to be short.
func Cache(tb testing.TB) *lab.Cache {
	tb.Helper()
	if testing.Short() {
		tb.Skip("needs real parts, which -short leaves out")
	}
	cache, err := lab.OpenCache(lab.NewProgress(os.Stderr))
	if err != nil {
		tb.Fatal(err)
	}
	return cache
}

// Dir makes a folder for logs and data. It is removed with the test, but kept,
// and named, if the test failed.
func Dir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "flink-ha-"+strings.ReplaceAll(tb.Name(), "/", "-")+"-")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("logs and data are in %s", dir)
			return
		}
		os.RemoveAll(dir)
	})
	return dir
}

// ControlPlane starts a control plane for one test and its subtests.
func ControlPlane(tb testing.TB) *lab.ControlPlane {
	tb.Helper()
	cache := Cache(tb)
	ctx, cancel := context.WithTimeout(tb.Context(), fetchTimeout)
	defer cancel()
	c, err := lab.StartControlPlane(ctx, cache, Dir(tb))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Stop)
	return c
}

// Flink gets a Flink distribution.
func Flink(tb testing.TB, version string) *lab.Flink {
	tb.Helper()
	cache := Cache(tb)
	ctx, cancel := context.WithTimeout(tb.Context(), fetchTimeout)
	defer cancel()
	f, err := cache.Flink(ctx, version)
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

var builds sync.Mutex

// Sidecar builds the sidecar with the race detector and returns its path.
func Sidecar(tb testing.TB) string {
	tb.Helper()
	builds.Lock()
	defer builds.Unlock()
	binary, err := lab.BuildSidecar(tb.Context(), lab.NewProgress(os.Stderr), tb.TempDir(), true)
	if err != nil {
		tb.Fatal(err)
	}
	return binary
}

// StandIn builds the stand-in for JobManagers and returns its path.
func StandIn(tb testing.TB) string {
	tb.Helper()
	builds.Lock()
	defer builds.Unlock()
	binary, err := lab.BuildStandIn(tb.Context(), lab.NewProgress(os.Stderr), tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	return binary
}

// Cluster starts a cluster for one test; Dir is set. When the test has ended, its
// ticks are checked: no record lost, and never two leaders of the job at once.
func Cluster(tb testing.TB, o lab.ClusterOptions) *lab.Cluster {
	tb.Helper()
	o.Dir = filepath.Join(Dir(tb), "cluster")
	if err := os.Mkdir(o.Dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	c, err := lab.StartCluster(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		c.Stop()
		ticks, err := lab.ReadTicks(c.Settings.Ticks())
		if err == nil {
			err = lab.CheckTicks(ticks)
		}
		if err != nil {
			tb.Error(err)
		}
	})
	return c
}

// Ready waits until a cluster is ready for a failover and returns its leader.
func Ready(tb testing.TB, c *lab.Cluster) *lab.JobManager {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 3*time.Minute)
	defer cancel()
	leader, err := c.WaitReady(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	return leader
}

// Until waits for a condition, up to a minute.
func Until(tb testing.TB, what string, done func() bool) {
	tb.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for !done() {
		select {
		case <-retry.C:
		case <-tb.Context().Done():
			tb.Fatalf("wait for %s: %v", what, tb.Context().Err())
		case <-deadline.C:
			tb.Fatalf("waited a minute for %s", what)
		}
	}
}

// Read returns the content of a file, empty if it is not there yet.
func Read(tb testing.TB, file string) string {
	tb.Helper()
	content, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		tb.Fatal(err)
	}
	return string(content)
}

// OperatorCRD gets the definition of FlinkDeployments of one version of the Flink
// Kubernetes operator, or skips the test if Maven would be needed and is not there.
func OperatorCRD(tb testing.TB, version string) []byte {
	tb.Helper()
	cache := Cache(tb)
	ctx, cancel := context.WithTimeout(tb.Context(), fetchTimeout)
	defer cancel()
	crd, err := cache.OperatorCRD(ctx, version)
	if errors.Is(err, lab.ErrNoMaven) {
		tb.Skip(err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return crd
}

// Create creates one object, given as YAML, and fails the test if the API server
// refuses it.
func Create(tb testing.TB, c *lab.ControlPlane, object, namespace string, dryRun bool) []byte {
	tb.Helper()
	answer, err := c.Create(tb.Context(), []byte(object), namespace, dryRun)
	if err != nil {
		tb.Fatalf("%v\n%s", err, object)
	}
	return answer
}

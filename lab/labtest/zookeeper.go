package labtest

import (
	"context"
	"os"
	"testing"

	"flink-ha-sidecar/lab"
)

// ZooKeeper starts servers for one test and its subtests; Dir is set. They are
// those of the newest Flink.
func ZooKeeper(t testing.TB, o lab.ZooKeeperOptions) *lab.ZooKeeper {
	t.Helper()
	f := Flink(t, lab.FlinkVersions[0])
	ctx, cancel := context.WithTimeout(t.Context(), fetchTimeout)
	defer cancel()
	o.Dir = Dir(t)
	done := lab.NewProgress(os.Stderr).Step("start ZooKeeper")
	z, err := lab.StartZooKeeper(ctx, f, o)
	done(err)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(z.Stop)
	return z
}

// ZooKeeperStandIn builds the stand-in for JobManagers with ZooKeeper HA and
// returns its path.
func ZooKeeperStandIn(t testing.TB) string {
	t.Helper()
	builds.Lock()
	defer builds.Unlock()
	binary, err := lab.BuildZooKeeperStandIn(t.Context(), lab.NewProgress(os.Stderr), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

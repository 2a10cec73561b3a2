package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

// BenchOptions say what a [Bench] has.
type BenchOptions struct {
	// Name is the program's; the folder is called after it.
	Name string
	// StandIn builds the stand-in for JobManagers.
	StandIn bool
	// Flink is a version, as in "2.3"; empty: none.
	Flink string
	// NoControlPlane leaves etcd and kube-apiserver out.
	NoControlPlane bool
}

// Bench is what the programs of lab/cmd measure with: a folder that is gone
// afterwards, the binaries, and a control plane for all clusters.
type Bench struct {
	Dir      string
	Progress *Progress
	Cache    *Cache
	Control  *ControlPlane // nil if left out
	Flink    *Flink        // nil without a version
	Sidecar  string        // path of the binary, built without the race detector
	StandIn  string        // path of the binary, empty if not asked for
}

// OpenBench gets, builds and starts what the options say. Its [Bench.Close] ends
// all of it.
func OpenBench(ctx context.Context, progress *Progress, o BenchOptions) (_ *Bench, err error) {
	b := &Bench{Progress: progress}
	if b.Dir, err = os.MkdirTemp("", "flink-ha-"+o.Name+"-"); err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	defer func() {
		if err != nil {
			b.Close(ctx, err)
		}
	}()
	if b.Cache, err = OpenCache(progress); err != nil {
		return nil, err
	}
	if b.Sidecar, err = BuildSidecar(ctx, progress, b.Dir, false); err != nil {
		return nil, err
	}
	if o.StandIn {
		if b.StandIn, err = BuildStandIn(ctx, progress, b.Dir); err != nil {
			return nil, err
		}
	}
	if o.Flink != "" {
		if b.Flink, err = b.Cache.Flink(ctx, o.Flink); err != nil {
			return nil, err
		}
	}
	if o.NoControlPlane {
		return b, nil
	}
	dir, err := b.Folder("control-plane")
	if err != nil {
		return nil, err
	}
	b.Control, err = StartControlPlane(ctx, b.Cache, dir)
	return b, err
}

// Folder makes a folder of that name in the bench's own.
func (b *Bench) Folder(name string) (string, error) {
	dir := filepath.Join(b.Dir, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", fmt.Errorf("make folder: %w", err)
	}
	return dir, nil
}

// StartCluster starts a cluster in a folder of that name, on the bench's control
// plane if it has one. What else it consists of is the caller's to say.
func (b *Bench) StartCluster(ctx context.Context, name string, o ClusterOptions) (_ *Cluster, err error) {
	if o.Dir, err = b.Folder(name); err != nil {
		return nil, err
	}
	o.ControlPlane = b.Control
	return StartCluster(ctx, o)
}

// Close stops the control plane and removes the folder. After an error that is
// not ctx's end the folder stays, and is named: it has all logs.
func (b *Bench) Close(ctx context.Context, err error) {
	if b.Control != nil {
		b.Control.Stop()
	}
	if err != nil && ctx.Err() == nil {
		b.Progress.Say("logs and data are in %s", b.Dir)
		return
	}
	os.RemoveAll(b.Dir)
}

// BadSetting is a value in the environment that a program of lab/cmd cannot use.
type BadSetting struct{ Err error }

func (b BadSetting) Error() string { return b.Err.Error() }

// Program is main of a program of lab/cmd. It returns the exit status: 2 if run
// ends with a [BadSetting], 130 after Ctrl-C or SIGTERM, which end its context, 1
// after any other error. A second Ctrl-C ends the program at once, and the kernel
// what it has started.
func Program(name string, w io.Writer, run func(context.Context) error) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	err := run(ctx)
	var bad BadSetting
	switch {
	case errors.As(err, &bad):
		fmt.Fprintf(w, "%s: %v\n", name, err)
		return 2
	case ctx.Err() != nil:
		fmt.Fprintln(w, "ended; everything that was started is stopped")
		return 130
	case err != nil:
		fmt.Fprintf(w, "%s: %v\n", name, err)
		return 1
	}
	return 0
}

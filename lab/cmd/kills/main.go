// Command kills measures how long the lock of a killed leader stays held: from
// the signal until the kernel has taken the process down, and from there until
// the lock is free, by a watch that has nothing to do with the sidecar.
//
// It kills KILLS stand-ins (200) that hold the lock as Flink does and have a
// JVM's size, each with a sidecar and a state of its own so that the damper stays
// out of it, and then JVMS JobManagers of Flink 2.3 that run a job (10). OUT names
// a file for the same as JSON. It exits with 2 if one of them is wrong, with 1 if
// the kills could not be brought to their end, with 130 after Ctrl-C.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"flink-ha-sidecar/lab"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second Ctrl-C ends it at once; the kernel then ends what was started.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Getenv, os.Stdout))
}

func run(ctx context.Context, getenv func(string) string, w io.Writer) int {
	s, err := parseSettings(getenv)
	if err != nil {
		fmt.Fprintln(w, "kills:", err)
		return 2
	}
	err = killAll(ctx, s, w)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(w, "ended; everything that was started is stopped")
		return 130
	case err != nil:
		fmt.Fprintln(w, "kills:", err)
		return 1
	}
	return 0
}

// killAll does all kills, prints the tables and writes OUT.
func killAll(ctx context.Context, s settings, w io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "flink-ha-kills-")
	if err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	defer func() {
		if err != nil && ctx.Err() == nil {
			fmt.Fprintln(w, "logs and data are in", dir)
			return
		}
		os.RemoveAll(dir)
	}()
	k := &killer{dir: dir, progress: lab.NewProgress(w)}
	if err := k.prepare(ctx, s); err != nil {
		return err
	}
	defer k.control.Stop()
	var r result
	if s.kills > 0 {
		if r.StandIns, err = k.standIns(ctx, s.kills); err != nil {
			return err
		}
		r.StandIns.print(w)
	}
	if s.jvms > 0 {
		if r.JVMs, err = k.jvms(ctx, s.jvms); err != nil {
			return err
		}
		r.JVMs.print(w)
	}
	if s.out != "" {
		return r.write(s.out)
	}
	return nil
}

// killer holds what all kills share.
type killer struct {
	dir      string
	progress *lab.Progress

	control          *lab.ControlPlane
	sidecar, standIn string // binaries
	flink            *lab.Flink
	// kubeConfig is of a user for all sidecars: there are fewer users than kills.
	kubeConfig string
}

func (k *killer) prepare(ctx context.Context, s settings) error {
	cache, err := lab.OpenCache(k.progress)
	if err != nil {
		return err
	}
	if k.sidecar, err = lab.BuildSidecar(ctx, k.progress, k.dir, false); err != nil {
		return err
	}
	if k.standIn, err = lab.BuildStandIn(ctx, k.progress, k.dir); err != nil {
		return err
	}
	if s.jvms > 0 {
		if k.flink, err = cache.Flink(ctx, flinkVersion); err != nil {
			return err
		}
	}
	control := filepath.Join(k.dir, "control-plane")
	if err := os.Mkdir(control, 0o755); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	if k.control, err = lab.StartControlPlane(ctx, cache, control); err != nil {
		return err
	}
	rules := lab.SidecarRules("")
	for i := range rules {
		rules[i].ResourceNames = nil // of every cluster to come
	}
	k.kubeConfig, _, err = k.control.UserKubeConfig(ctx, "default", rules...)
	if err != nil {
		k.control.Stop()
	}
	return err
}

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
	"io"
	"os"

	"flink-ha-sidecar/lab"
)

func main() {
	os.Exit(lab.Program("kills", os.Stdout, func(ctx context.Context) error { return run(ctx, os.Getenv, os.Stdout) }))
}

// run does all kills, prints the tables and writes OUT.
func run(ctx context.Context, getenv func(string) string, w io.Writer) (err error) {
	s, err := parseSettings(getenv)
	if err != nil {
		return lab.BadSetting{Err: err}
	}
	o := lab.BenchOptions{Name: "kills", StandIn: true}
	if s.jvms > 0 {
		o.Flink = flinkVersion
	}
	k := &killer{}
	if k.Bench, err = lab.OpenBench(ctx, lab.NewProgress(w), o); err != nil {
		return err
	}
	defer func() { k.Close(ctx, err) }()
	// Of every cluster to come: there are fewer users than kills.
	if k.kubeConfig, _, err = k.Control.UserKubeConfig(ctx, "default", lab.SidecarRules("")...); err != nil {
		return err
	}
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
	*lab.Bench
	kubeConfig string // of a user for all sidecars
}

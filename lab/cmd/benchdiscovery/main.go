// Command benchdiscovery measures what it costs to let many followers know who
// leads, and how long they take to hear: by polling, by watching Flink's own lock,
// by watching the ConfigMap that sidecars publish, and by following the sidecars.
//
// Everything is real but Flink: etcd, kube-apiserver, two sidecars, and followers
// with a connection each. A program writes the lock as Flink writes it.
//
// The environment says what to run: FOLLOWERS (100,1000,5000), SOURCES, FOR (60s),
// CHANGES (20), OUT (docs/benchmarks/discovery.json) and FRESH=1. What stands in OUT
// is not measured again unless FRESH says so, so an interrupted run can be resumed.
// It needs a quiet machine.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second Ctrl-C ends it at once; the kernel then ends what was started.
	context.AfterFunc(ctx, stop)
	if len(os.Args) == 2 && os.Args[1] == crowdArgument {
		os.Exit(crowdMain(ctx, os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(run(ctx, os.Getenv, os.Stdout))
}

func run(ctx context.Context, getenv func(string) string, w io.Writer) int {
	s, err := parseSettings(getenv)
	if err != nil {
		fmt.Fprintln(w, "bench-discovery:", err)
		return 2
	}
	err = measureAll(ctx, s, w)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(w, "ended; what was measured is kept, the same command goes on from there")
		return 130
	case err != nil:
		fmt.Fprintln(w, "bench-discovery:", err)
		return 1
	}
	return 0
}

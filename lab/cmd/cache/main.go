// Command cache fills and empties the lab's cache, and tells what the machine
// lacks. Without it each test and the demo fetch what they need by themselves.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"flink-ha-sidecar/lab"
)

const usage = `usage: cache VERB
  all               everything that tests and demo use
  control-plane     etcd and kube-apiserver
  node              what a whole Kubernetes node runs, etcd and kube-apiserver included
  flink VERSION...  Flink distributions, as in: flink 2.3 1.20.3
  lint              golangci-lint; prints its path
  needs, node-needs nothing: says what the machine lacks
  path              nothing: prints the cache's folder
  clean             removes everything again`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

var errUsage = errors.New(usage)

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	switch err := do(ctx, args, stdout, stderr); {
	case errors.Is(err, errUsage):
		fmt.Fprintln(stderr, err)
		return 2
	case err != nil:
		fmt.Fprintln(stderr, "cache:", err)
		return 1
	}
	return 0
}

func do(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	verb, versions := args[0], args[1:]
	if verb == "needs" {
		return lab.CheckNeeds(ctx)
	}
	if verb == "node-needs" {
		return lab.CheckNodeNeeds()
	}
	cache, err := lab.OpenCache(lab.NewProgress(stderr))
	if err != nil {
		return err
	}
	switch {
	case verb == "all" && len(versions) == 0:
		return all(ctx, cache)
	case verb == "control-plane" && len(versions) == 0:
		return cache.ControlPlane(ctx)
	case verb == "node" && len(versions) == 0:
		return cache.Node(ctx)
	case verb == "flink" && len(versions) > 0:
		return flink(ctx, cache, versions)
	case verb == "lint" && len(versions) == 0:
		path, err := cache.GolangciLint(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintln(stdout, path)
		return nil
	case verb == "path" && len(versions) == 0:
		fmt.Fprintln(stdout, cache.Root())
		return nil
	case verb == "clean" && len(versions) == 0:
		return cache.Clean()
	}
	return errUsage
}

func all(ctx context.Context, cache *lab.Cache) error {
	if err := lab.CheckNeeds(ctx); err != nil {
		return err
	}
	if err := cache.ControlPlane(ctx); err != nil {
		return err
	}
	return flink(ctx, cache, lab.FlinkVersions)
}

func flink(ctx context.Context, cache *lab.Cache, versions []string) error {
	for _, version := range versions {
		if _, err := cache.Flink(ctx, version); err != nil {
			return err
		}
	}
	return nil
}

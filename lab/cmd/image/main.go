// Command image builds the project's image without a container engine, for every
// architecture, and writes one archive each: what docker load, podman load and
// ctr images import read.
//
//	image [--name NAME] [--version VERSION] [--out DIR]
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"flink-ha-sidecar/lab"
	"flink-ha-sidecar/lab/image"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	flags.SetOutput(stderr)
	name := flags.String("name", "docker.io/library/flink-ha-sidecar", "name of the image, without its tag")
	version := flags.String("version", "devel", "its tag, and what flink-ha version says")
	out := flags.String("out", "bin", "folder of the archives")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "image: unexpected argument %q\n", flags.Arg(0))
		return 2
	}
	if err := build(ctx, *name, *version, *out, stdout); err != nil {
		fmt.Fprintln(stderr, "image:", err)
		return 1
	}
	return 0
}

func build(ctx context.Context, name, version, out string, stdout io.Writer) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	for _, arch := range image.Architectures {
		file := filepath.Join(out, "flink-ha-sidecar-"+arch+".tar")
		size, err := lab.BuildSidecarImage(ctx, name+":"+version, version, arch, file)
		if err != nil {
			return err
		}
		fmt.Fprintf(stdout, "%s: %s:%s for linux/%s, %.1f MB compressed\n", file, name, version, arch, float64(size)/1e6)
		if size > image.MaxSidecarSize {
			return fmt.Errorf("the image for %s has %d bytes, at most %d are allowed", arch, size, image.MaxSidecarSize)
		}
	}
	return nil
}

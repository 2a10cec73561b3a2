package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"flink-ha-sidecar/lab/image"
)

// BuildSidecarImage builds the project's image as it stands in the checkout, with
// the given name and for one architecture, and writes it to a file. It returns
// the size of the image as a registry would hold it, in bytes.
func BuildSidecarImage(ctx context.Context, name, version, arch, file string) (size int64, err error) {
	certs, err := image.Certificates()
	if err != nil {
		return 0, err
	}
	root, err := ModuleRoot()
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "flink-ha-image-")
	if err != nil {
		return 0, fmt.Errorf("make folder: %w", err)
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "flink-ha")
	cmd := exec.CommandContext(ctx, "go", append(append([]string{"build"}, image.BuildFlags(version)...), "-o", binary, ".")...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOWORK=off")
	if output, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("build flink-ha for %s: %w\n%s", arch, err, lastLines(string(output), 20))
	}
	program, err := os.ReadFile(binary)
	if err != nil {
		return 0, fmt.Errorf("build image: %w", err)
	}
	return writeImage(image.Sidecar(name, version, arch, program, certs), file)
}

func writeImage(i image.Image, file string) (size int64, err error) {
	f, err := os.Create(file)
	if err != nil {
		return 0, fmt.Errorf("write image: %w", err)
	}
	defer func() {
		if e := f.Close(); e != nil && err == nil {
			err = fmt.Errorf("write image: %w", e)
		}
	}()
	return i.Write(f)
}

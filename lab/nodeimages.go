package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"flink-ha-sidecar/lab/image"
)

// writeImages writes what the node's own containers are made from.
func (n *Node) writeImages() (archives []string, err error) {
	pause, err := os.ReadFile(n.path("pause"))
	if err != nil {
		return nil, fmt.Errorf("write images: %w", err)
	}
	// Containers of the host image see this machine's programs: /usr is mounted
	// into them, and with it the JDK.
	host := []image.File{{Path: "/tmp/", Mode: 0o1777}}
	for _, dir := range []string{"usr", "etc", "opt", "proc", "dev", "sys", "root", "run", "var"} {
		host = append(host, image.File{Path: "/" + dir + "/", Mode: 0o755})
	}
	for _, dir := range []string{"bin", "sbin", "lib", "lib64"} {
		host = append(host, image.File{Path: "/" + dir, Mode: 0o777, Link: "usr/" + dir})
	}
	for _, i := range []image.Image{
		{Name: pauseImage, Entrypoint: []string{"/pause"}, Files: []image.File{{Path: "/pause", Mode: 0o755, Content: pause}}},
		{Name: hostImage, Entrypoint: []string{"/bin/sh"}, Files: host, Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}},
	} {
		i.Arch = runtime.GOARCH
		archive := n.path("images/" + filepath.Base(i.Name) + ".tar")
		if _, err := writeImage(i, archive); err != nil {
			return nil, err
		}
		archives = append(archives, archive)
	}
	archive, err := n.corednsArchive()
	return append(archives, archive), err
}

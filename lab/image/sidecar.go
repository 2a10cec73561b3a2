package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Where the sidecar's image has its two files.
const (
	sidecarBinary = "/flink-ha"
	certificates  = "/etc/ssl/certs/ca-certificates.crt"
)

// Sidecar is the project's image, as the Dockerfile at the root of the checkout
// describes it: binary is the static program for that architecture, certs the CA
// certificates.
func Sidecar(name, version, arch string, binary, certs []byte) Image {
	return Image{
		Name: name,
		Arch: arch,
		Files: []File{
			{Path: sidecarBinary, Mode: 0o755, Content: binary},
			{Path: certificates, Mode: 0o644, Content: certs},
		},
		// The user that the official Flink image runs as, so that signals and
		// /proc/PID/environ work across containers; any other UID will do.
		User:       "9999:9999",
		Entrypoint: []string{sidecarBinary},
		Labels: map[string]string{
			"org.opencontainers.image.title":       "flink-ha-sidecar",
			"org.opencontainers.image.description": "HA sidecar for Apache Flink JobManagers: frees the lock of a dead JobManager at once",
			"org.opencontainers.image.version":     version,
		},
	}
}

// BuildFlags are what the program is built with, by the Dockerfile as well: the
// same source gives the same bytes, wherever it was checked out.
func BuildFlags(version string) []string {
	return []string{"-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X flink-ha-sidecar/internal/command.version=" + version}
}

// Architectures are those that the sidecar's image is made for.
var Architectures = []string{"amd64", "arm64"}

// MaxSidecarSize is how large the compressed image may be, in bytes.
const MaxSidecarSize = 25 << 20

// Certificates returns the CA certificates of this machine, the same bundle that
// the Dockerfile takes from its build stage: of $SSL_CERT_FILE, else Debian's.
func Certificates() ([]byte, error) {
	file := os.Getenv("SSL_CERT_FILE")
	if file == "" {
		file = certificates
	}
	content, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("CA certificates: there is no %s: install ca-certificates, or set SSL_CERT_FILE", file)
	}
	if err != nil {
		return nil, fmt.Errorf("CA certificates: %w", err)
	}
	return content, nil
}

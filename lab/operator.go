package lab

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// operatorJars are the SHA-256 sums of the releases of flink-kubernetes-operator-api
// that the tests use. Its jar holds the operator's CustomResourceDefinitions.
var operatorJars = map[string]string{
	"1.10.0": "b1f44814e17514fa8395c61b329a3ee9087123a5bda5b21fe1a495d5182c30b6",
	"1.7.0":  "3965f6dc59d258fbd03176eacd213b57a49523892ecf3ab1be31d7f266c5b68a",
}

// operatorCRD is the definition of FlinkDeployments, in the jar and in the cache.
const operatorCRD = "flinkdeployments.flink.apache.org-v1.yml"

// mavenCopy is the goal that fetches one artifact, of a version that is the same
// everywhere.
const mavenCopy = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"

// ErrNoMaven is returned by OperatorCRD where Maven is needed and is not installed.
var ErrNoMaven = errors.New("mvn is missing: it downloads the Flink Kubernetes operator's CustomResourceDefinitions; install Maven")

// OperatorCRD returns the definition of FlinkDeployments of one version of the
// Flink Kubernetes operator, downloaded by Maven if it is not there.
func (c *Cache) OperatorCRD(ctx context.Context, version string) ([]byte, error) {
	sum, known := operatorJars[version]
	if !known {
		return nil, fmt.Errorf("unknown version %q of the operator", version)
	}
	dir, err := c.entry(ctx, "flink-operator-"+version, func(ctx context.Context, dir string) (err error) {
		if _, err := exec.LookPath("mvn"); err != nil {
			return ErrNoMaven
		}
		done := c.progress.Step("download the Flink Kubernetes operator's CRD, " + version)
		defer func() { done(err) }()
		return fetchOperatorCRD(ctx, version, sum, dir)
	})
	if err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(dir, operatorCRD))
}

func fetchOperatorCRD(ctx context.Context, version, sum, dir string) error {
	download, err := os.MkdirTemp(dir, "download-")
	if err != nil {
		return fmt.Errorf("download operator: %w", err)
	}
	defer os.RemoveAll(download)
	maven := exec.CommandContext(ctx, "mvn", "--batch-mode", "--quiet", mavenCopy,
		"-Dartifact=org.apache.flink:flink-kubernetes-operator-api:"+version+":jar", "-DoutputDirectory="+download)
	maven.Dir = download // no project's pom.xml may have a say
	if output, err := maven.CombinedOutput(); err != nil {
		return fmt.Errorf("download operator %s: %w\n%s", version, err, lastLines(string(output), 10))
	}
	jar, err := os.ReadFile(filepath.Join(download, "flink-kubernetes-operator-api-"+version+".jar"))
	if err != nil {
		return fmt.Errorf("download operator %s: %w", version, err)
	}
	if got := sha256.Sum256(jar); hex.EncodeToString(got[:]) != sum {
		return fmt.Errorf("download operator %s: the jar's SHA-256 is %x, want %s", version, got, sum)
	}
	archive, err := zip.NewReader(bytes.NewReader(jar), int64(len(jar)))
	if err != nil {
		return fmt.Errorf("unpack operator %s: %w", version, err)
	}
	definition, err := archive.Open("META-INF/fabric8/" + operatorCRD)
	if err != nil {
		return fmt.Errorf("unpack operator %s: %w", version, err)
	}
	defer definition.Close()
	content, err := io.ReadAll(definition)
	if err != nil {
		return fmt.Errorf("unpack operator %s: %w", version, err)
	}
	return os.WriteFile(filepath.Join(dir, operatorCRD), content, 0o644)
}

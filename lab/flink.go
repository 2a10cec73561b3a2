package lab

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Flink is one unpacked Flink distribution with the lab's job compiled for it.
type Flink struct {
	// Version is complete, as in "2.3.0".
	Version string
	// Lib is the folder of the distribution's jars.
	Lib string
	// Job is the jar of the ticking job.
	Job string
	// JDK runs it.
	JDK JDK
}

// FlinkVersions are the versions that the tests run on, the newest first.
var FlinkVersions = []string{"2.3.0", "1.20.3", "1.18.1"}

// flinkLines gives the version that the lab takes for a line of versions.
var flinkLines = map[string]string{"2.3": "2.3.0", "1.20": "1.20.3", "1.18": "1.18.1"}

var completeVersion = regexp.MustCompile(`^\d+\.\d+\.\d+$`)

// FlinkVersion completes a version: "2.3" is 2.3.0, "1.20" is 1.20.3, "1.18" is
// 1.18.1; a complete one stays as it is.
func FlinkVersion(version string) (string, error) {
	if complete, ok := flinkLines[version]; ok {
		return complete, nil
	}
	if completeVersion.MatchString(version) {
		return version, nil
	}
	return "", fmt.Errorf("unknown Flink version %q: give 2.3, 1.20, 1.18 or a complete one as in 2.3.0", version)
}

// Flink returns a Flink distribution, downloaded from PyPI if it is not there:
// the package apache-flink-libraries is the only place with all jars of a release
// in one archive that every Python client can reach (flink-dist is not on Maven
// Central).
func (c *Cache) Flink(ctx context.Context, version string) (*Flink, error) {
	version, err := FlinkVersion(version)
	if err != nil {
		return nil, err
	}
	jdk, err := FindJDK(ctx)
	if err != nil {
		return nil, err
	}
	lib, err := c.entry(ctx, "flink-"+version, func(ctx context.Context, dir string) error {
		return c.fetchFlink(ctx, version, dir)
	})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(tickerSource))
	key := fmt.Sprintf("ticker-%s-%s", version, hex.EncodeToString(sum[:4]))
	job, err := c.entry(ctx, key, func(ctx context.Context, dir string) (err error) {
		done := c.progress.Step("compile the job for Flink " + version)
		defer func() { done(err) }()
		return compileTicker(ctx, jdk, lib, dir)
	})
	if err != nil {
		return nil, err
	}
	return &Flink{Version: version, Lib: lib, Job: filepath.Join(job, "ticker.jar"), JDK: jdk}, nil
}

// fetchFlink downloads and unpacks the jars into dir.
func (c *Cache) fetchFlink(ctx context.Context, version, dir string) (err error) {
	pip, err := pip(ctx)
	if err != nil {
		return err
	}
	download, err := os.MkdirTemp(dir, "download-")
	if err != nil {
		return fmt.Errorf("download Flink: %w", err)
	}
	defer os.RemoveAll(download)

	done := c.progress.Step("download Flink " + version + " from PyPI (about 250 MB)")
	args := append(slices.Clone(pip[1:]), "download", "--quiet", "--no-deps", "--dest", download, "apache-flink-libraries=="+version)
	output, err := exec.CommandContext(ctx, pip[0], args...).CombinedOutput()
	done(err)
	if err != nil {
		return fmt.Errorf("download Flink %s: %w\n%s", version, err, lastLines(string(output), 10))
	}

	done = c.progress.Step("unpack Flink " + version)
	defer func() { done(err) }()
	if wheels, _ := filepath.Glob(filepath.Join(download, "*.whl")); len(wheels) == 1 {
		return unpackWheel(wheels[0], dir)
	}
	if archives, _ := filepath.Glob(filepath.Join(download, "*.tar.gz")); len(archives) == 1 {
		return unpackSdist(archives[0], dir)
	}
	return fmt.Errorf("download Flink %s: pip left neither a wheel nor a tar.gz", version)
}

// unpackWheel takes the jars out of a wheel, where they are in pyflink/lib.
func unpackWheel(file, dir string) error {
	archive, err := zip.OpenReader(file)
	if err != nil {
		return fmt.Errorf("unpack %s: %w", filepath.Base(file), err)
	}
	defer archive.Close()
	for _, f := range archive.File {
		if path.Dir(f.Name) != "pyflink/lib" || path.Ext(f.Name) != ".jar" {
			continue
		}
		content, err := f.Open()
		if err != nil {
			return fmt.Errorf("unpack %s: %w", f.Name, err)
		}
		err = write(filepath.Join(dir, path.Base(f.Name)), content)
		content.Close()
		if err != nil {
			return err
		}
	}
	return checkDist(dir)
}

// unpackSdist takes the jars out of a source archive, where they are in deps/lib.
func unpackSdist(file, dir string) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("unpack Flink: %w", err)
	}
	defer f.Close()
	plain, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("unpack %s: %w", filepath.Base(file), err)
	}
	archive := tar.NewReader(plain)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return checkDist(dir)
		}
		if err != nil {
			return fmt.Errorf("unpack %s: %w", filepath.Base(file), err)
		}
		if strings.HasSuffix(path.Dir(header.Name), "/deps/lib") && path.Ext(header.Name) == ".jar" {
			if err := write(filepath.Join(dir, path.Base(header.Name)), archive); err != nil {
				return err
			}
		}
	}
}

// checkDist tells a package that is built otherwise from one that was unpacked.
func checkDist(dir string) error {
	if found, _ := filepath.Glob(filepath.Join(dir, "flink-dist-*.jar")); len(found) != 1 {
		return errors.New("unpack Flink: the package holds no flink-dist jar")
	}
	return nil
}

func write(file string, content io.Reader) error {
	f, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("unpack Flink: %w", err)
	}
	_, err = io.Copy(f, content)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("unpack %s: %w", filepath.Base(file), err)
	}
	return nil
}

//go:embed ticker/Ticker.java
var tickerSource string

// compileTicker compiles the job against the jars in lib and packs it.
func compileTicker(ctx context.Context, jdk JDK, lib, dir string) error {
	source := filepath.Join(dir, "Ticker.java")
	if err := os.WriteFile(source, []byte(tickerSource), 0o644); err != nil {
		return fmt.Errorf("compile job: %w", err)
	}
	classes := filepath.Join(dir, "classes")
	for _, command := range [][]string{
		{jdk.Javac(), "--release", "11", "-Xlint:-deprecation", "-cp", filepath.Join(lib, "*"), "-d", classes, source},
		{jdk.Jar(), "--create", "--file", filepath.Join(dir, "ticker.jar"), "--main-class", "Ticker", "-C", classes, "."},
	} {
		if output, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("compile job: %w\n%s", err, lastLines(string(output), 20))
		}
	}
	return nil
}

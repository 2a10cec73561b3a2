package lab

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestFlinkVersion(t *testing.T) {
	for given, want := range map[string]string{
		"2.3": "2.3.0", "1.20": "1.20.3", "1.18": "1.18.1", "1.19.2": "1.19.2",
		"": "", "2": "", "latest": "", "2.3.0; rm": "", "v2.3.0": "",
	} {
		got, err := FlinkVersion(given)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("FlinkVersion(%q) = %q, %v; want %q", given, got, err, want)
		}
	}
}

// archived are the names in a package: jars of the distribution, and what a
// package holds beside them.
func archived(prefix string) []string {
	return []string{
		prefix + "flink-dist-9.9.9.jar", prefix + "log4j-core.jar", prefix + "NOTICE", prefix + "deeper/other.jar",
		"examples/example.jar", "../evil.jar",
	}
}

func TestUnpackWheelTakesTheJarsOfLib(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.whl")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	w := zip.NewWriter(f)
	for _, name := range archived("pyflink/lib/") {
		content, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(content, name); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	checkUnpacked(t, unpackWheel, file, "pyflink/lib/")
}

func TestUnpackSdistTakesTheJarsOfLib(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.tar.gz")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	w := tar.NewWriter(z)
	prefix := "apache-flink-libraries-9.9.9/deps/lib/"
	for _, name := range archived(prefix) {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(name))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, name); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	z.Close()
	f.Close()
	checkUnpacked(t, unpackSdist, file, prefix)
}

func checkUnpacked(t *testing.T, unpack func(file, dir string) error, file, prefix string) {
	t.Helper()
	dir := t.TempDir()
	if err := unpack(file, dir); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{"flink-dist-9.9.9.jar", "log4j-core.jar"}; !slices.Equal(names, want) {
		t.Errorf("unpacked %v, want %v", names, want)
	}
	content, err := os.ReadFile(filepath.Join(dir, "log4j-core.jar"))
	if err != nil || string(content) != prefix+"log4j-core.jar" {
		t.Errorf("content %q, %v", content, err)
	}
}

func TestUnpackRefusesAPackageWithoutFlink(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.whl")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := zip.NewWriter(f).Close(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := unpackWheel(file, t.TempDir()); err == nil || !strings.Contains(err.Error(), "flink-dist") {
		t.Errorf("got error %v, want one that names flink-dist", err)
	}
}

func TestFindJDKSaysWhatItFoundInstead(t *testing.T) {
	for name, row := range map[string]struct{ version, want string }{
		"version 17 is taken":                     {"javac 17.0.15", ""},
		"another version is named":                {"javac 25.0.1", "is version 25"},
		"the old way of counting is understood":   {"javac 1.8.0_402", "is version 8"},
		"something that is no compiler is no JDK": {"hello", "is no JDK"},
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			if err := os.Mkdir(filepath.Join(home, "bin"), 0o755); err != nil {
				t.Fatal(err)
			}
			for _, command := range []string{"java", "javac", "jar"} {
				script := "#!/bin/sh\necho '" + row.version + "'\n"
				if err := os.WriteFile(filepath.Join(home, "bin", command), []byte(script), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			jdk, err := firstJDK17(t.Context(), []string{home})
			if row.want == "" {
				if err != nil || jdk.Java() != filepath.Join(home, "bin", "java") {
					t.Errorf("got %v, %v", jdk, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), home+" "+row.want) {
				t.Errorf("got error %v, want one with %q", err, row.want)
			}
		})
	}
}

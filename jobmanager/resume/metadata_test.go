package resume

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"flink-ha-sidecar/lab/labtest"
)

// TestIntegrationWhatFlinkWrites reads what the classes of each Flink write, whole and
// cut off after every single byte.
func TestIntegrationWhatFlinkWrites(t *testing.T) {
	cache := labtest.Cache(t)
	for _, version := range []string{"1.18.1", "1.20.3", "2.3.0"} {
		t.Run(version, func(t *testing.T) {
			flink, err := cache.Flink(t.Context(), version)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			java := exec.CommandContext(t.Context(), flink.JDK.Java(), "-cp", flink.Lib+"/*", "testdata/WriteMetadata.java", dir)
			if out, err := java.CombinedOutput(); err != nil {
				t.Fatalf("write metadata: %v\n%s", err, out)
			}
			files, err := filepath.Glob(filepath.Join(dir, "*"))
			if err != nil || len(files) != 5 {
				t.Fatalf("%d files (%v), want 5", len(files), err)
			}
			for _, file := range files {
				checkCuts(t, file)
			}
		})
	}
}

// checkCuts fails the test unless the file is whole, and no beginning of it is.
func checkCuts(t *testing.T, file string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := Check(bytes.NewReader(content)); err != nil {
		t.Errorf("%s, %d bytes: %v", filepath.Base(file), len(content), err)
	}
	for n := range content {
		if err := Check(bytes.NewReader(content[:n])); err == nil || errors.Is(err, ErrUnknownFormat) {
			t.Fatalf("%s: the first %d of %d bytes count as whole (%v)", filepath.Base(file), n, len(content), err)
		}
	}
}

// TestKeptMetadata does the same with some that the test above has had written.
func TestKeptMetadata(t *testing.T) {
	files, err := filepath.Glob("testdata/*._metadata")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in testdata (%v)", err)
	}
	for _, file := range files {
		checkCuts(t, file)
	}
}

func TestWhatIsNoMetadata(t *testing.T) {
	header := func(version uint32) []byte {
		return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, headerMagic), version)
	}
	for name, c := range map[string]struct {
		content []byte
		says    string
		unknown bool
	}{
		"nothing":                {nil, "ends too early, after 0 bytes", false},
		"zeros":                  {make([]byte, 4096), "does not begin", false},
		"text":                   {[]byte("this is no metadata at all"), "does not begin", false},
		"a later version":        {header(7), "version 7", true},
		"an old version":         {header(2), "version 2", true},
		"a negative count":       {append(header(4), 0, 0, 0, 0, 0, 0, 0, 1, 255, 255, 255, 255), "count is negative", false},
		"a huge count":           {append(header(4), 0, 0, 0, 0, 0, 0, 0, 1, 127, 255, 255, 255), "ends too early", false},
		"zeros after the header": {append(header(4), make([]byte, 4096)...), "no Java object", false},
	} {
		err := Check(bytes.NewReader(c.content))
		if err == nil || !strings.Contains(err.Error(), c.says) || errors.Is(err, ErrUnknownFormat) != c.unknown {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

// FuzzCheck: whatever is in a file, reading it ends, and never with a panic.
func FuzzCheck(f *testing.F) {
	files, _ := filepath.Glob("testdata/*._metadata")
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
		f.Add(slices.Concat(content[:len(content)/2], content))
	}
	f.Fuzz(func(_ *testing.T, content []byte) { _ = Check(bytes.NewReader(content)) })
}

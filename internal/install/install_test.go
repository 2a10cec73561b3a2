package install

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheProgramIsCopiedWhole(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "bin")
	for range 2 { // the second time it replaces the first
		path, err := Install(dir)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(self)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%d bytes were copied, want the %d of the running program", len(got), len(want))
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o755 {
			t.Errorf("mode %v, want 0755", info.Mode())
		}
	}
	mustHold(t, dir, Name)
}

func TestAProgramThatRunsIsReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, err := install("/bin/sleep", dir)
	if err != nil {
		t.Fatal(err)
	}
	running := exec.CommandContext(t.Context(), path, "60")
	if err := running.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		running.Process.Kill() //nolint:errcheck // Wait tells
		running.Wait()         //nolint:errcheck // it was killed
	}()
	if _, err := install("/bin/cat", dir); err != nil {
		t.Errorf("replace a running program: %v", err)
	}
}

func TestWhatCannotBeInstalledIsSaidAndLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		prepare func(t *testing.T, dir string) (target string)
		says    string
		leaves  []string
	}{
		{"no volume", func(_ *testing.T, dir string) string { return filepath.Join(dir, "missing", "bin") }, "is the volume mounted there?", nil},
		{"a file in the folder's place", func(t *testing.T, dir string) string {
			write(t, filepath.Join(dir, "bin"))
			return filepath.Join(dir, "bin")
		}, "it is no folder", []string{"bin"}},
		{"a folder in the file's place", func(t *testing.T, dir string) string {
			if err := os.Mkdir(filepath.Join(dir, Name), 0o755); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, Name, "x"))
			return dir
		}, "flink-ha", []string{Name}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			_, err := Install(tt.prepare(t, dir))
			if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, tt.says)
			}
			mustHold(t, dir, tt.leaves...)
		})
	}
}

func write(t *testing.T, file string) {
	t.Helper()
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func mustHold(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the folder holds %q, want %q", got, want)
	}
}

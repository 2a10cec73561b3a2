package resume

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// put writes metadata, whole, into the folder path below dir, complete age ago.
func put(t *testing.T, dir, path string, age time.Duration) {
	t.Helper()
	content, err := os.ReadFile("testdata/groups-2.3.0._metadata")
	if err != nil {
		t.Fatal(err)
	}
	putContent(t, dir, path, content, age)
}

func putContent(t *testing.T, dir, path string, content []byte, age time.Duration) {
	t.Helper()
	folder := filepath.Join(dir, path)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, metadataFile)
	if err := os.WriteFile(file, content, 0o644); err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-age)
	if err := os.Chtimes(file, at, at); err != nil {
		t.Fatal(err)
	}
}

const (
	jobA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	jobB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

func TestNewest(t *testing.T) {
	half := []byte{0x49, 0x60, 0x67, 0x2d, 0, 0, 0, 6, 0, 0}
	for name, c := range map[string]struct {
		make    func(t *testing.T, dir string)
		want    string // path below dir
		skipped []string
		fails   string
	}{
		"the latest of one job": {func(t *testing.T, dir string) {
			put(t, dir, jobA+"/chk-9", 2*time.Minute)
			put(t, dir, jobA+"/chk-10", time.Minute)
		}, jobA + "/chk-10", nil, ""},
		"within a job the number counts, whatever the clock was": {func(t *testing.T, dir string) {
			put(t, dir, jobA+"/chk-9", time.Minute)
			put(t, dir, jobA+"/chk-10", time.Hour)
		}, jobA + "/chk-10", nil, ""},
		"a later start with smaller numbers": {func(t *testing.T, dir string) {
			put(t, dir, jobA+"/chk-900", time.Hour)
			put(t, dir, jobB+"/chk-3", time.Minute)
		}, jobB + "/chk-3", nil, ""},
		"a start that has not completed any": {func(t *testing.T, dir string) {
			put(t, dir, jobA+"/chk-9", time.Hour)
			for _, d := range []string{jobB + "/chk-10", jobB + "/shared", jobB + "/taskowned"} {
				if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
					t.Fatal(err)
				}
			}
		}, jobA + "/chk-9", nil, ""},
		"what Flink is writing is none": {func(t *testing.T, dir string) {
			put(t, dir, jobA+"/chk-9", time.Hour)
			put(t, dir, jobA+"/chk-10", time.Minute)
			if err := os.Rename(filepath.Join(dir, jobA, "chk-10", metadataFile), filepath.Join(dir, jobA, "chk-10", "."+metadataFile+".inprogress.1")); err != nil {
				t.Fatal(err)
			}
		}, jobA + "/chk-9", nil, ""},
		"one that is half written": {func(t *testing.T, dir string) {
			put(t, dir, jobA+"/chk-9", time.Hour)
			putContent(t, dir, jobA+"/chk-10", half, time.Minute)
			putContent(t, dir, jobA+"/chk-11", nil, time.Second)
		}, jobA + "/chk-9", []string{jobA + "/chk-11", jobA + "/chk-10"}, ""},
		"a half one of a later start: the job before": {func(t *testing.T, dir string) {
			put(t, dir, jobA+"/chk-9", time.Hour)
			putContent(t, dir, jobB+"/chk-10", half, time.Minute)
		}, jobA + "/chk-9", []string{jobB + "/chk-10"}, ""},
		"a savepoint that is later": {func(t *testing.T, dir string) {
			put(t, dir, "checkpoints/"+jobA+"/chk-9", time.Hour)
			put(t, dir, "savepoints/savepoint-aaaaaa-0123456789ab", time.Minute)
		}, "savepoints/savepoint-aaaaaa-0123456789ab", nil, ""},
		"a savepoint that is earlier": {func(t *testing.T, dir string) {
			put(t, dir, jobA+"/chk-9", time.Minute)
			put(t, dir, "savepoint-aaaaaa-0123456789ab", time.Hour)
		}, jobA + "/chk-9", nil, ""},
		"a savepoint between, when the newest is broken": {func(t *testing.T, dir string) {
			put(t, dir, jobA+"/chk-9", time.Hour)
			put(t, dir, "savepoint-aaaaaa-0123456789ab", time.Minute)
			putContent(t, dir, jobA+"/chk-10", half, time.Second)
		}, "savepoint-aaaaaa-0123456789ab", []string{jobA + "/chk-10"}, ""},
		"the directory of one job":     {func(t *testing.T, dir string) { put(t, dir, "chk-3", time.Hour) }, "chk-3", nil, ""},
		"the directory of a savepoint": {func(t *testing.T, dir string) { put(t, dir, ".", time.Hour) }, ".", nil, ""},
		"a format to come": {func(t *testing.T, dir string) {
			putContent(t, dir, jobA+"/chk-3", []byte{0x49, 0x60, 0x67, 0x2d, 0, 0, 0, 99}, time.Minute)
		}, jobA + "/chk-3", nil, ""},
		"broken ones alone": {func(t *testing.T, dir string) { putContent(t, dir, jobA+"/chk-3", half, time.Minute) }, "", []string{jobA + "/chk-3"}, "none of the 1 checkpoints"},
		"nothing":           {func(*testing.T, string) {}, "", nil, "there is no checkpoint"},
		"too deep, and state": {func(t *testing.T, dir string) {
			put(t, dir, "a/b/c/d", time.Hour)
			put(t, dir, jobA+"/shared/chk-1", time.Hour)
		}, "", nil, "there is no checkpoint"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c.make(t, dir)
			found, skipped, err := Newest(dir)
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Fatalf("%+v, %v: want %q", found, err, c.fails)
				}
			} else if err != nil || found.Path != filepath.Join(dir, c.want) {
				t.Fatalf("%+v, %v: want %s", found, err, c.want)
			}
			if len(skipped) != len(c.skipped) {
				t.Fatalf("skipped %v, want %v", skipped, c.skipped)
			}
			for i, s := range skipped {
				if s.Path != filepath.Join(dir, c.skipped[i]) || s.Why == nil {
					t.Errorf("skipped %+v, want %s", s, c.skipped[i])
				}
			}
			if (found.Unchecked != nil) != (name == "a format to come") {
				t.Errorf("unchecked: %v", found.Unchecked)
			}
		})
	}
}

// TestUnreadable: what cannot be read is never taken for nothing.
func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, jobA+"/chk-1", time.Hour)
	file := filepath.Join(dir, jobA, "chk-1", metadataFile)
	for _, path := range []string{filepath.Join(dir, "missing"), file} {
		if _, _, err := Newest(path); err == nil || errors.Is(err, ErrNothing) {
			t.Errorf("%s: %v, want another error", path, err)
		}
	}
	if os.Geteuid() == 0 {
		return // root reads everything
	}
	if err := os.Chmod(filepath.Join(dir, jobA), 0); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(filepath.Join(dir, jobA), 0o755) //nolint:errcheck // or t.TempDir says so
	if _, _, err := Newest(dir); err == nil || errors.Is(err, ErrNothing) {
		t.Errorf("a job's folder that cannot be read: %v", err)
	}
}

func TestCommand(t *testing.T) {
	for _, c := range []struct{ command, want string }{
		{"/docker-entrypoint.sh standalone-job --job-classname J arg", "/docker-entrypoint.sh standalone-job --fromSavepoint P --job-classname J arg"},
		{"/docker-entrypoint.sh standalone-job", "/docker-entrypoint.sh standalone-job --fromSavepoint P"},
		{"/docker-entrypoint.sh standalone-job -s old -j J", "/docker-entrypoint.sh standalone-job --fromSavepoint P -j J"},
		{"/docker-entrypoint.sh standalone-job -Dk=v --fromSavepoint old -n -D k=v", "/docker-entrypoint.sh standalone-job --fromSavepoint P -Dk=v -n -D k=v"},
		{"/docker-entrypoint.sh standalone-job --fromSavepoint=old -j J", "/docker-entrypoint.sh standalone-job --fromSavepoint P -j J"},
		// What is behind the first other word is the job's own.
		{"/docker-entrypoint.sh standalone-job -j J run -s mine", "/docker-entrypoint.sh standalone-job --fromSavepoint P -j J run -s mine"},
		{"/docker-entrypoint.sh standalone-job -j J --mine -s mine", "/docker-entrypoint.sh standalone-job --fromSavepoint P -j J --mine -s mine"},
		{"bin/standalone-job.sh start-foreground -j J", "bin/standalone-job.sh start-foreground --fromSavepoint P -j J"},
		{"java -Dx=y -cp a org.apache.flink.container.entrypoint.StandaloneApplicationClusterEntryPoint --configDir C -s old", "java -Dx=y -cp a org.apache.flink.container.entrypoint.StandaloneApplicationClusterEntryPoint --fromSavepoint P --configDir C"},
	} {
		got, err := Command(strings.Fields(c.command), "P")
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s:\n got %s (%v)\nwant %s", c.command, strings.Join(got, " "), err, c.want)
		}
	}
	for _, command := range []string{"/docker-entrypoint.sh jobmanager", "sh -c standalone-jobs", "java x.StandaloneSessionClusterEntrypoint"} {
		if got, err := Command(strings.Fields(command), "P"); !errors.Is(err, ErrNoPlace) {
			t.Errorf("%s: %v, %v", command, got, err)
		}
		if CanResume(strings.Fields(command)) == nil {
			t.Errorf("%s: can resume", command)
		}
	}
}

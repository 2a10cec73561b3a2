package gatekeeper_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flink-ha-sidecar/internal/control"
	"flink-ha-sidecar/lab/labtest"
)

// gateOutput runs a gate to its end under a sidecar that permits all, and returns its
// status, what its command has written, and its log.
func gateOutput(t *testing.T, binary string, args ...string) (status int, output, log string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	server, err := control.Listen(filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	server.HandlePermit(func(control.PermitRequest, time.Time) control.Permit {
		return control.Permit{Format: control.PermitFormat, Run: true, Epoch: "a", StopMS: 5000, KillMS: 8000}
	})
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	var stdout, stderr strings.Builder
	cmd := exec.CommandContext(ctx, binary, append([]string{"gate", "--socket", server.Path()}, args...)...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", "FLINK_RESUME_FROM=stale")
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()
}

// TestResume runs the program: what the JobManager is started with, and when it is not.
func TestResume(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program, which -short leaves out")
	}
	binary := labtest.Sidecar(t)
	whole, err := os.ReadFile("../../jobmanager/resume/testdata/groups-2.3.0._metadata")
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	write := func(path string, content []byte) string {
		file := filepath.Join(root, path, "_metadata")
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, content, 0o644); err != nil {
			t.Fatal(err)
		}
		return filepath.Dir(file)
	}
	newest := write("good/job/chk-2", whole)
	half := write("good/job/chk-3", whole[:300])
	write("broken/job/chk-3", whole[:300])
	empty := filepath.Join(root, "empty")
	if err := os.Mkdir(empty, 0o755); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(root, "docker-entrypoint.sh")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho \"${FLINK_RESUME_FROM:-fresh} $*\"\n"), 0o755); err != nil { //nolint:gosec // it has to be executable
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		flags  []string
		role   string
		status int
		output string
		says   string
	}{
		{"the newest that is whole", []string{"--resume-from", filepath.Join(root, "good")}, "standalone-job", 0,
			"file://" + newest + " standalone-job --fromSavepoint file://" + newest + " -j Job\n", half},
		{"nothing there", []string{"--resume-from", empty}, "standalone-job", 0, "fresh standalone-job -s old -j Job\n", "nothing to resume from"},
		{"nothing there, and that is refused", []string{"--resume-from", empty, "--resume-required"}, "standalone-job", 1, "", "--resume-required"},
		{"broken ones alone", []string{"--resume-from", filepath.Join(root, "broken")}, "standalone-job", 1, "", "is complete; the JobManager is not started"},
		{"a directory that is not there", []string{"--resume-from", filepath.Join(root, "none")}, "standalone-job", 1, "", "no such file or directory"},
		{"a session cluster", []string{"--resume-from", empty}, "jobmanager", 2, "", "--resume-command works with any command"},
		{"both", []string{"--resume-from", empty, "--resume-command", "x"}, "standalone-job", 2, "", "give one of them"},
		{"with observe", []string{"--observe", "--resume-from", empty}, "standalone-job", 2, "", "Flink resumes by itself"},
		{"a command", []string{"--resume-command", "echo s3://b/chk-7"}, "standalone-job", 0,
			"s3://b/chk-7 standalone-job --fromSavepoint s3://b/chk-7 -j Job\n", "s3://b/chk-7"},
		{"a command, session", []string{"--resume-command", "echo s3://b/chk-7"}, "jobmanager", 0, "s3://b/chk-7 jobmanager -s old -j Job\n", ""},
		{"a command that finds nothing", []string{"--resume-command", "true"}, "standalone-job", 0, "fresh standalone-job -s old -j Job\n", "nothing to resume from"},
		{"a command that fails", []string{"--resume-command", "exit 3"}, "standalone-job", 1, "", "ended with status 3"},
		{"a command that says too much", []string{"--resume-command", "echo a; echo b"}, "standalone-job", 1, "", "it must print one line"},
		{"a command that hangs", []string{"--resume-command", "sleep 60", "--resume-timeout", "300ms"}, "standalone-job", 1, "", "longer than --resume-timeout 300ms"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, output, log := gateOutput(t, binary, append(c.flags, "--", script, c.role, "-s", "old", "-j", "Job")...)
			if status != c.status || output != c.output || !strings.Contains(log, c.says) {
				t.Errorf("status %d, output %q, want %d, %q, and %q in the log:\n%s", status, output, c.status, c.output, c.says, log)
			}
		})
	}
}

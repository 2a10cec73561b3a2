package main

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"flink-ha-sidecar/lab/image"
)

func TestIntegrationImages(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program for two architectures, which -short leaves out")
	}
	var archives [2]map[string][]byte
	for n := range archives {
		dir := t.TempDir()
		var stdout, stderr bytes.Buffer
		// A program of its own: with the race detector in it, packing takes minutes.
		cmd := exec.CommandContext(t.Context(), "go", "run", ".", "--version", "test", "--out", dir)
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil {
			t.Fatalf("%v: %s", err, &stderr)
		}
		archives[n] = map[string][]byte{}
		for _, arch := range image.Architectures {
			name := "flink-ha-sidecar-" + arch + ".tar"
			content, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			archives[n][arch] = content
			if line := name + ": docker.io/library/flink-ha-sidecar:test for linux/" + arch; !strings.Contains(stdout.String(), line) {
				t.Errorf("printed %q, want %q in it", &stdout, line)
			}
		}
		t.Log(stdout.String())
	}
	for _, arch := range image.Architectures {
		if !bytes.Equal(archives[0][arch], archives[1][arch]) {
			t.Errorf("two builds for %s differ", arch)
		}
	}
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		checkProgram(t, archives[0][arch], machine)
	}
}

// checkProgram fails the test unless the archive holds a static program for that
// machine.
func checkProgram(t *testing.T, archive []byte, machine elf.Machine) {
	t.Helper()
	content, err := image.ReadFile(archive, "flink-ha")
	if err != nil {
		t.Fatal(err)
	}
	program, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	if program.Machine != machine {
		t.Errorf("the program is for %v, want %v", program.Machine, machine)
	}
	for _, p := range program.Progs {
		if p.Type == elf.PT_INTERP {
			t.Errorf("the program for %v needs a loader, scratch has none", machine)
		}
	}
}

func TestRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, args := range [][]string{{"--platform", "amd64"}, {"amd64"}} {
		var stdout, stderr bytes.Buffer
		if status := run(t.Context(), args, &stdout, &stderr); status != 2 || stderr.Len() == 0 {
			t.Errorf("%q: status %d, said %q", args, status, &stderr)
		}
	}
}

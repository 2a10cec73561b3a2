package jobmanager

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"flink-ha-sidecar/leader"
)

func someState() State {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC)
	return State{
		Bindings: []leader.Binding{{
			Holder:  "f2f2c5a8-0000-4000-8000-000000000001",
			Process: leader.Process{BootID: "b", PIDNamespace: "pid:[4026531836]", PID: 42, StartTime: 1 << 60, ContainerID: "c"},
			BoundAt: at,
		}},
		Releases: []time.Time{at.Add(time.Second), at.Add(time.Minute)},
	}
}

func TestStateSurvivesARestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "on", "demand")
	if got, err := LoadState(dir); err != nil || len(got.Bindings) != 0 {
		t.Fatalf("LoadState of nothing = %+v, %v, want an empty state", got, err)
	}
	for _, want := range []State{someState(), {}, someState()} {
		if err := SaveState(dir, want); err != nil {
			t.Fatal(err)
		}
		got, err := LoadState(dir)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("LoadState = %+v, %v, want %+v", got, err, want)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left %v (%v), want bindings.json alone", entries, err)
	}
}

func TestUnreadableStateIsKeptAside(t *testing.T) {
	good := filepath.Join(t.TempDir(), "good")
	if err := SaveState(good, someState()); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(good, "bindings.json"))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ content, says string }{
		"an empty file":            {"", "EOF"},
		"half a file":              {string(raw[:len(raw)/2]), "unexpected EOF"},
		"two documents":            {string(raw) + string(raw), "more after the end"},
		"no JSON":                  {"bindings", "invalid character"},
		"a later format":           {strings.Replace(string(raw), `"format": 1`, `"format": 2`, 1), "format 2"},
		"no format":                {"{}", "format 0"},
		"a binding without a PID":  {strings.Replace(string(raw), `"pid": 42`, `"pid": 0`, 1), "binding 1 is incomplete"},
		"a binding without a boot": {strings.Replace(string(raw), `"bootID": "b"`, `"bootID": ""`, 1), "binding 1 is incomplete"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "bindings.json")
			// Twice, so that the second does not overwrite what the first has kept.
			for _, kept := range []string{path + ".corrupt", path + ".corrupt.2"} {
				if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
					t.Fatal(err)
				}
				got, err := LoadState(dir)
				if !errors.Is(err, ErrUnreadableState) || len(got.Bindings) != 0 {
					t.Fatalf("LoadState = %+v, %v, want an empty state and ErrUnreadableState", got, err)
				}
				for _, part := range []string{path, tt.says, kept} {
					if !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "\n") {
						t.Errorf("error %q: want one line with %q", err, part)
					}
				}
				if content, err := os.ReadFile(kept); err != nil || string(content) != tt.content {
					t.Errorf("kept %q, %v, want %q", content, err, tt.content)
				}
				if got, err := LoadState(dir); err != nil || len(got.Bindings) != 0 {
					t.Errorf("second LoadState = %+v, %v, want an empty state", got, err)
				}
			}
			if err := SaveState(dir, someState()); err != nil {
				t.Errorf("SaveState afterwards: %v", err)
			}
		})
	}
}

func TestStateThatCannotBeReadIsNotEmpty(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "bindings.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadState(dir); err == nil || errors.Is(err, ErrUnreadableState) {
		t.Errorf("LoadState of a directory: %v, want an error that stops the sidecar", err)
	}
}

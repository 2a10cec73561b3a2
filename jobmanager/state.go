package jobmanager

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"flink-ha-sidecar/leader"
)

// State is what a sidecar has to know again after its own restart.
type State struct {
	// Bindings say which holder is which process, for ever.
	Bindings []leader.Binding `json:"bindings"`
	// Releases are the times of the recent releases, for the damper.
	Releases []time.Time `json:"releases"`
	// Pause is the last one heard of, which may be over.
	Pause leader.Pause `json:"pause,omitzero"`
}

const (
	stateFile   = "bindings.json"
	stateFormat = 1
	// maxKept bounds the unreadable files that are kept aside.
	maxKept = 100
)

// ErrUnreadableState says that the state file was there but could not be used.
// It has been moved aside, and the sidecar may go on with an empty state.
var ErrUnreadableState = errors.New("unreadable state file")

// stateDocument is the file: State with its format in front.
type stateDocument struct {
	Format int `json:"format"`
	State
}

// SaveState writes s to bindings.json in dir, which is made if it is missing.
// After a crash at any moment the file holds the former state or this one, whole.
func SaveState(dir string, s State) error {
	raw, err := json.MarshalIndent(stateDocument{Format: stateFormat, State: s}, "", "  ")
	if err != nil {
		return fmt.Errorf("encode state: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	path := filepath.Join(dir, stateFile)
	// One name for all: a temporary file left by a crash is overwritten.
	if err := writeSynced(path+".tmp", append(raw, '\n')); err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	if err := syncDir(dir); err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	return nil
}

// LoadState reads what SaveState wrote. A missing file is an empty state. A file
// that cannot be understood, or is of a later format, is an empty state together
// with an error that wraps ErrUnreadableState; the file is kept beside as
// bindings.json.corrupt. Any other error means that nothing is known.
func LoadState(dir string) (State, error) {
	path := filepath.Join(dir, stateFile)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, nil
	}
	if err != nil {
		return State{}, fmt.Errorf("load state: %w", err)
	}
	s, why := decodeState(raw)
	if why == nil {
		return s, nil
	}
	kept, err := setAside(path)
	if err != nil {
		return State{}, fmt.Errorf("load state: %w: %s: %w; it could not be moved aside: %w", ErrUnreadableState, path, why, err)
	}
	return State{}, fmt.Errorf("%w %s: %w; it is treated as empty, so a lock taken before now is left to run out, and kept as %s", ErrUnreadableState, path, why, kept)
}

// decodeState refuses whatever could not have been written whole by SaveState:
// half an identity could be taken for another process.
func decodeState(raw []byte) (State, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	var d stateDocument
	if err := decoder.Decode(&d); err != nil {
		return State{}, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return State{}, errors.New("more after the end of the document")
	}
	if d.Format != stateFormat {
		return State{}, fmt.Errorf("format %d, this version reads %d", d.Format, stateFormat)
	}
	for i, b := range d.Bindings {
		p := b.Process
		if b.Holder == "" || !byContainer(p) && (p.BootID == "" || p.PIDNamespace == "" || p.PID <= 0 || p.StartTime == 0) {
			return State{}, fmt.Errorf("binding %d is incomplete", i+1)
		}
	}
	return d.State, nil
}

// byContainer: the process is known by its container alone, from the kubelet.
func byContainer(p leader.Process) bool {
	return p.ContainerID != "" && p == leader.Process{ContainerID: p.ContainerID}
}

// setAside renames an unreadable file to a name that is free.
func setAside(path string) (string, error) {
	kept := path + ".corrupt"
	for n := 2; n <= maxKept; n++ {
		// Link and remove, since a rename would overwrite what is there.
		err := os.Link(path, kept)
		if err == nil {
			return kept, os.Remove(path)
		}
		if !errors.Is(err, fs.ErrExist) {
			return "", err
		}
		kept = fmt.Sprintf("%s.corrupt.%d", path, n)
	}
	return "", fmt.Errorf("too many files %s.corrupt.*", path)
}

// writeSynced writes a file and waits until it is on the disk.
func writeSynced(path string, raw []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncDir makes a rename in dir last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

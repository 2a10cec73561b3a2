package discovery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// File keeps the document as JSON in a file, for whoever shares it: a container of
// the same pod, or a volume. It is replaced as a whole, so a reader never sees half
// of it. A cluster that is gone leaves no file.
type File struct{ Path string }

var _ Store = File{}

// Name is the file's.
func (f File) Name() string { return "file " + f.Path }

// Kind is "file".
func (f File) Kind() string { return "file" }

// Read returns what the file tells. One that does not parse tells nothing.
func (f File) Read(context.Context) (Object, error) {
	raw, err := os.ReadFile(f.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Object{Seen: true}, nil
	case errors.Is(err, fs.ErrPermission):
		return Object{}, fmt.Errorf("%w: %w", ErrForbidden, err)
	case err != nil:
		return Object{}, err
	}
	o := Object{Seen: true, Exists: true, Version: string(raw), Raw: raw}
	if json.Unmarshal(raw, &o.Leader) != nil {
		o.Leader = Leader{}
	}
	return o, nil
}

// Write replaces the file. A file system knows no conditional replacement, so the
// condition is only looked at just before.
func (f File) Write(ctx context.Context, o Object, l Leader) (Object, error) {
	now, err := f.Read(ctx)
	if err != nil {
		return Object{}, err
	}
	if now.Exists != o.Exists || now.Version != o.Version {
		return Object{}, fmt.Errorf("replace %s: %w", f.Path, ErrConflict)
	}
	if !l.Known() {
		if err := os.Remove(f.Path); err != nil {
			return Object{}, f.refused(err)
		}
		return Object{Seen: true}, nil
	}
	content := encodeFile(l)
	if err := ReplaceFile(f.Path, content); err != nil {
		return Object{}, f.refused(err)
	}
	return Object{Seen: true, Exists: true, Version: string(content), Leader: l, Raw: content}, nil
}

func (f File) refused(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: %w", ErrForbidden, err)
	}
	return fmt.Errorf("%w: %w", ErrRefused, err)
}

// Holds goes by the bytes.
func (f File) Holds(o Object, l Leader) bool {
	raw, is := o.Raw.([]byte)
	return is && bytes.Equal(raw, encodeFile(l))
}

// Watch waits: nobody else is expected to write.
func (f File) Watch(ctx context.Context, _ func(Object), _ func(error)) { <-ctx.Done() }

func encodeFile(l Leader) []byte {
	raw, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		panic(err) // strings, numbers and a time
	}
	return append(raw, '\n')
}

// ReplaceFile writes content to path so that a reader sees the old file or the new
// one, and a crash leaves one of the two.
func ReplaceFile(path string, content []byte) (err error) {
	t, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			t.Close()
			os.Remove(t.Name())
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()
	if _, err = t.Write(content); err != nil {
		return err
	}
	if err = t.Chmod(0o644); err != nil {
		return err
	}
	if err = t.Sync(); err != nil {
		return err
	}
	if err = t.Close(); err != nil {
		return err
	}
	return os.Rename(t.Name(), path)
}

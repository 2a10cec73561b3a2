// Package install copies the running program to where other containers of the
// pod find it.
package install

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Name is the file's name in the folder.
const Name = "flink-ha"

// self is the running program, whatever became of the file it was started from
// (proc(5)).
const self = "/proc/self/exe"

// Install copies the running program to dir/flink-ha, mode 0755, and returns
// that path. The file is there completely or not at all, and one that is there
// already, even running, is replaced. dir is made if its parent exists: a missing
// parent is a volume that is not mounted.
func Install(dir string) (string, error) { return install(self, dir) }

func install(source, dir string) (path string, err error) {
	program, err := os.Open(source)
	if err != nil {
		return "", fmt.Errorf("install: %w", err)
	}
	defer program.Close()
	if err := makeFolder(dir); err != nil {
		return "", err
	}
	temporary, err := os.CreateTemp(dir, "."+Name+"-")
	if err != nil {
		return "", fmt.Errorf("install into %s: %w", dir, err)
	}
	defer func() {
		if err != nil {
			os.Remove(temporary.Name())
		}
	}()
	path = filepath.Join(dir, Name)
	if err := errors.Join(fill(temporary, program), temporary.Close()); err != nil {
		return "", fmt.Errorf("install %s: %w", path, err)
	}
	if err := os.Rename(temporary.Name(), path); err != nil {
		return "", fmt.Errorf("install %s: %w", path, err)
	}
	return path, syncFolder(dir)
}

func makeFolder(dir string) error {
	err := os.Mkdir(dir, 0o755)
	switch {
	case err == nil:
		return os.Chmod(dir, 0o755) // whatever the umask: other users look in here
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("install into %s: %s does not exist; is the volume mounted there?", dir, filepath.Dir(dir))
	case !errors.Is(err, fs.ErrExist):
		return fmt.Errorf("install into %s: %w", dir, err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("install into %s: %w", dir, err)
	}
	if !info.IsDir() {
		return fmt.Errorf("install into %s: it is no folder", dir)
	}
	return nil
}

func fill(file *os.File, from io.Reader) error {
	if _, err := io.Copy(file, from); err != nil {
		return err
	}
	if err := file.Chmod(0o755); err != nil {
		return err
	}
	return file.Sync()
}

// syncFolder makes the rename last.
func syncFolder(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("install into %s: %w", dir, err)
	}
	if err := errors.Join(folder.Sync(), folder.Close()); err != nil {
		return fmt.Errorf("install into %s: %w", dir, err)
	}
	return nil
}

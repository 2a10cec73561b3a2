package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cgroups is one name below the root of each cgroup hierarchy of this machine:
// with cgroup v1 there are several, with v2 one. It has everything that a node's
// kubelet makes, and it is all that a node leaves behind if its program is
// killed.
type cgroups struct {
	name string // with a slash at the front, as the kubelet takes it
}

const cgroupMount = "/sys/fs/cgroup"

// hierarchies are the roots, as in /sys/fs/cgroup/memory.
func hierarchies() []string {
	if _, err := os.Stat(filepath.Join(cgroupMount, "cgroup.controllers")); err == nil {
		return []string{cgroupMount}
	}
	found, _ := filepath.Glob(filepath.Join(cgroupMount, "*", "cgroup.procs"))
	var roots []string
	for _, f := range found {
		// "cpu" may be a link to "cpu,cpuacct": one hierarchy, one folder.
		if root, err := filepath.EvalSymlinks(filepath.Dir(f)); err == nil && !slices.Contains(roots, root) {
			roots = append(roots, root)
		}
	}
	return roots
}

// makeCgroups makes the name in every hierarchy.
func makeCgroups(name string) (cgroups, error) {
	c := cgroups{name: name}
	roots := hierarchies()
	if len(roots) == 0 {
		return c, fmt.Errorf("make cgroups: none are mounted at %s", cgroupMount)
	}
	for _, root := range roots {
		dir := root + name
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return c, fmt.Errorf("make cgroup: %w", err)
		}
		// A cpuset is empty until it is told otherwise, and takes no process then.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			if all, err := os.ReadFile(filepath.Join(root, file)); err == nil {
				_ = os.WriteFile(filepath.Join(dir, file), all, 0o644)
			}
		}
		// A node is many processes; without a share of its own it would get as much
		// of a busy machine as one.
		for file, share := range map[string]string{"cpu.shares": "8192", "cpu.weight": "800"} {
			if present(filepath.Join(dir, file)) {
				_ = os.WriteFile(filepath.Join(dir, file), []byte(share), 0o644)
			}
		}
	}
	return c, nil
}

// removeFor bounds the wait until the kernel has let go of ended processes.
const removeFor = 10 * time.Second

// remove ends every process below the name and removes it everywhere. It may be
// called twice.
func (c cgroups) remove() error {
	retry := time.NewTicker(50 * time.Millisecond)
	defer retry.Stop()
	for deadline := time.Now().Add(removeFor); ; <-retry.C {
		err := c.removeOnce()
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

func (c cgroups) removeOnce() (err error) {
	for _, root := range hierarchies() {
		for _, dir := range c.folders(root + c.name) {
			for _, pid := range processesIn(dir) {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			if e := os.Remove(dir); e != nil && !errors.Is(e, fs.ErrNotExist) {
				err = fmt.Errorf("remove cgroup: %w", e)
			}
		}
	}
	return err
}

// folders are all below dir and dir itself, the deepest first.
func (c cgroups) folders(dir string) []string {
	var dirs []string
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	slices.Reverse(dirs)
	return dirs
}

// under returns the processes, by this program's PIDs, of the cgroups below the
// name that have a folder of that name on their path.
func (c cgroups) under(folder string) []int {
	var pids []int
	root := hierarchies()[0] // each process is in every hierarchy
	for _, dir := range c.folders(root + c.name) {
		if slices.Contains(strings.Split(strings.TrimPrefix(dir, root), "/"), folder) {
			pids = append(pids, processesIn(dir)...)
		}
	}
	return pids
}

func processesIn(dir string) []int {
	content, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	var pids []int
	for _, field := range strings.Fields(string(content)) {
		if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}

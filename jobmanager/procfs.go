package jobmanager

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// procfs reads what this package needs from a mounted /proc.
type procfs struct {
	root string
}

// stat is the part of /proc/PID/stat that is of use here.
type stat struct {
	parent int
	// startTime is field 22: clock ticks since boot. It stays the same over an
	// exec and differs for every later process with the same PID.
	startTime uint64
}

// identity says which kernel and which PID namespace PIDs are counted in.
func (p procfs) identity() (bootID, pidNamespace string, err error) {
	raw, err := os.ReadFile(filepath.Join(p.root, "sys/kernel/random/boot_id"))
	if err != nil {
		return "", "", fmt.Errorf("read boot id: %w", err)
	}
	self, err := os.Readlink(filepath.Join(p.root, "self"))
	if err != nil {
		return "", "", fmt.Errorf("read own PID: %w", err)
	}
	// A /proc of another PID namespace counts PIDs that mean nothing to
	// pidfd_open here.
	if self != strconv.Itoa(os.Getpid()) {
		return "", "", fmt.Errorf("%s belongs to another PID namespace: it calls this process %q, the kernel calls it %d", p.root, self, os.Getpid())
	}
	pidNamespace, err = os.Readlink(filepath.Join(p.root, "self/ns/pid"))
	if err != nil {
		return "", "", fmt.Errorf("read own PID namespace: %w", err)
	}
	return strings.TrimSpace(string(raw)), pidNamespace, nil
}

// pids lists the processes that are visible.
func (p procfs) pids() ([]int, error) {
	dir, err := os.Open(p.root)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	defer dir.Close() // only read
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	pids := make([]int, 0, len(names))
	for _, name := range names {
		if name[0] < '1' || name[0] > '9' {
			continue
		}
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// read appends the file name of process pid to buf and returns the result. A
// process that is gone gives an error for which isGone holds.
func (p procfs) read(pid int, name string, buf []byte) ([]byte, error) {
	f, err := os.Open(p.root + "/" + strconv.Itoa(pid) + "/" + name)
	if err != nil {
		return buf, err
	}
	defer f.Close() // only read
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := f.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if errors.Is(err, io.EOF) {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
}

// stat reads parent and start time of a process.
func (p procfs) stat(pid int) (stat, error) {
	raw, err := p.read(pid, "stat", make([]byte, 0, 512))
	if err != nil {
		return stat{}, err
	}
	return parseStat(raw)
}

// parseStat reads the line of /proc/PID/stat. Field 2 is the name of the
// program in parentheses, which may itself contain spaces and parentheses: the
// fields are counted from the last closing one.
func parseStat(raw []byte) (stat, error) {
	end := bytes.LastIndexByte(raw, ')')
	if end < 0 {
		return stat{}, fmt.Errorf("parse /proc/PID/stat: no program name in %q", raw)
	}
	fields := bytes.Fields(raw[end+1:])
	const parentField, startTimeField, firstField = 4, 22, 3
	if len(fields) <= startTimeField-firstField {
		return stat{}, fmt.Errorf("parse /proc/PID/stat: only %d fields in %q", len(fields)+firstField-1, raw)
	}
	parent, err := strconv.Atoi(string(fields[parentField-firstField]))
	if err != nil {
		return stat{}, fmt.Errorf("parse /proc/PID/stat: parent: %w", err)
	}
	start, err := strconv.ParseUint(string(fields[startTimeField-firstField]), 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("parse /proc/PID/stat: start time: %w", err)
	}
	return stat{parent: parent, startTime: start}, nil
}

// hidePID returns the hidepid option of the /proc mount, empty if every user
// sees every process.
func (p procfs) hidePID() string {
	raw, err := os.ReadFile(filepath.Join(p.root, "self/mountinfo"))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(raw)) {
		fields := strings.Fields(line)
		if len(fields) < 5 || fields[4] != "/proc" {
			continue
		}
		for _, field := range fields[5:] {
			for option := range strings.SplitSeq(field, ",") {
				if v, ok := strings.CutPrefix(option, "hidepid="); ok && v != "0" && v != "off" {
					return option
				}
			}
		}
	}
	return ""
}

// isGone says whether err means that the process was there and has ended, or
// was never there.
func isGone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) || errors.Is(err, errNoProcess)
}

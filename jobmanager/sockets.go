package jobmanager

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Socket is one end of an established TCP connection.
type Socket struct{ Local, Remote netip.AddrPort }

// established is the state of a connection in /proc/net/tcp (TCP_ESTABLISHED).
const established = "01"

// Sockets lists the established TCP connections of a process. Where its open files
// may not be looked at (another user's process), they are those of its whole
// network namespace, and exact is false.
func Sockets(pid int) (sockets []Socket, exact bool, err error) {
	return socketsIn("/proc", pid)
}

func socketsIn(proc string, pid int) (sockets []Socket, exact bool, err error) {
	dir := filepath.Join(proc, strconv.Itoa(pid))
	inodes, err := socketInodes(filepath.Join(dir, "fd"))
	exact = err == nil
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		return nil, false, fmt.Errorf("list sockets of PID %d: %w", pid, err)
	}
	for _, table := range []string{"tcp", "tcp6"} {
		found, err := readTable(filepath.Join(dir, "net", table), func(inode string) bool {
			return !exact || slices.Contains(inodes, inode)
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // no IPv6
			return nil, false, fmt.Errorf("list sockets of PID %d: %w", pid, err)
		}
		sockets = append(sockets, found...)
	}
	return sockets, exact, nil
}

func socketInodes(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var inodes []string
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(dir, e.Name()))
		if errors.Is(err, fs.ErrPermission) {
			return nil, err
		}
		if inode, ok := strings.CutPrefix(target, "socket:["); ok && err == nil {
			inodes = append(inodes, strings.TrimSuffix(inode, "]"))
		}
	}
	return inodes, nil
}

// readTable reads a table as proc_pid_net(5) describes it: columns 1 and 2 are the
// ends, 3 the state, 9 the inode.
func readTable(file string, wanted func(inode string) bool) ([]Socket, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read
	var sockets []Socket
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 || fields[3] != established || fields[9] == "0" || !wanted(fields[9]) {
			continue
		}
		local, errLocal := parseEnd(fields[1])
		remote, errRemote := parseEnd(fields[2])
		if err := errors.Join(errLocal, errRemote); err != nil {
			return nil, err
		}
		sockets = append(sockets, Socket{Local: local, Remote: remote})
	}
	return sockets, lines.Err()
}

// parseEnd reads "0100007F:0CEA": the address as words of the machine's byte order
// (little-endian on all that this runs on), the port as it is.
func parseEnd(text string) (netip.AddrPort, error) {
	host, port, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(host)
	n, portErr := strconv.ParseUint(port, 16, 16)
	if err != nil || portErr != nil || len(raw) != 4 && len(raw) != 16 {
		return netip.AddrPort{}, fmt.Errorf("parse address %q", text)
	}
	for word := range slices.Chunk(raw, 4) {
		slices.Reverse(word)
	}
	address, _ := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(address.Unmap(), uint16(n)), nil
}

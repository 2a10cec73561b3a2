package gate

import (
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The keeper finds its ends of the link at these descriptors.
const (
	memoryFD = 3
	socketFD = 4
)

// link joins guard and keeper: a word of shared memory with the time at which the
// command must be gone, and a socket by which each sees the other's end. Memory and
// not messages, since a stopped reader must neither block the writer nor find old
// times first.
type link struct {
	word   *atomic.Int64
	memory *os.File
	socket net.Conn // the own end
	peer   *os.File // the other end, until it has been handed over
	// C gets a value when the other side has something new, and is closed when it
	// has ended.
	C chan struct{}
}

// newLink makes the guard's end.
func newLink() (*link, error) {
	fd, err := unix.MemfdCreate("flink-ha-gate", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make shared memory: %w", err)
	}
	memory := os.NewFile(uintptr(fd), "memory")
	if err := memory.Truncate(8); err != nil {
		return nil, fmt.Errorf("make shared memory: %w", err)
	}
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make socket: %w", err)
	}
	l, err := openLink(memory, os.NewFile(uintptr(ends[0]), "link"))
	if err != nil {
		return nil, err
	}
	l.peer = os.NewFile(uintptr(ends[1]), "peer")
	return l, nil
}

// keeperLink takes the keeper's end from the descriptors that the guard has left.
func keeperLink() (*link, error) {
	for _, fd := range []int{memoryFD, socketFD} {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC); err != nil {
			return nil, fmt.Errorf("this is for 'flink-ha gate' to start: descriptor %d: %w", fd, err)
		}
	}
	return openLink(os.NewFile(memoryFD, "memory"), os.NewFile(socketFD, "link"))
}

func openLink(memory, socket *os.File) (*link, error) {
	mapped, err := unix.Mmap(int(memory.Fd()), 0, 8, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map shared memory: %w", err)
	}
	conn, err := net.FileConn(socket) // a copy of the descriptor
	socket.Close()
	if err != nil {
		return nil, fmt.Errorf("open socket: %w", err)
	}
	// A page that the kernel has mapped is aligned, and is never given back.
	word := (*atomic.Int64)(unsafe.Pointer(unsafe.SliceData(mapped)))
	return &link{word: word, memory: memory, socket: conn, C: make(chan struct{}, 1)}, nil
}

// run listens for the other side until it has ended.
func (l *link) run() {
	defer close(l.C)
	buffer := make([]byte, 64)
	for {
		if _, err := l.socket.Read(buffer); err != nil {
			return
		}
		select {
		case l.C <- struct{}{}:
		default:
		}
	}
}

// killAt is when the command must be gone; zero: there is none, or no such time.
func (l *link) killAt() Instant { return Instant(l.word.Load()) }

// setKillAt is the keeper's. The guard sets its alarm by the time that it last saw,
// so it is told only of one that is the first, or earlier.
func (l *link) setKillAt(at Instant) {
	was := Instant(l.word.Swap(int64(at)))
	if at == 0 || was != 0 && was <= at {
		return
	}
	// In the background: a stopped guard reads nothing, and the keeper waits for
	// nobody. It is a byte per command, so it will hardly ever block.
	go l.socket.Write([]byte{1}) //nolint:errcheck // the end of the guard is seen in run
}

func (l *link) close() {
	l.socket.Close()
	l.memory.Close()
}

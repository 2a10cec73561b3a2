package server

import (
	"net"
	"net/netip"
	"sync"
)

const (
	// maxConnections bounds the memory that strangers can take up; maxFromOne
	// keeps one of them from taking the kubelet's place.
	maxConnections = 256
	maxFromOne     = 32
)

// limit bounds the connections of l that are open at once. One too many is closed
// at once: a probe that is refused is tried again, one that waits is a failure.
func limit(l net.Listener, all, fromOne int) net.Listener {
	return &limited{Listener: l, all: all, fromOne: fromOne, open: make(map[netip.Addr]int)}
}

type limited struct {
	net.Listener
	all, fromOne int

	mu    sync.Mutex
	total int
	open  map[netip.Addr]int
}

// Accept is net.Listener's.
func (l *limited) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := source(conn)
		if l.enter(from) {
			return &counted{Conn: conn, leave: sync.OnceFunc(func() { l.leave(from) })}, nil
		}
		conn.Close() // one too many
	}
}

func source(conn net.Conn) netip.Addr {
	address, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return address.Addr().Unmap()
}

func (l *limited) enter(from netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total >= l.all || l.open[from] >= l.fromOne {
		return false
	}
	l.total++
	l.open[from]++
	return true
}

func (l *limited) leave(from netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if l.open[from]--; l.open[from] == 0 {
		delete(l.open, from)
	}
}

// counted gives its place back when it is closed.
type counted struct {
	net.Conn
	leave func()
}

// Close is net.Conn's.
func (c *counted) Close() error {
	c.leave()
	return c.Conn.Close()
}

package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// procEvents hears from the kernel when processes are forked and when they end, with the
// kernel's own times (the process events connector, linux/cn_proc.h). It needs root and
// the first PID namespace.
type procEvents struct {
	fd     int
	offset time.Duration // of CLOCK_BOOTTIME before CLOCK_MONOTONIC, which the events have

	mu     sync.Mutex
	forked map[int]time.Duration
	ended  map[int]time.Duration // the last thread's end
	lost   error
}

const (
	netlinkConnector = 11
	cnIdxProc        = 1
	cnValProc        = 1
	procListen       = 1

	eventFork = 0x00000001
	eventExit = 0x80000000

	netlinkHeader   = 16
	connectorHeader = 20
)

// listenProcEvents begins to listen. run must be called, and then close.
func listenProcEvents() (*procEvents, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, netlinkConnector)
	if err != nil {
		return nil, fmt.Errorf("listen for process events: %w", err)
	}
	p := &procEvents{fd: fd, forked: map[int]time.Duration{}, ended: map[int]time.Duration{}}
	var mono unix.Timespec
	if err = unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono); err == nil {
		p.offset = boottime() - time.Duration(mono.Nano())
		err = p.subscribe()
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("listen for process events: %w", err)
	}
	return p, nil
}

func (p *procEvents) subscribe() error {
	if err := unix.Bind(p.fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: cnIdxProc}); err != nil {
		return err
	}
	// Without root it may be no larger than the system says; a lost event is told.
	if err := unix.SetsockoptInt(p.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20); err != nil {
		return err
	}
	if err := unix.SetsockoptTimeval(p.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 50_000}); err != nil {
		return err
	}
	order := binary.NativeEndian
	m := make([]byte, netlinkHeader+connectorHeader+4)
	order.PutUint32(m[0:], uint32(len(m)))
	order.PutUint16(m[4:], unix.NLMSG_DONE)
	order.PutUint32(m[netlinkHeader:], cnIdxProc)
	order.PutUint32(m[netlinkHeader+4:], cnValProc)
	order.PutUint16(m[netlinkHeader+16:], 4)
	order.PutUint32(m[netlinkHeader+connectorHeader:], procListen)
	return unix.Sendto(p.fd, m, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
}

// run takes events until stop is closed.
func (p *procEvents) run(stop <-chan struct{}) {
	defer unix.Close(p.fd)
	buffer := make([]byte, 64<<10)
	for {
		select {
		case <-stop:
			return
		default:
		}
		n, _, err := unix.Recvfrom(p.fd, buffer, 0)
		switch {
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		case err != nil:
			p.mu.Lock()
			p.lost = fmt.Errorf("process events were lost: %w", err)
			p.mu.Unlock()
		default:
			p.take(buffer[:n])
		}
	}
}

// take takes one event: what, cpu, time, and four or more PIDs.
func (p *procEvents) take(m []byte) {
	const body = netlinkHeader + connectorHeader
	if len(m) < body+16+16 {
		return
	}
	order := binary.NativeEndian
	e := m[body:]
	at := time.Duration(order.Uint64(e[8:])) + p.offset
	pid := func(n int) int { return int(int32(order.Uint32(e[16+4*n:]))) }
	p.mu.Lock()
	defer p.mu.Unlock()
	switch order.Uint32(e) {
	case eventFork: // parent's thread and process, child's thread and process
		if thread, process := pid(2), pid(3); thread == process {
			p.forked[process] = at
			delete(p.ended, process)
		}
	case eventExit: // thread and process
		p.ended[pid(1)] = max(p.ended[pid(1)], at)
	}
}

// exact gives a lifespan the kernel's times, if it has told of both ends.
func (p *procEvents) exact(s Lifespan) Lifespan {
	if p == nil {
		return s
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	born, gone := p.forked[s.PID], p.ended[s.PID]
	// The process table's time is the same event's, in ticks.
	if born >= s.Born && born < s.Born+20*time.Millisecond && gone > born && gone <= s.Gone {
		s.Born, s.Gone, s.Exact = born, gone, true
	}
	return s
}

// of is what the kernel has told of a process.
func (p *procEvents) of(pid int, name string) (Lifespan, bool) {
	if p == nil {
		return Lifespan{}, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Lifespan{PID: pid, Name: name, Born: p.forked[pid], Gone: p.ended[pid], Exact: true}
	return s, s.Born > 0 && s.Gone > s.Born
}

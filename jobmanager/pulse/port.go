package pulse

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// Port asks whether a process takes connections at address (host:port): it
// connects, says at once that it has nothing to say, and waits for the other side
// to close. The connection alone would prove nothing, since the kernel completes
// it for a process that is stopped.
func Port(ctx context.Context, address string) Answer {
	a := Answer{Asked: true}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		a.Detail = trouble(err)
		return a
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if tcp, ok := conn.(*net.TCPConn); ok {
		// An error shows in the read.
		_ = tcp.CloseWrite()
	}
	// However this ends before its time: it has written, closed or reset, it lives.
	_, _ = io.CopyN(io.Discard, conn, 1<<10)
	if a.OK = ctx.Err() == nil; !a.OK {
		a.Detail = "no answer in time"
	}
	return a
}

// trouble is the kind of an error of the network, without the addresses and ports
// that differ from one to the next.
func trouble(err error) string {
	var number syscall.Errno
	var network net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return "given up"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "no answer in time"
	case errors.As(err, &number):
		return number.Error()
	}
	return err.Error()
}

package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"flink-ha-sidecar/leader"
)

// Connection is one that a server holds at the moment.
type Connection struct {
	// Client and Server are its ends, the server's as we reached it.
	Client, Server netip.AddrPort
	// Session is as in View.Contenders.
	Session string
	// Received counts the requests and pings that came by it.
	Received uint64
}

const (
	// maxConnections bounds the answer of a server, some 200 bytes a connection.
	maxConnections = 4 << 20
	// askFor bounds the question to one server.
	askFor = time.Second
)

// Connections asks every server for its connections by the four-letter word cons,
// which a server answers only if its 4lw.commands.whitelist names it. Servers that
// do not answer are left out, unless none does: then the error is ErrForbidden or
// ErrUnavailable.
func (b *Backend) Connections(ctx context.Context) ([]Connection, error) {
	answers, err := each(b.o.Servers, func(server string) (answer, error) {
		ctx, cancel := context.WithTimeout(ctx, askFor)
		defer cancel()
		connections, err := b.ask4(ctx, server)
		b.counted("cons", err)
		return answer{connections, err}, nil
	})
	if err != nil {
		return nil, err
	}
	var all []Connection
	var failures []error
	for _, a := range answers {
		all = append(all, a.connections...)
		if a.err != nil {
			failures = append(failures, a.err)
		}
	}
	if len(failures) == len(answers) {
		return nil, errors.Join(failures...)
	}
	return all, nil
}

type answer struct {
	connections []Connection
	err         error
}

func (b *Backend) ask4(ctx context.Context, server string) ([]Connection, error) {
	conn, err := b.dial(ctx, server)
	if err != nil {
		return nil, fmt.Errorf("ask %s for cons: %w: %w", server, leader.ErrUnavailable, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if _, err = io.WriteString(conn, "cons"); err != nil {
		return nil, fmt.Errorf("ask %s for cons: %w: %w", server, leader.ErrUnavailable, err)
	}
	text, err := io.ReadAll(io.LimitReader(conn, maxConnections))
	if err != nil {
		return nil, fmt.Errorf("ask %s for cons: %w: %w", server, leader.ErrUnavailable, err)
	}
	if strings.Contains(string(text), "not in the whitelist") {
		return nil, fmt.Errorf("ask %s for cons: %w: it is not in the server's 4lw.commands.whitelist", server, leader.ErrForbidden)
	}
	remote, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return nil, fmt.Errorf("ask %s for cons: %w: not a TCP connection", server, leader.ErrUnavailable)
	}
	return parseConnections(string(text), unmap(remote.AddrPort())), nil
}

// parseConnections reads lines as
//
//	/10.0.0.5:54494[1](queued=0,recved=124,sent=134,sid=0x10000394c180002,lop=PING,...)
//
// and leaves out those without a session. IPv6 addresses come without brackets.
func parseConnections(text string, server netip.AddrPort) []Connection {
	var all []Connection
	for line := range strings.Lines(text) {
		ends, facts, found := strings.Cut(strings.TrimSpace(line), "[")
		colon := strings.LastIndexByte(ends, ':')
		if !found || colon < 0 || !strings.HasPrefix(ends, "/") {
			continue
		}
		client, err := netip.ParseAddrPort(net.JoinHostPort(ends[1:colon], ends[colon+1:]))
		if err != nil {
			continue
		}
		session, err := parseSession(fact(facts, "sid"))
		if err != nil {
			continue
		}
		received, _ := strconv.ParseUint(fact(facts, "recved"), 10, 64) // 0 if it does not tell
		all = append(all, Connection{Client: unmap(client), Server: server, Session: sessionName(session), Received: received})
	}
	return all
}

// fact is the value of name in "1](queued=0,recved=124,sid=0x1,...)", "" if there
// is none.
func fact(facts, name string) string {
	_, value, found := strings.Cut(facts, name+"=")
	if !found {
		return ""
	}
	return value[:strings.IndexAny(value+",", ",)")]
}

func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

package lab

import (
	"fmt"
	"net"
	"sync"
	"time"
)

// Proxy passes TCP connections on to one address, and breaks them as a test
// asks: it makes the faults of a network that a real server cannot be asked for.
type Proxy struct {
	listener net.Listener
	target   string
	wg       sync.WaitGroup

	mu      sync.Mutex
	changed *sync.Cond
	open    map[net.Conn]struct{}
	refuse  bool
	frozen  bool
	delay   time.Duration
	closed  bool
}

// StartProxy listens at a free port of host and passes on to target. Close ends
// it with all its connections.
func StartProxy(host, target string) (*Proxy, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, fmt.Errorf("start proxy: %w", err)
	}
	p := &Proxy{listener: l, target: target, open: make(map[net.Conn]struct{})}
	p.changed = sync.NewCond(&p.mu)
	p.wg.Go(p.accept)
	return p, nil
}

// Address is where clients connect.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Cut breaks every connection that is open.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		c.Close()
	}
}

// Refuse breaks every connection, and each new one at once, until it is off.
func (p *Proxy) Refuse(on bool) {
	p.set(func() { p.refuse = on })
	if on {
		p.Cut()
	}
}

// Freeze takes connections and bytes, and passes nothing on until it is off.
func (p *Proxy) Freeze(on bool) { p.set(func() { p.frozen = on }) }

// Delay holds each piece back for d on its way to the target.
func (p *Proxy) Delay(d time.Duration) { p.set(func() { p.delay = d }) }

func (p *Proxy) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	p.changed.Broadcast()
}

// Close ends the proxy and waits for what it had started.
func (p *Proxy) Close() {
	p.set(func() { p.closed = true })
	p.listener.Close()
	p.Cut()
	p.wg.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(client) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	defer client.Close()
	if !p.track(client) {
		return
	}
	defer p.untrack(client)
	server, err := net.DialTimeout("tcp", p.target, 5*time.Second)
	if err != nil {
		return
	}
	defer server.Close()
	if !p.track(server) {
		return
	}
	defer p.untrack(server)
	var both sync.WaitGroup
	both.Go(func() { p.pass(server, client); server.Close() })
	both.Go(func() { p.pass(client, server); client.Close() })
	both.Wait()
}

func (p *Proxy) track(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse || p.closed {
		return false
	}
	p.open[c] = struct{}{}
	return true
}

func (p *Proxy) untrack(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, c)
}

func (p *Proxy) pass(to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			time.Sleep(p.hold())
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// hold waits while the proxy is frozen and returns the delay in force.
func (p *Proxy) hold() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.frozen && !p.closed {
		p.changed.Wait()
	}
	return p.delay
}

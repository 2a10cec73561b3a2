package lab

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Service stands in for a Kubernetes Service without a kube-proxy: an address whose
// ports lead to whichever of its backends takes the connection. Of JobManagers behind
// gates that is the leader, since no other runs.
type Service struct {
	backends  []string
	listeners []net.Listener
	wg        sync.WaitGroup

	mu   sync.Mutex
	open map[net.Conn]struct{} // nil once it is closed
}

// StartService listens at these ports of address.
func StartService(address string, backends []string, ports ...int) (*Service, error) {
	s := &Service{backends: slices.Clone(backends), open: map[net.Conn]struct{}{}}
	for _, port := range ports {
		l, err := net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(port)))
		if err != nil {
			s.Close()
			return nil, fmt.Errorf("start service: %w", err)
		}
		s.listeners = append(s.listeners, l)
		s.wg.Go(func() { s.accept(l, strconv.Itoa(port)) })
	}
	return s, nil
}

// Close ends it with all its connections.
func (s *Service) Close() {
	for _, l := range s.listeners {
		l.Close()
	}
	s.mu.Lock()
	for c := range s.open {
		c.Close()
	}
	s.open = nil
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *Service) accept(l net.Listener, port string) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		s.wg.Go(func() { s.serve(client, port) })
	}
}

func (s *Service) serve(client net.Conn, port string) {
	defer client.Close()
	for _, backend := range s.backends {
		server, err := net.DialTimeout("tcp", net.JoinHostPort(backend, port), time.Second)
		if err != nil {
			continue
		}
		defer server.Close()
		if !s.track(client, server) {
			return
		}
		defer s.untrack(client, server)
		var both sync.WaitGroup
		both.Go(func() { join(server, client) })
		both.Go(func() { join(client, server) })
		both.Wait()
		return
	}
}

// join passes on in one direction, and its end to both sides.
func join(to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	to.Close()
	from.Close()
}

func (s *Service) track(connections ...net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		return false
	}
	for _, c := range connections {
		s.open[c] = struct{}{}
	}
	return true
}

func (s *Service) untrack(connections ...net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range connections {
		delete(s.open, c)
	}
}

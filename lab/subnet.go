package lab

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Subnet is a set of loopback addresses, 127.x.y.1 to 127.x.y.254, that no other
// run on this machine uses at the same time. So every part of a run can have an
// address of its own, as in a cluster, and the usual ports.
type Subnet struct {
	x, y  int
	guard net.Listener
}

// guardPort is held on address 255 of each subnet in use. The kernel gives it to
// one run, and takes it back however that run ends.
const guardPort = 6100

// ReserveSubnet takes a subnet that is free.
func ReserveSubnet() (*Subnet, error) {
	var last error
	for range 100 {
		s := &Subnet{x: 16 + rand.IntN(224), y: rand.IntN(256)}
		if s.guard, last = net.Listen("tcp4", net.JoinHostPort(s.IP(255), strconv.Itoa(guardPort))); last == nil {
			return s, nil
		}
	}
	return nil, fmt.Errorf("reserve loopback addresses: %w", last)
}

// IP is the address 127.x.y.n of the subnet.
func (s *Subnet) IP(n int) string { return fmt.Sprintf("127.%d.%d.%d", s.x, s.y, n) }

// Close gives the addresses back; do so once nothing uses them.
func (s *Subnet) Close() error {
	if s == nil || s.guard == nil {
		return nil
	}
	if err := s.guard.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("release loopback addresses: %w", err)
	}
	return nil
}

// Addresses of a run within its subnet.
const (
	controlPlaneHost = 1
	firstJobManager  = 11 // and 12, 13, ...
	firstTaskManager = 101
)

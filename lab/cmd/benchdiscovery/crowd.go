package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// crowdArgument makes this program a crowd of followers.
const crowdArgument = "crowd"

const (
	// crowdSize is how many followers one process carries.
	crowdSize = 2500
	// arriving is how many of them connect at a time.
	arriving = 32
)

// assignment is what a crowd is told in the first line of its input.
type assignment struct {
	Kind       string   `json:"kind"`
	Followers  int      `json:"followers"`
	KubeConfig string   `json:"kubeconfig"`
	Lock       string   `json:"lock"`
	Published  string   `json:"published"`
	Sidecars   []string `json:"sidecars"`
}

// heard is what a crowd tells at the end: for each leader session the times, in
// microseconds of Unix time, at which a follower knew it.
type heard struct {
	Sessions map[string][]int64 `json:"sessions"`
	Bytes    int64              `json:"bytes"`
	Lost     int64              `json:"lost"`
}

// crowd is many followers.
type crowd struct {
	assignment
	bytes, lost atomic.Int64

	mu       sync.Mutex
	known    int
	sessions map[string][]int64
}

// crowdMain runs a crowd: an assignment comes in, "ready" goes out once every
// follower knows a leader; "begin" comes in, what was heard until then is forgotten;
// "end" comes in, what was heard since goes out.
func crowdMain(ctx context.Context, in io.Reader, out, errs io.Writer) int {
	lines := bufio.NewScanner(in)
	c := &crowd{sessions: map[string][]int64{}}
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &c.assignment) != nil {
		fmt.Fprintln(errs, "crowd: no assignment")
		return 2
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	if err := c.gather(ctx, &all); err != nil {
		fmt.Fprintln(errs, "crowd:", err)
		return 1
	}
	fmt.Fprintln(out, "ready")
	for lines.Scan() {
		switch lines.Text() {
		case "begin":
			c.forget()
		case "end":
			if err := json.NewEncoder(out).Encode(c.tell()); err != nil {
				return 1
			}
			return 0
		}
	}
	return 1 // nobody is interested any more
}

// gather starts all followers, some at a time, and waits until each knows a leader.
func (c *crowd) gather(ctx context.Context, all *sync.WaitGroup) error {
	follow, err := c.follower()
	if err != nil {
		return err
	}
	door := make(chan struct{}, arriving)
	for range c.Followers {
		select {
		case door <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		all.Go(func() {
			last := -1
			knows := func(session string) {
				if last < 0 {
					<-door
					c.count()
				}
				last = c.hear(session, last)
			}
			for ctx.Err() == nil {
				if err := follow(ctx, knows); ctx.Err() == nil {
					c.lost.Add(1)
					_ = err // what is counted is told
					_ = sleep(ctx, rand.N(time.Second))
				}
			}
		})
	}
	for ctx.Err() == nil && c.present() < c.Followers {
		_ = sleep(ctx, 20*time.Millisecond)
	}
	return ctx.Err()
}

func (c *crowd) count() { c.mu.Lock(); defer c.mu.Unlock(); c.known++ }

func (c *crowd) present() int { c.mu.Lock(); defer c.mu.Unlock(); return c.known }

// hear notes that a follower knows a leader; last is the number of the one it knew
// before, -1 for none. Who has missed some in between is late for all of them.
func (c *crowd) hear(name string, last int) int {
	number, now := numberOf(name), time.Now().UnixMicro()
	c.mu.Lock()
	defer c.mu.Unlock()
	first := last + 1
	if last < 0 {
		first = number
	}
	for n := first; n <= number; n++ {
		c.sessions[session(n)] = append(c.sessions[session(n)], now)
	}
	return max(number, last)
}

func (c *crowd) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sessions = map[string][]int64{}
	c.bytes.Store(0)
	c.lost.Store(0)
}

func (c *crowd) tell() heard {
	c.mu.Lock()
	defer c.mu.Unlock()
	return heard{Sessions: c.sessions, Bytes: c.bytes.Load(), Lost: c.lost.Load()}
}

// dial opens a connection whose bytes are counted.
func (c *crowd) dial(ctx context.Context, network, address string) (net.Conn, error) {
	// A sidecar takes some connections from one address only; in a cluster each
	// follower has its own, and here it draws one.
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, byte(1+rand.IntN(15)), byte(rand.IntN(256)), byte(1+rand.IntN(254)))}}
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return counted{conn, &c.bytes}, nil
}

type counted struct {
	net.Conn
	bytes *atomic.Int64
}

func (c counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.bytes.Add(int64(n))
	return n, err
}

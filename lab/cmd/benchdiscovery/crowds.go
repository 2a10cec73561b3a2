package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// crowds are the processes that carry the followers of one cell.
type crowds []*member

type member struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// gatherWithin bounds the time until every follower knows a leader.
const gatherWithin = 10 * time.Minute

// gather starts them, and returns when every follower knows a leader.
func gather(ctx context.Context, s *site, c cell) (_ crowds, err error) {
	ctx, cancel := context.WithTimeout(ctx, gatherWithin)
	defer cancel()
	var all crowds
	defer func() {
		if err != nil {
			all.end()
		}
	}()
	for left := c.followers; left > 0; left -= crowdSize {
		m, err := newMember(assignment{
			Kind: c.kind, Followers: min(left, crowdSize), KubeConfig: s.kubeConfig, Sidecars: s.bases(),
			Lock: cluster + "-cluster-config-map", Published: cluster + "-ha-leader",
		})
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	ready := make(chan error, len(all))
	for _, m := range all {
		go func() {
			line, err := m.out.ReadString('\n')
			if err == nil && line != "ready\n" {
				err = fmt.Errorf("it said %q", line)
			}
			ready <- err
		}()
	}
	for range all {
		select {
		case err := <-ready:
			if err != nil {
				return nil, fmt.Errorf("gather followers: %w", err)
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("gather followers: %w", ctx.Err())
		}
	}
	return all, nil
}

func newMember(a assignment) (*member, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start followers: %w", err)
	}
	m := &member{cmd: exec.Command(self, crowdArgument)}
	m.cmd.Stderr = os.Stderr
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the parent; this one ends with its input
	if m.in, err = m.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start followers: %w", err)
	}
	out, err := m.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start followers: %w", err)
	}
	m.out = bufio.NewReader(out)
	if err := m.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start followers: %w", err)
	}
	return m, json.NewEncoder(m.in).Encode(a)
}

// say sends a word to each.
func (all crowds) say(word string) error {
	for _, m := range all {
		if _, err := fmt.Fprintln(m.in, word); err != nil {
			return fmt.Errorf("followers: %w", err)
		}
	}
	return nil
}

// collect ends them and returns what they have heard together.
func (all crowds) collect() (heard, error) {
	sum := heard{Sessions: map[string][]int64{}}
	if err := all.say("end"); err != nil {
		return sum, err
	}
	for _, m := range all {
		var h heard
		if err := json.NewDecoder(m.out).Decode(&h); err != nil {
			return sum, fmt.Errorf("followers: %w", err)
		}
		sum.Bytes += h.Bytes
		sum.Lost += h.Lost
		for session, times := range h.Sessions {
			sum.Sessions[session] = append(sum.Sessions[session], times...)
		}
	}
	return sum, nil
}

// end ends what still runs.
func (all crowds) end() {
	for _, m := range all {
		m.in.Close()
		_ = m.cmd.Process.Kill() // it may have ended already
		var exit *exec.ExitError
		if err := m.cmd.Wait(); err != nil && !errors.As(err, &exit) {
			fmt.Fprintln(os.Stderr, "bench-discovery: followers:", err)
		}
	}
}

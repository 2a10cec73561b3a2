package lab

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// freezeFor bounds the wait until a stopped process really stands.
const freezeFor = 5 * time.Second

// Freeze sends SIGSTOP and returns when every thread has stopped: the signal
// alone only asks for it, and a thread on another core may still answer.
func (p *Process) Freeze() error {
	if _, err := p.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(freezeFor); time.Now().Before(deadline); <-tick.C {
		if p.stands() {
			return nil
		}
	}
	return fmt.Errorf("freeze %s: it still runs after %v", p.name, freezeFor)
}

// stands reads the state of each thread: the letter behind the name in brackets
// (proc_pid_stat(5)).
func (p *Process) stands() bool {
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.PID()))
	if err != nil || len(stats) == 0 {
		return false
	}
	for _, file := range stats {
		raw, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		if i := bytes.LastIndexByte(raw, ')'); i < 0 || i+2 >= len(raw) || raw[i+2] != 'T' {
			return false
		}
	}
	return true
}

package lab

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// Progress tells a person what takes time. It is safe for concurrent use; the
// nil Progress says nothing.
type Progress struct {
	mu sync.Mutex
	w  io.Writer
}

// NewProgress writes to w, one line a message.
func NewProgress(w io.Writer) *Progress { return &Progress{w: w} }

// Say writes one line.
func (p *Progress) Say(format string, args ...any) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.w, format+"\n", args...)
}

// Step announces work that lasts: nothing is written within the first second,
// then a line with the name of the work, and a further one every ten seconds.
// The function returned ends the step, and writes how long a lasting one took.
func (p *Progress) Step(what string) (done func(error)) {
	if p == nil {
		return func(error) {}
	}
	begin := time.Now()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	announced := false
	wg.Go(func() {
		timer := time.NewTimer(time.Second)
		defer timer.Stop()
		for {
			select {
			case <-stop:
				return
			case <-timer.C:
			}
			if announced {
				p.Say("  %s: %d s so far", what, int(time.Since(begin).Seconds()))
			} else {
				p.Say("%s ...", what)
			}
			announced = true
			timer.Reset(10 * time.Second)
		}
	})
	return func(err error) {
		close(stop)
		wg.Wait()
		switch {
		case err != nil:
			p.Say("%s: stopped after %.1f s", what, time.Since(begin).Seconds())
		case announced:
			p.Say("%s: done in %.1f s", what, time.Since(begin).Seconds())
		}
	}
}

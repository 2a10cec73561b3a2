package follow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"flink-ha-sidecar/discovery"
)

const (
	// askEvery is how often a leader is asked that does not answer yet.
	askEvery = 500 * time.Millisecond
	// answerFor bounds one question.
	answerFor = 3 * time.Second
)

// Waiter waits until a leader is known and answers.
type Waiter struct {
	mu      sync.Mutex
	told    Told
	trouble error
}

var _ Output = (*Waiter)(nil)

// Tell gives what is known.
func (w *Waiter) Tell(t Told) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = t
}

// Run returns nil once a leader answers, else why there is none when ctx is done.
func (w *Waiter) Run(ctx context.Context) error {
	tick := time.NewTicker(askEvery / 5)
	defer tick.Stop()
	var next time.Time
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("no leader that answers: %w", w.why())
		}
		if t := w.current(); t.Known && !time.Now().Before(next) {
			err := Answers(ctx, t.Leader)
			if err == nil {
				return nil
			}
			if ctx.Err() == nil { // else it was not the leader's fault
				w.mu.Lock()
				w.trouble = err
				w.mu.Unlock()
			}
			next = time.Now().Add(askEvery)
		}
	}
}

func (w *Waiter) current() Told {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.told
}

func (w *Waiter) why() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.told.Known && w.trouble != nil:
		return w.trouble
	case w.told.Known:
		return fmt.Errorf("ask the leader: %s has not answered yet", w.told.Leader.RPCHost)
	case w.told.Reason == "":
		return errors.New("no contact yet")
	}
	return errors.New(w.told.Reason)
}

// Answers asks the leader's REST endpoint. Behind https only a connection is asked
// for, since it may want a certificate; so it is for RPC where REST is not known.
func Answers(ctx context.Context, l discovery.Leader) error {
	ctx, cancel := context.WithTimeout(ctx, answerFor)
	defer cancel()
	u, err := url.Parse(l.RESTURL)
	switch {
	case l.RESTURL == "":
		return reach(ctx, net.JoinHostPort(l.RPCHost, strconv.Itoa(int(l.RPCPort))))
	case err != nil:
		return fmt.Errorf("ask the leader: %w", err)
	case u.Scheme != "http":
		return reach(ctx, u.Host)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.JoinPath("overview").String(), nil)
	if err != nil {
		return fmt.Errorf("ask the leader: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask the leader: %w", err)
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20)) // so that the connection can be used again
	if response.StatusCode >= http.StatusInternalServerError {
		return fmt.Errorf("ask the leader: %s answers %s", u.Host, response.Status)
	}
	return nil
}

func reach(ctx context.Context, address string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("reach the leader: %w", err)
	}
	return conn.Close()
}

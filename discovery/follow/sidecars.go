package follow

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"flink-ha-sidecar/discovery"
)

const (
	// connectFor bounds the way to the first event.
	connectFor = 5 * time.Second
	// silence is how long a stream may tell nothing: it says every 10 s that it lives.
	silence = 25 * time.Second
	// longestLine bounds what is read of one event.
	longestLine = 64 << 10
)

// Sidecars hears from the sidecars themselves, one at a time, in a random order that
// is its own.
type Sidecars struct {
	// List are base URLs, as in http://10.0.0.5:8088. With Service they are looked up
	// anew before each round instead: every address of that name.
	List    []string
	Service *url.URL
	// TLS is for https; nil trusts what the system trusts.
	TLS *tls.Config
	// Dial replaces the dialer if not nil.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	next []string // of this round, those not tried yet
	all  int
}

var _ Source = (*Sidecars)(nil)

// Places is how many sidecars the last round had.
func (s *Sidecars) Places() int { return max(s.all, len(s.List), 1) }

// Run follows the next sidecar.
func (s *Sidecars) Run(ctx context.Context, tell func(News)) error {
	base, err := s.pick(ctx)
	if err != nil {
		return err
	}
	if err := s.follow(ctx, base, tell); err != nil {
		return fmt.Errorf("sidecar %s: %w", base, err)
	}
	return nil
}

// pick returns the next of the round and begins another one when it is over.
func (s *Sidecars) pick(ctx context.Context) (string, error) {
	if len(s.next) == 0 {
		round := slices.Clone(s.List)
		if s.Service != nil {
			var err error
			if round, err = s.lookUp(ctx); err != nil {
				return "", err
			}
		}
		rand.Shuffle(len(round), func(i, k int) { round[i], round[k] = round[k], round[i] })
		s.next, s.all = round, len(round)
	}
	base := s.next[0]
	s.next = s.next[1:]
	return base, nil
}

func (s *Sidecars) lookUp(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, connectFor)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(ctx, s.Service.Hostname())
	if err != nil {
		return nil, fmt.Errorf("look up the sidecars' Service: %w", err)
	}
	var round []string
	for _, a := range addresses {
		u := *s.Service
		u.Host = net.JoinHostPort(a, s.Service.Port())
		round = append(round, u.String())
	}
	return round, nil
}

func (s *Sidecars) follow(ctx context.Context, base string, tell func(News)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	timer := time.AfterFunc(connectFor, cancel)
	defer timer.Stop()
	transport := &http.Transport{DialContext: s.Dial, TLSClientConfig: s.tlsFor(), DisableCompression: true, MaxResponseHeaderBytes: 16 << 10}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(base, "/")+discovery.EventsPath, nil)
	if err != nil {
		return err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close() // ended by cancel at the latest
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", response.Status)
	}
	return read(bufio.NewReaderSize(response.Body, 4<<10), func(n News) {
		timer.Reset(silence)
		tell(n)
	})
}

// tlsFor: where names are looked up, the certificate is still the Service's.
func (s *Sidecars) tlsFor() *tls.Config {
	c := s.TLS.Clone()
	if s.Service != nil && s.Service.Scheme == "https" {
		if c == nil {
			c = &tls.Config{}
		}
		if c.ServerName == "" {
			c.ServerName = s.Service.Hostname()
		}
	}
	return c
}

// read reads server-sent events. Unknown ones are ignored.
func read(body *bufio.Reader, tell func(News)) error {
	event, data := "", ""
	for {
		line, err := readLine(body)
		if err != nil {
			return err
		}
		switch name, value, _ := strings.Cut(line, ":"); name {
		case "event":
			event = strings.TrimPrefix(value, " ")
		case "data":
			data = strings.TrimPrefix(value, " ")
		case "":
			if line == "" && event != "" {
				n, known, err := newsOf(event, data)
				if err != nil {
					return err
				}
				if known {
					tell(n)
				}
				event, data = "", ""
			}
		}
	}
}

func readLine(body *bufio.Reader) (string, error) {
	var line []byte
	for {
		part, more, err := body.ReadLine()
		if err != nil {
			return "", fmt.Errorf("the stream ended: %w", err)
		}
		if line = append(line, part...); !more {
			return string(line), nil
		}
		if len(line) > longestLine {
			return "", errors.New("a line without end")
		}
	}
}

func newsOf(event, data string) (n News, known bool, err error) {
	var a discovery.Answer
	if err := json.Unmarshal([]byte(data), &a); err != nil {
		return News{}, false, fmt.Errorf("read event %q: %w", event, err)
	}
	n = News{Reason: a.Reason, Age: time.Duration(a.AgeSeconds * float64(time.Second))}
	switch event {
	case "leader":
		n.Leader = a.Leader
	case "none":
	case "alive":
		n.Alive = true
	default:
		return News{}, false, nil
	}
	return n, true, nil
}

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"flink-ha-sidecar/lab"
)

// Lines of the sidecar's log that people search for.
const (
	msgBound   = "holder bound to this pod's JobManager"
	msgEnded   = lab.SidecarSawDeath
	msgFreed   = lab.SidecarFreedLock
	msgOutcome = "outcome changed"
	msgRefused = "guard refused"
)

// saying finds the lines of a sidecar's log whose message begins with message and
// that hold all parts in some field.
func saying(t *testing.T, s *lab.Sidecar, message string, parts ...string) []lab.SidecarEvent {
	t.Helper()
	events, err := lab.ReadSidecarLog(s.Log())
	if err != nil {
		t.Fatal(err)
	}
	var found []lab.SidecarEvent
	for _, e := range events {
		if text := fmt.Sprint(e.Fields); strings.HasPrefix(e.Message, message) && containsAll(text, parts) {
			found = append(found, e)
		}
	}
	return found
}

func containsAll(text string, parts []string) bool {
	for _, p := range parts {
		if !strings.Contains(text, p) {
			return false
		}
	}
	return true
}

func said(t *testing.T, s *lab.Sidecar, message string, parts ...string) bool {
	t.Helper()
	return len(saying(t, s, message, parts...)) > 0
}

// awaitSaid waits for such a line and returns the first.
func awaitSaid(t *testing.T, s *lab.Sidecar, message string, parts ...string) lab.SidecarEvent {
	t.Helper()
	eventually(t, fmt.Sprintf("%s logs %q with %q", s.Name, message, parts), func() bool { return said(t, s, message, parts...) })
	return saying(t, s, message, parts...)[0]
}

// mustNotFree fails the test if a sidecar has written to the lock at all.
func mustNotFree(t *testing.T, sidecars ...*lab.Sidecar) {
	t.Helper()
	for _, s := range sidecars {
		if n := metric(t, s, "flink_ha_backend_requests_total", `verb="patch"`); n != 0 {
			t.Errorf("%s: %v patches of the lock, want none", s.Name, n)
		}
		if n := released(t, s, "freed"); n != 0 || said(t, s, msgFreed) {
			t.Errorf("%s freed a lock", s.Name)
		}
	}
}

// released is how many locks of dead JobManagers ended with an outcome.
func released(t *testing.T, s *lab.Sidecar, outcome string) float64 {
	t.Helper()
	return metric(t, s, "flink_ha_releases_total", `outcome="`+outcome+`"`)
}

// metric is the sum of the series of a metric that carry all labels; 0 if there
// are none.
func metric(t *testing.T, s *lab.Sidecar, name string, labels ...string) float64 {
	t.Helper()
	scrape, err := s.Scrape(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return scrape.Sum(name, labels...)
}

// probe is the answer of a sidecar's probe; status 0 if there is none.
func probe(t *testing.T, s *lab.Sidecar, path string) (status int, text string) {
	t.Helper()
	return ask(t, s.URL()+path)
}

func ask(t *testing.T, url string) (status int, text string) {
	t.Helper()
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(body)
}

// mustLive fails the test unless a sidecar says that it lives.
func mustLive(t *testing.T, s *lab.Sidecar) {
	t.Helper()
	if code, text := probe(t, s, "/livez"); code != http.StatusOK {
		t.Errorf("%s /livez: status %d, %s", s.Name, code, text)
	}
}

func awaitReady(t *testing.T, s *lab.Sidecar) {
	t.Helper()
	eventually(t, s.Name+" is ready", func() bool {
		code, _ := probe(t, s, "/readyz")
		return code == http.StatusOK
	})
}

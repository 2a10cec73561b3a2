package control

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"flink-ha-sidecar/internal/handover"
	"flink-ha-sidecar/leader"
)

// serving starts a socket that answers what handle sets up.
func serving(t *testing.T, handle func(s *Server)) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "flink-ha-")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "s")
	s, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	handle(s)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait(); os.RemoveAll(dir) })
	return path
}

func TestPauseAndResumeGoByTheSocket(t *testing.T) {
	var asked PauseRequest
	var by string
	resumed := 0
	refuse := errors.New("pause: not permitted")
	path := serving(t, func(s *Server) {
		s.HandlePause(func(_ context.Context, r PauseRequest, who string) (leader.Pause, error) {
			if r.Seconds > 100 {
				return leader.Pause{}, refuse
			}
			asked, by = r, who
			now := time.Now()
			return leader.Pause{At: now, Until: now.Add(r.For()), Reason: r.Reason}, nil
		}, func(context.Context, string) error { resumed++; return nil })
	})
	p, err := Pause(t.Context(), path, PauseRequest{Seconds: 90, Reason: "upgrade"})
	if err != nil || p.Reason != "upgrade" || p.Until.Sub(p.At) != 90*time.Second || asked.For() != 90*time.Second {
		t.Errorf("%v, %v", p, err)
	}
	if want := fmt.Sprintf("user %d", os.Getuid()); by != want {
		t.Errorf("asked by %q, want %q", by, want)
	}
	if _, err := Pause(t.Context(), path, PauseRequest{Seconds: 101}); err == nil || err.Error() != refuse.Error() {
		t.Errorf("got %v, want %v", err, refuse)
	}
	if err := Resume(t.Context(), path); err != nil || resumed != 1 {
		t.Errorf("%v, resumed %d times", err, resumed)
	}
	if err := Call(t.Context(), path, "POST", PausePath, map[string]any{"second": 1}, nil); err == nil || !strings.Contains(err.Error(), "unknown field") {
		t.Errorf("a misspelt request: %v", err)
	}
}

func TestHandoverTellsStepsAndTheEnd(t *testing.T) {
	for name, row := range map[string]struct {
		run  func(say func(string)) (handover.Report, error)
		want string // of the error
	}{
		"to its end": {func(say func(string)) (handover.Report, error) {
			say("one")
			say("two")
			return handover.Report{By: "SIGTERM"}, nil
		}, ""},
		"refused":         {func(func(string)) (handover.Report, error) { return handover.Report{}, errors.New("no standby") }, "no standby"},
		"not to its end":  {func(say func(string)) (handover.Report, error) { say("one"); panic(http.ErrAbortHandler) }, ErrNotFinished.Error()},
		"it says nothing": {func(func(string)) (handover.Report, error) { panic(http.ErrAbortHandler) }, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			path := serving(t, func(s *Server) {
				s.HandleHandover(func(_ context.Context, r handover.Request, _ string, say func(string)) (handover.Report, error) {
					if !r.Force {
						t.Error("the request is not what was sent")
					}
					return row.run(say)
				})
			})
			var steps []string
			report, err := Handover(t.Context(), path, handover.Request{Force: true}, func(s string) { steps = append(steps, s) })
			if row.want == "" {
				if err != nil || report.By != "SIGTERM" || !slices.Equal(steps, []string{"one", "two"}) {
					t.Errorf("%+v, %v, steps %q", report, err, steps)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want %q", err, row.want)
			}
		})
	}
}

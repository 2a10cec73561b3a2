package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"flink-ha-sidecar/internal/handover"
)

// HandoverPath hands over, by POST. The answer is one line of JSON a step, as it is
// done, and the result as the last.
const HandoverPath = "/v1/handover"

// step is one line: a step in words, or the end.
type step struct {
	Step   string           `json:"step,omitempty"`
	Report *handover.Report `json:"report,omitempty"`
	Error  string           `json:"error,omitempty"`
}

// HandleHandover answers the verb.
func (s *Server) HandleHandover(run func(ctx context.Context, r handover.Request, by string, say func(string)) (handover.Report, error)) {
	s.HandleOwn("POST "+HandoverPath, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked handover.Request
		if !read(w, r, &asked) {
			return
		}
		w.Header().Set("Content-Type", "application/x-ndjson")
		flush := http.NewResponseController(w)
		var mu sync.Mutex
		tell := func(line step) {
			mu.Lock()
			defer mu.Unlock()
			if json.NewEncoder(w).Encode(line) == nil {
				_ = flush.Flush() // who asked has gone, nobody to tell
			}
		}
		report, err := run(r.Context(), asked, peerOf(r.Context()), func(text string) { tell(step{Step: text}) })
		last := step{Report: &report}
		if err != nil {
			last.Error = err.Error()
		}
		tell(last)
	}))
}

// ErrNotFinished says that the sidecar ended before it could tell the result.
var ErrNotFinished = errors.New("the sidecar has ended meanwhile, as it does with its pod: another pod's 'flink-ha history' tells the rest")

// Handover asks the sidecar whose socket is at path. say is told each step.
func Handover(ctx context.Context, path string, r handover.Request, say func(string)) (handover.Report, error) {
	var last *step
	begun := false
	err := stream(ctx, path, HandoverPath, r, func(raw []byte) error {
		var line step
		if err := json.Unmarshal(raw, &line); err != nil {
			return fmt.Errorf("read the sidecar's answer: %w", err)
		}
		begun = true
		if line.Report != nil {
			last = &line
		} else {
			say(line.Step)
		}
		return nil
	})
	switch {
	case last != nil && last.Error != "":
		return *last.Report, errors.New(last.Error)
	case last != nil:
		return *last.Report, nil
	case begun && ctx.Err() == nil:
		return handover.Report{}, ErrNotFinished
	case err != nil:
		return handover.Report{}, err
	}
	return handover.Report{}, ErrNotFinished
}

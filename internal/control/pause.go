package control

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sys/unix"

	"flink-ha-sidecar/leader"
)

// The verbs of a pause, by POST.
const (
	PausePath  = "/v1/pause"
	ResumePath = "/v1/resume"
)

// PauseRequest asks for a pause from now on.
type PauseRequest struct {
	Seconds float64 `json:"seconds"`
	Reason  string  `json:"reason,omitempty"`
}

// For is how long it is to last.
func (r PauseRequest) For() time.Duration { return time.Duration(r.Seconds * float64(time.Second)) }

// HandlePause answers the two verbs. by says in words who asks. An error of either is
// one line, and nothing has changed then.
func (s *Server) HandlePause(pause func(ctx context.Context, r PauseRequest, by string) (leader.Pause, error), resume func(ctx context.Context, by string) error) {
	s.HandleOwn("POST "+PausePath, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked PauseRequest
		if !read(w, r, &asked) {
			return
		}
		p, err := pause(r.Context(), asked, peerOf(r.Context()))
		if err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
			return
		}
		Answer(w, p)
	}))
	s.HandleOwn("POST "+ResumePath, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := resume(r.Context(), peerOf(r.Context())); err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
		}
	}))
}

// read reads a request's body; if it cannot, that is answered.
func read(w http.ResponseWriter, r *http.Request, into any) bool {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		http.Error(w, fmt.Sprintf("read the request: %v", err), http.StatusBadRequest)
		return false
	}
	return true
}

// peerOf names who asks.
func peerOf(ctx context.Context) string {
	if peer, known := ctx.Value(peerKey{}).(unix.Ucred); known {
		return fmt.Sprintf("user %d", peer.Uid)
	}
	return ""
}

// Pause asks the sidecar whose socket is at path for a pause.
func Pause(ctx context.Context, path string, r PauseRequest) (leader.Pause, error) {
	var p leader.Pause
	err := Call(ctx, path, http.MethodPost, PausePath, r, &p)
	return p, err
}

// Resume asks the sidecar whose socket is at path to end the pause.
func Resume(ctx context.Context, path string) error {
	return Call(ctx, path, http.MethodPost, ResumePath, nil, nil)
}

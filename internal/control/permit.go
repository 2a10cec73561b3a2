package control

import (
	"context"
	"net/http"
	"time"
)

// PermitPath is where `flink-ha gate` asks whether its JobManager may run.
const PermitPath = "/v1/permit"

// PermitFormat is the version of PermitRequest and Permit.
const PermitFormat = 1

// PermitRequest is what a gate says of itself when it asks. It asks several times a
// second, and at once when its child has ended.
type PermitRequest struct {
	Format int `json:"format"`
	// Gate is a random name that the gate has drawn at its start: another name is
	// another gate, and what the one before has started has ended (its end is tied
	// to that of its gate).
	Gate string `json:"gate"`
	// Child is the JobManager that this gate has started last; nil before the first.
	Child *PermitChild `json:"child,omitempty"`
	// Observe: the gate starts its child without a permit, under an HA service of
	// Flink's own, and is here to be a witness of its end alone.
	Observe bool `json:"observe,omitempty"`
}

// PermitChild is one JobManager process as its parent knows it.
type PermitChild struct {
	// Number counts the children of this gate from 1.
	Number int `json:"number"`
	// PID is the child's in the gate's PID namespace: for people, never for signals.
	PID int `json:"pid"`
	// Epoch is that of the permit under which it was started; empty with Observe.
	Epoch string `json:"epoch,omitempty"`
	// Started is when, on CLOCK_BOOTTIME, in milliseconds: one clock for the node.
	Started int64 `json:"started_boottime_ms"`
	// Ended says that the child has been reaped and that none of its process group
	// is left; Exit is its status as a shell tells it (128 + the signal's number).
	Ended   bool  `json:"ended,omitempty"`
	EndedAt int64 `json:"ended_boottime_ms,omitempty"`
	Exit    int   `json:"exit,omitempty"`
}

// Permit is the sidecar's answer. A gate without one, or with one whose time is
// over, runs no JobManager.
type Permit struct {
	Format int  `json:"format"`
	Run    bool `json:"run"`
	// Epoch names the tenure; a gate whose child was started under another one ends
	// that child first.
	Epoch string `json:"epoch,omitempty"`
	// StopMS and KillMS count from the moment at which the gate began to ask, on
	// the gate's CLOCK_BOOTTIME: without a newer permit the child gets SIGTERM at
	// the first, and SIGKILL at the second. After the second another pod may lead
	// once the time that a kill takes is over, which the sidecar has left.
	StopMS int64 `json:"stop_ms,omitempty"`
	KillMS int64 `json:"kill_ms,omitempty"`
	// Reason says to people why not.
	Reason string `json:"reason,omitempty"`
}

// HandlePermit answers gates: permit must answer at once, from what is known. A zero
// Permit says that nothing is known yet, as after the sidecar's start: the gate gets no
// answer then, and the last permit stands until its time is over.
func (s *Server) HandlePermit(permit func(PermitRequest, time.Time) Permit) {
	s.HandleOwn("POST "+PermitPath, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var req PermitRequest
		if !read(w, r, &req) {
			return
		}
		p := permit(req, time.Now())
		if p == (Permit{}) {
			http.Error(w, "the sidecar has just started and does not know yet", http.StatusServiceUnavailable)
			return
		}
		Answer(w, p)
	}))
}

// AskPermit asks the sidecar whose socket is at path.
func AskPermit(ctx context.Context, path string, req PermitRequest) (Permit, error) {
	var p Permit
	req.Format = PermitFormat
	err := Call(ctx, path, http.MethodPost, PermitPath, req, &p)
	return p, err
}

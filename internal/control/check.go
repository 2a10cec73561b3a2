package control

import (
	"context"
	"net/http"
	"time"

	"flink-ha-sidecar/health"
)

// CheckPath is where a sidecar says whether its JobManager is stuck.
const CheckPath = "/v1/jobmanager/check"

// CheckFormat is the version of Checked.
const CheckFormat = 1

// Checked is the answer.
type Checked struct {
	Format int `json:"format"`
	// Stuck is said only of the process that runs, by a verdict that is fresh.
	Stuck  bool   `json:"stuck"`
	Reason string `json:"reason,omitempty"`
	// SilentMS is for how long there has been no sign of life: who runs for less
	// than that is not meant.
	SilentMS int64 `json:"silent_ms,omitempty"`
}

// HandleCheck answers the check.
func (s *Server) HandleCheck(inputs func() health.Inputs) {
	s.Handle("GET "+CheckPath, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		in, now := inputs(), time.Now()
		c := Checked{Format: CheckFormat}
		if failed, bad := health.JobManager(in, now).Failing(); bad {
			c.Stuck, c.Reason = true, failed.Reason
			c.SilentMS = now.Sub(in.Pulse.SilentSince).Milliseconds()
		}
		Answer(w, c)
	}))
}

// Check asks the sidecar whose socket is at path.
func Check(ctx context.Context, path string) (Checked, error) {
	var c Checked
	err := Call(ctx, path, http.MethodGet, CheckPath, nil, &c)
	return c, err
}

package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/hashicorp/go-retryablehttp"
)

// Job is one job and its state (Flink's JobStatus), as GET /jobs of Flink 1.18 to 2.3
// tells it, from the dispatcher and not from a cache.
type Job struct {
	ID     string `json:"id"`
	Status string `json:"status"`
}

// Jobs asks a leader for its jobs.
func (c *Client) Jobs(ctx context.Context, base string) ([]Job, error) {
	var answer struct {
		Jobs []Job `json:"jobs"`
	}
	err := c.Get(ctx, base, "/jobs", &answer)
	return answer.Jobs, err
}

// TriggerCheckpoint asks for a checkpoint of a job as it is configured (POST
// /jobs/ID/checkpoints, since Flink 1.17), and returns the name of the request.
func (c *Client) TriggerCheckpoint(ctx context.Context, base, job string) (string, error) {
	var answer struct {
		Request string `json:"request-id"`
	}
	err := c.post(ctx, base, "/jobs/"+url.PathEscape(job)+"/checkpoints", struct{}{}, &answer)
	if err == nil && answer.Request == "" {
		err = errors.New("read the JobManager's answer: no request-id")
	}
	return answer.Request, err
}

// CheckpointCompleted asks what became of that request: not yet, done, or an error.
func (c *Client) CheckpointCompleted(ctx context.Context, base, job, request string) (bool, error) {
	var answer struct {
		Status struct {
			ID string `json:"id"`
		} `json:"status"`
		Operation *struct {
			CheckpointID int64 `json:"checkpointId"`
			FailureCause *struct {
				Class string `json:"class"`
			} `json:"failureCause"`
		} `json:"operation"`
	}
	if err := c.Get(ctx, base, "/jobs/"+url.PathEscape(job)+"/checkpoints/"+url.PathEscape(request), &answer); err != nil {
		return false, err
	}
	switch {
	case answer.Status.ID != "COMPLETED":
		return false, nil
	case answer.Operation != nil && answer.Operation.FailureCause != nil:
		return false, fmt.Errorf("the checkpoint failed: %.200s", answer.Operation.FailureCause.Class)
	}
	return true, nil
}

// post sends in as JSON and reads the answer. It is sent again only where no
// connection was made.
func (c *Client) post(ctx context.Context, base, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(base, "/")+path, body)
	if err != nil {
		return fmt.Errorf("ask the JobManager: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask the JobManager: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusAccepted {
		return &StatusError{res.Status}
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(out); err != nil {
		return fmt.Errorf("read the JobManager's answer: %w", &answeredError{err})
	}
	return nil
}

package rest_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/zap"

	"flink-ha-sidecar/jobmanager/rest"
)

// What Flink 2.3.0 answers, by its REST API's document.
func TestCheckpointIsTriggeredAndAskedAfter(t *testing.T) {
	for name, row := range map[string]struct {
		status, body string
		done         bool
		says         string
	}{
		"in progress": {"200", `{"status":{"id":"IN_PROGRESS"},"operation":null}`, false, ""},
		"completed":   {"200", `{"status":{"id":"COMPLETED"},"operation":{"checkpointId":7}}`, true, ""},
		"failed":      {"200", `{"status":{"id":"COMPLETED"},"operation":{"failureCause":{"class":"CheckpointException","stack-trace":"..."}}}`, false, "CheckpointException"},
		"forgotten":   {"404", `{"errors":["no"]}`, false, "404"},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch r.Method + " " + r.URL.Path {
				case "POST /jobs/j1/checkpoints":
					if body, _ := io.ReadAll(r.Body); string(body) != "{}" || r.Header.Get("Content-Type") != "application/json" {
						t.Errorf("sent %q as %q", body, r.Header.Get("Content-Type"))
					}
					w.WriteHeader(http.StatusAccepted)
					fmt.Fprint(w, `{"request-id":"abc"}`)
				case "GET /jobs/j1/checkpoints/abc":
					if row.status == "404" {
						w.WriteHeader(http.StatusNotFound)
					}
					fmt.Fprint(w, row.body)
				case "GET /jobs":
					fmt.Fprint(w, `{"jobs":[{"id":"j1","status":"RUNNING"}]}`)
				default:
					t.Errorf("asked %s %s", r.Method, r.URL.Path)
				}
			}))
			defer s.Close()
			c := rest.New(nil, zap.NewNop())
			jobs, err := c.Jobs(t.Context(), s.URL)
			if err != nil || len(jobs) != 1 || jobs[0] != (rest.Job{ID: "j1", Status: "RUNNING"}) {
				t.Fatalf("jobs %v, %v", jobs, err)
			}
			request, err := c.TriggerCheckpoint(t.Context(), s.URL, "j1")
			if err != nil || request != "abc" {
				t.Fatalf("request %q, %v", request, err)
			}
			done, err := c.CheckpointCompleted(t.Context(), s.URL, "j1", request)
			if done != row.done || (err == nil) != (row.says == "") || err != nil && !strings.Contains(err.Error(), row.says) {
				t.Errorf("done %t, %v; want %t, %q", done, err, row.done, row.says)
			}
		})
	}
}

func TestCheckpointThatIsRefusedIsAnError(t *testing.T) {
	for _, answer := range []int{http.StatusServiceUnavailable, http.StatusOK} {
		asked := 0
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked++
			w.WriteHeader(answer)
			fmt.Fprint(w, `{}`)
		}))
		_, err := rest.New(nil, zap.NewNop()).TriggerCheckpoint(t.Context(), s.URL, "j1")
		s.Close()
		var status *rest.StatusError
		if err == nil || (answer != http.StatusOK) != errors.As(err, &status) || asked != 1 {
			t.Errorf("%d: %v, asked %d times", answer, err, asked)
		}
	}
}

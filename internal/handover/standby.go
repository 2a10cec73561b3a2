package handover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sort"
	"strings"
	"sync"
	"time"

	"flink-ha-sidecar/hastate"
	"flink-ha-sidecar/internal/status"
)

// askFor bounds the question to one sidecar.
const askFor = time.Second

// maxAnswer bounds what is read of an answer.
const maxAnswer = 1 << 20

// Ready asks every other member of the cluster whether its JobManager stands by and is
// ready, all at once. A member that is gone, or whose address another pod has now, is
// none.
func Ready(ctx context.Context, client *http.Client, members []hastate.Member, self, clusterID string) (ready []string, problem string) {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	var why []string
	for _, m := range members {
		if m.Pod == self {
			continue
		}
		wg.Go(func() {
			err := standsBy(ctx, client, m, clusterID)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				ready = append(ready, m.Pod)
			} else {
				why = append(why, fmt.Sprintf("%s: %v", m.Pod, err))
			}
		})
	}
	wg.Wait()
	sort.Strings(ready)
	sort.Strings(why)
	if len(ready)+len(why) == 0 {
		return nil, "no other sidecar of this cluster is known"
	}
	return ready, strings.Join(why, "; ")
}

// standsBy returns nil if the sidecar is the one that is meant and says so.
func standsBy(ctx context.Context, client *http.Client, m hastate.Member, clusterID string) error {
	var d status.Document
	raw, code, err := get(ctx, client, m.URL+status.Path)
	if err != nil {
		return err
	}
	switch err := json.Unmarshal(raw, &d); {
	case code != http.StatusOK || err != nil:
		return fmt.Errorf("its sidecar answers %d", code)
	case d.Cluster.ID != clusterID || d.Cluster.Pod != "" && d.Cluster.Pod != m.Pod:
		return fmt.Errorf("at its address is now pod %s of cluster %s", d.Cluster.Pod, d.Cluster.ID)
	case d.Outcome != "standby":
		return fmt.Errorf("%s: %s", d.Outcome, d.Reason)
	}
	raw, code, err = get(ctx, client, m.URL+"/standby")
	if err != nil {
		return err
	}
	if code != http.StatusOK {
		return errors.New(strings.Join(failing(string(raw)), ", "))
	}
	return nil
}

// failing are the lines of a probe that do not pass.
func failing(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		if rest, bad := strings.CutPrefix(strings.TrimSpace(line), "[-]"); bad {
			lines = append(lines, rest)
		}
	}
	return lines
}

func get(ctx context.Context, client *http.Client, url string) ([]byte, int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, 0, err
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	return raw, res.StatusCode, err
}

package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// SidecarPort is where a sidecar in a pod answers.
const SidecarPort = 8088

// SidecarStatus is the part of the sidecar's status document that the lab goes by.
type SidecarStatus struct {
	Outcome    string `json:"outcome"`
	JobManager struct {
		Alive   bool   `json:"alive"`
		Proof   string `json:"proof"`
		Problem string `json:"problem"`
		Bound   bool   `json:"bound"`
		Why     string `json:"why"`
		Guard   string `json:"guard_refused"`
	} `json:"jobmanager"`
}

// Ask gets a path of the sidecar of a pod.
func (c *PodCluster) Ask(ctx context.Context, pod *corev1.Pod, path string) (status int, text string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DialContext: c.node.machine.site.dial, DisableKeepAlives: true}}
	url := fmt.Sprintf("http://%s:%d%s", pod.Status.PodIP, SidecarPort, path)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

// Status reads the status document of a pod's sidecar.
func (c *PodCluster) Status(ctx context.Context, pod *corev1.Pod) (s SidecarStatus, err error) {
	code, text, err := c.Ask(ctx, pod, "/v1/status")
	if err != nil {
		return s, err
	}
	if code != http.StatusOK {
		return s, fmt.Errorf("status of %s: %d, %s", pod.Name, code, text)
	}
	return s, json.Unmarshal([]byte(text), &s)
}

// Metric is the sum of the series of a metric of a pod's sidecar that carry all
// labels, as in `outcome="freed"`; 0 if there are none.
func (c *PodCluster) Metric(ctx context.Context, pod *corev1.Pod, name string, labels ...string) (float64, error) {
	code, text, err := c.Ask(ctx, pod, "/metrics")
	if err != nil {
		return 0, err
	}
	if code != http.StatusOK {
		return 0, fmt.Errorf("metrics of %s: %d, %s", pod.Name, code, text)
	}
	var sum float64
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		series, value, _ := strings.Cut(lines.Text(), " ")
		if base, _, _ := strings.Cut(series, "{"); base != name || !containsAll(series, labels) {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, fmt.Errorf("metrics of %s: %q: %w", pod.Name, lines.Text(), err)
		}
		sum += n
	}
	return sum, nil
}

// SidecarLog reads what the sidecar in a pod has logged, all its runs together.
// The kubelet removes the log with the pod.
func (c *PodCluster) SidecarLog(pod *corev1.Pod) ([]SidecarEvent, error) {
	lines, err := c.Lines(pod, "flink-ha")
	var events []SidecarEvent
	for _, line := range lines {
		if event, ok := parseSidecarLine([]byte(line)); ok {
			events = append(events, event)
		}
	}
	return events, err
}

// Lines are what a container of a pod has written, all its runs together.
func (c *PodCluster) Lines(pod *corev1.Pod, container string) ([]string, error) {
	files, _ := filepath.Glob(c.node.path(fmt.Sprintf("pod-logs/%s_%s_%s/%s/*.log", c.Namespace, pod.Name, pod.UID, container)))
	var lines []string
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read log of %s: %w", container, err)
		}
		for line := range strings.Lines(string(content)) {
			// The runtime's form: time, stream, F or P, then the line itself.
			if fields := strings.SplitN(strings.TrimSpace(line), " ", 4); len(fields) == 4 {
				lines = append(lines, fields[3])
			}
		}
	}
	return lines, nil
}

// argument is the rest of the command-line argument of a process that begins with
// prefix.
func argument(pid int, prefix string) string {
	line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	for _, arg := range strings.Split(string(line), "\x00") {
		if value, ok := strings.CutPrefix(arg, prefix); ok {
			return value
		}
	}
	return ""
}

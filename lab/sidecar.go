package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// BuildSidecar builds the sidecar as it stands in the checkout, and returns the
// path of the binary below dir. With race it reports data races when it runs.
func BuildSidecar(ctx context.Context, progress *Progress, dir string, race bool) (string, error) {
	var flags []string
	if race {
		flags = append(flags, "-race")
	}
	return buildSidecar(ctx, progress, dir, "build the sidecar", flags...)
}

// BuildSkewedSidecar builds the sidecar with the clock of the test build, which
// FLINK_HA_LAB_CLOCK sets off: "1.05,60s" runs 5 % fast and is a minute ahead.
func BuildSkewedSidecar(ctx context.Context, progress *Progress, dir string) (string, error) {
	return buildSidecar(ctx, progress, dir, "build the sidecar with a clock that is off", "-tags", "labclock")
}

func buildSidecar(ctx context.Context, progress *Progress, dir, step string, flags ...string) (_ string, err error) {
	root, err := ModuleRoot()
	if err != nil {
		return "", err
	}
	done := progress.Step(step)
	defer func() { done(err) }()
	binary := filepath.Join(dir, "flink-ha")
	return binary, goBuild(ctx, root, binary, ".", flags...)
}

// Sidecar is a sidecar beside one JobManager.
type Sidecar struct {
	// Name is its JobManager's, with "-sidecar".
	Name string
	// Listen is the address of its probes and metrics.
	Listen string
	// StateDir is its --state-dir: it outlives the process, as an emptyDir does.
	StateDir string
	// Socket is its --socket. It is named by the JobManager's address, which is the
	// lab's alone, since a test's folder may be too long for a socket.
	Socket string
	// Env is added to its environment.
	Env []string

	binary string
	args   []string
	dir    string

	mu   sync.Mutex
	proc *Process
}

// NewSidecar prepares a sidecar for a JobManager, without starting it. extra
// flags come last, where they win.
func NewSidecar(s *Settings, j *JobManager, binary, kubeConfig string, extra ...string) *Sidecar {
	name := j.Name + "-sidecar"
	c := &Sidecar{
		Name: name, Listen: j.Address + ":8088", StateDir: filepath.Join(s.Dir, name+"-state"), binary: binary, dir: s.Dir,
		Socket: filepath.Join(os.TempDir(), "flink-ha-"+j.Address+".sock"),
	}
	c.args = []string{
		"run", "--flink-conf-dir", j.ConfDir, "--namespace", s.Namespace,
		"--pod-name", j.PodName(), "--pod-ip", j.Address, "--jobmanager-match", j.ConfDir,
		"--state-dir", c.StateDir, "--listen", c.Listen, "--socket", c.Socket, "--log-format", "json",
	}
	if kubeConfig != "" {
		c.args = append(c.args, "--kubeconfig", kubeConfig)
	}
	c.args = append(c.args, extra...)
	return c
}

// Start starts the process; it must not be running. Its log goes on in the same
// file.
func (c *Sidecar) Start() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.proc != nil && c.proc.Alive() {
		return fmt.Errorf("start %s: it runs already", c.Name)
	}
	if err := os.MkdirAll(c.StateDir, 0o755); err != nil {
		return fmt.Errorf("start %s: %w", c.Name, err)
	}
	p, err := start(spec{name: c.Name, path: c.binary, args: c.args, env: c.Env, log: c.Log()})
	if err != nil {
		return err
	}
	c.proc = p
	return nil
}

// Process is the process started last, nil if there was none.
func (c *Sidecar) Process() *Process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.proc
}

// Signal sends its process a signal and returns the time just before.
func (c *Sidecar) Signal(s syscall.Signal) (time.Time, error) { return c.Process().Signal(s) }

// Kill ends its process by SIGKILL.
func (c *Sidecar) Kill() {
	c.Process().Kill()
	_ = os.Remove(c.Socket)
}

// Check runs what the JobManager's liveness probe does, and returns its exit code,
// what it wrote, and how long it took.
func (c *Sidecar) Check(ctx context.Context) (code int, text string, took time.Duration) {
	begun := time.Now()
	cmd := exec.CommandContext(ctx, c.binary, "check-jobmanager", "--socket", c.Socket)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0") // it would wait a second at its end
	output, err := cmd.CombinedOutput()
	took = time.Since(begun)
	if err != nil && cmd.ProcessState == nil {
		return -1, err.Error(), took
	}
	return cmd.ProcessState.ExitCode(), string(output), took
}

// Command runs the sidecar's program with these arguments and its socket, as somebody
// in its pod would, and returns what it wrote and its exit code.
func (c *Sidecar) Command(ctx context.Context, args ...string) (text string, code int) {
	cmd := exec.CommandContext(ctx, c.binary, append(args, "--socket", c.Socket)...)
	output, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		return err.Error(), -1
	}
	return string(output), cmd.ProcessState.ExitCode()
}

// Log is the path of its log, JSON lines.
func (c *Sidecar) Log() string { return filepath.Join(c.dir, c.Name+".log") }

// URL is the address of its probes and metrics, as in URL + "/readyz".
func (c *Sidecar) URL() string { return "http://" + c.Listen }

// contact tells whether the sidecar has seen the lock's object, or that there is
// none yet.
func (c *Sidecar) contact(ctx context.Context, client *http.Client) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL()+"/readyz?verbose", nil)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return err == nil && strings.Contains(string(text), "[+]backend ok")
}

// bound is the holder that its JobManager is known to be, empty if there is none.
func (c *Sidecar) bound(ctx context.Context, client *http.Client) (holder string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL()+"/v1/status", nil)
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var status struct {
		Leader *struct {
			Holder string
			Here   bool
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&status); err != nil {
		return "", fmt.Errorf("status of %s: %w", c.Name, err)
	}
	if status.Leader == nil || !status.Leader.Here {
		return "", nil
	}
	return status.Leader.Holder, nil
}

// SidecarEvent is one line of the sidecar's log.
type SidecarEvent struct {
	At      time.Time
	Level   string
	Message string
	// Fields are all keys of the line, the three above included.
	Fields map[string]any
}

// Messages of the sidecar's log that the lab measures by.
const (
	SidecarSawDeath  = "JobManager ended"
	SidecarFreedLock = "lock freed"
)

// ReadSidecarLog returns the lines of a sidecar's log, oldest first. Lines that
// are no JSON (a panic, a report of the race detector) are left out.
func ReadSidecarLog(file string) ([]SidecarEvent, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read sidecar's log: %w", err)
	}
	defer f.Close()
	var events []SidecarEvent
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if event, ok := parseSidecarLine(lines.Bytes()); ok {
			events = append(events, event)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read sidecar's log %s: %w", file, err)
	}
	return events, nil
}

func parseSidecarLine(line []byte) (SidecarEvent, bool) {
	var fields map[string]any
	if json.Unmarshal(line, &fields) != nil {
		return SidecarEvent{}, false
	}
	stamp, _ := fields["ts"].(string)
	at, err := time.Parse(time.RFC3339Nano, stamp)
	if err != nil {
		return SidecarEvent{}, false
	}
	event := SidecarEvent{At: at, Fields: fields}
	event.Level, _ = fields["level"].(string)
	event.Message, _ = fields["msg"].(string)
	return event, true
}

package lab

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"
)

// JobManager is a Flink JobManager in application mode on an address of its
// own. Its process may end and be started again, as a container in a pod: the
// address, the name and the configuration stay.
type JobManager struct {
	// Name is its own within its cluster, as in "jobmanager-1".
	Name string
	// Address is its loopback IP: RPC at 6123, BLOBs at 6124, REST at 8081.
	Address string
	// ConfDir is its configuration folder, an element of its command line that
	// no other process has.
	ConfDir string

	// Session: it runs as a session cluster's, without a job.
	Session bool
	// Gate is the program that starts it as its parent and tells the sidecar at Socket
	// of its end, by `gate --observe`; empty: it has no gate.
	Gate, Socket string

	settings    *Settings
	standIn     string // binary that runs instead of Flink, if not empty
	standInArgs []string

	mu   sync.Mutex
	runs []*Process // each named as it signs the ticks
}

// NewJobManager writes the configuration of a JobManager and starts nothing.
func NewJobManager(s *Settings, name, address string) (*JobManager, error) {
	j := &JobManager{Name: name, Address: address, ConfDir: filepath.Join(s.Dir, name+"-conf"), settings: s}
	return j, s.writeConf(j.ConfDir, map[string]string{
		"jobmanager.rpc.address":            address,
		"jobmanager.bind-host":              address,
		"high-availability.jobmanager.port": "6123",
		"jobmanager.rpc.port":               "6123",
		"blob.server.port":                  "6124",
		"rest.address":                      address,
		"rest.bind-address":                 address,
		"rest.port":                         "8081",
		"jobmanager.memory.process.size":    "900m",
	})
}

// NewStandIn is NewJobManager for a process without a JVM that takes part in the
// election as a JobManager does and runs no job; binary is from [BuildStandIn].
func NewStandIn(s *Settings, name, address, binary string, args ...string) (*JobManager, error) {
	j, err := NewJobManager(s, name, address)
	if err != nil {
		return nil, err
	}
	j.standIn, j.standInArgs = binary, args
	return j, nil
}

// BuildStandIn builds the stand-in of lab/cmd/standin and returns the path of
// the binary below dir.
func BuildStandIn(ctx context.Context, progress *Progress, dir string) (_ string, err error) {
	root, err := ModuleRoot()
	if err != nil {
		return "", err
	}
	done := progress.Step("build the stand-in")
	defer func() { done(err) }()
	binary := filepath.Join(dir, "standin")
	return binary, goBuild(ctx, root, binary, "./lab/cmd/standin")
}

// PodName is the name of its Pod, which only its sidecar looks at.
func (j *JobManager) PodName() string { return j.settings.ClusterID + "-" + j.Name }

// Start starts the process; it must not be running.
func (j *JobManager) Start() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if n := len(j.runs); n > 0 && j.runs[n-1].Alive() {
		return fmt.Errorf("start %s: it runs already", j.Name)
	}
	name := j.Name
	if n := len(j.runs); n > 0 {
		name = fmt.Sprintf("%s.%d", j.Name, n+1)
	}
	path, args := j.command(name, j.logFile(len(j.runs)))
	p, err := start(spec{name: name, path: path, args: args, log: filepath.Join(j.settings.Dir, name+".out")})
	if err != nil {
		return err
	}
	j.runs = append(j.runs, p)
	return nil
}

func (j *JobManager) command(name, log string) (path string, args []string) {
	path, args = j.bare(name, log)
	if j.Gate == "" {
		return path, args
	}
	return j.Gate, append([]string{"gate", "--observe", "--socket", j.Socket, "--", path}, args...)
}

// KillBehindGate ends the JobManager by SIGKILL and leaves its gate alone.
func (j *JobManager) KillBehindGate() error {
	table, err := readProcesses()
	if err != nil {
		return err
	}
	for _, one := range table {
		if one.has(j.ConfDir) && !one.isOurs() {
			return syscall.Kill(one.pid, syscall.SIGKILL)
		}
	}
	return fmt.Errorf("kill %s: there is none", j.Name)
}

// bare is the command without a gate.
func (j *JobManager) bare(name, log string) (path string, args []string) {
	own := []string{"org.apache.flink.container.entrypoint.StandaloneApplicationClusterEntryPoint", "--configDir", j.ConfDir}
	if j.standIn != "" {
		return j.standIn, append(append(own, "--log", log), j.standInArgs...)
	}
	s := j.settings
	if j.Session {
		session := []string{"org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint", "--configDir", j.ConfDir}
		return s.Flink.JDK.Java(), append(s.jvm(j.ConfDir, log, "-Dlab.jobmanager="+name), session...)
	}
	args = append(s.jvm(j.ConfDir, log, "-Dlab.jobmanager="+name), own...)
	return s.Flink.JDK.Java(), append(args, "--job-classname", "Ticker", s.Ticks())
}

// logFile is Flink's log of the run with that index.
func (j *JobManager) logFile(run int) string {
	return filepath.Join(j.settings.Dir, fmt.Sprintf("%s.%d.log", j.Name, run+1))
}

// Process is the process started last, nil if there was none.
func (j *JobManager) Process() *Process {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.runs) == 0 {
		return nil
	}
	return j.runs[len(j.runs)-1]
}

// processes are all that were started, oldest first.
func (j *JobManager) processes() []*Process {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.runs)
}

// Runs is how often the process was started.
func (j *JobManager) Runs() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.runs)
}

// Log is the path of Flink's log of the process started last.
func (j *JobManager) Log() string { return j.logFile(j.Runs() - 1) }

// Alive tells whether its process is there.
func (j *JobManager) Alive() bool {
	p := j.Process()
	return p != nil && p.Alive()
}

// REST is the address of its web UI and REST API.
func (j *JobManager) REST() string { return "http://" + j.Address + ":8081" }

// Signal sends its process a signal and returns the time just before.
func (j *JobManager) Signal(s syscall.Signal) (time.Time, error) {
	p := j.Process()
	if p == nil {
		return time.Now(), fmt.Errorf("signal %s: it was never started", j.Name)
	}
	return p.Signal(s)
}

// Wait waits for the end of its process.
func (j *JobManager) Wait(ctx context.Context) error { return j.Process().Wait(ctx) }

// Kill ends its process by SIGKILL.
func (j *JobManager) Kill() { j.Process().Kill() }

// StartAgain starts the process again delay after its end, each time it ends,
// until ctx is done: what a kubelet does with a container whose restart policy
// is Always.
func (j *JobManager) StartAgain(ctx context.Context, delay time.Duration) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-j.Process().Done():
		}
		timer := time.NewTimer(delay)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		if err := j.Start(); err != nil {
			return err
		}
	}
}

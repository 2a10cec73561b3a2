package lab

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// NoHA is Flink without an HA service.
const NoHA Backend = "NONE"

// GateOptions say how a [GatedPod] runs its JobManager.
type GateOptions struct {
	// Binary is the program that is sidecar and gate.
	Binary string
	// Args are further flags of the gate.
	Args []string
	// ServiceIP is the address that all JobManagers of the cluster advertise.
	ServiceIP string
	// StandIn: what runs is no Flink, but a process that does nothing.
	StandIn bool
}

// GatedPod is a pod of the HA service vvp-kubernetes: a JobManager in application mode,
// without Flink's HA, under a gate, with the socket at which the gate asks.
type GatedPod struct {
	Name string
	// Address is its own IP; Flink advertises the Service's.
	Address string
	// ConfDir is Flink's configuration, and Script what the gate runs, in place of the
	// official image's entry point: its path is in the JobManager's command line until
	// it has become Flink.
	ConfDir, Script string
	// Socket is where the gate asks its sidecar.
	Socket string

	settings *Settings
	options  GateOptions
	runs     int
	gate     *Process
}

// gateTimings let a TaskManager notice within seconds that its JobManager is gone: it is
// told by nobody, and Flink's default is 50 s.
var gateTimings = map[string]string{"heartbeat.interval": "500", "heartbeat.timeout": "4000"}

// retainCheckpoints keeps a job that ends with its JobManager from taking its checkpoints
// along.
const retainCheckpoints = "execution.checkpointing.externalized-checkpoint-retention"

// GatedSettings are the settings of a cluster without Flink's HA, whose JobManagers all
// advertise serviceIP.
func GatedSettings(flink *Flink, clusterID, dir, serviceIP string) *Settings {
	extra := maps.Clone(gateTimings)
	extra[retainCheckpoints] = "RETAIN_ON_CANCELLATION"
	extra["jobmanager.rpc.address"] = serviceIP
	return &Settings{Flink: flink, Backend: NoHA, ClusterID: clusterID, Namespace: "default", Dir: dir, Extra: extra}
}

// Checkpoints is where the job's checkpoints are.
func (s *Settings) Checkpoints() string { return filepath.Join(s.Dir, "checkpoints") }

// NewGatedPod writes the configuration and the script of a pod and starts nothing.
func NewGatedPod(s *Settings, name, address string, o GateOptions) (*GatedPod, error) {
	j, err := NewJobManager(s, name, address)
	if err != nil {
		return nil, err
	}
	p := &GatedPod{
		Name: name, Address: address, ConfDir: j.ConfDir, Script: filepath.Join(s.Dir, name+"-entrypoint.sh"),
		Socket: filepath.Join(os.TempDir(), "flink-ha-"+address+".sock"), settings: s, options: o,
	}
	if err := os.MkdirAll(s.Checkpoints(), 0o755); err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	if err := os.WriteFile(p.Script, []byte(p.script()), 0o755); err != nil { //nolint:gosec // it has to be executable
		return nil, fmt.Errorf("write %s: %w", p.Script, err)
	}
	return p, nil
}

// script is what the gate runs. Each run signs the ticks with its own PID, since one
// gate may start several.
func (p *GatedPod) script() string {
	lines := []string{"#!/bin/sh", "echo $$ >> " + quote(p.Starts())}
	if p.options.StandIn {
		return strings.Join(append(lines, "exec tail -f "+quote(filepath.Join(p.ConfDir, "log4j.properties"))+" > /dev/null", ""), "\n")
	}
	args := p.settings.jvm(p.ConfDir, "@LOG@", "-Dlab.jobmanager=@RUN@")
	args = append(args, "org.apache.flink.container.entrypoint.StandaloneApplicationClusterEntryPoint", "--configDir", p.ConfDir)
	command := []string{quote(p.settings.Flink.JDK.Java())}
	for _, a := range args {
		a = strings.ReplaceAll(quote(a), "@RUN@", p.Name+"."+`'"$$"'`)
		command = append(command, strings.ReplaceAll(a, "@LOG@", filepath.Join(p.settings.Dir, p.Name)+`.'"$$"'.log`))
	}
	lines = append(lines, "shift # standalone-job", "exec "+strings.Join(command, " ")+` "$@"`, "")
	return strings.Join(lines, "\n")
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// Starts is a file with the PID of each process that the gate has started, by its own
// word.
func (p *GatedPod) Starts() string { return filepath.Join(p.settings.Dir, p.Name+"-starts") }

// FlinkLogs are the logs of the JobManagers that were started here.
func (p *GatedPod) FlinkLogs() ([]string, error) {
	return filepath.Glob(filepath.Join(p.settings.Dir, p.Name+".*.log"))
}

// Start starts the gate; it must not be running.
func (p *GatedPod) Start() error {
	if p.gate != nil && p.gate.Alive() {
		return fmt.Errorf("start the gate of %s: it runs already", p.Name)
	}
	args := append([]string{"gate", "--socket", p.Socket, "--resume-from", p.settings.Checkpoints()}, p.options.Args...)
	args = append(args, "--", p.Script, "standalone-job", "--job-classname", "Ticker", p.settings.Ticks())
	p.runs++
	var err error
	p.gate, err = start(spec{name: p.Name + "-gate", path: p.options.Binary, args: args, log: p.GateLog()})
	return err
}

// GateLog is the gate's log, JSON lines, of all its runs.
func (p *GatedPod) GateLog() string { return filepath.Join(p.settings.Dir, p.Name+"-gate.log") }

// Gate is the outer process of the gate; nil before the first start.
func (p *GatedPod) Gate() *Process { return p.gate }

// Processes are those of the pod's JobManager container that live: the gate's own, and
// the JobManager's, 0 if there is none.
func (p *GatedPod) Processes() (gates []int, jobManager int, err error) {
	if p.gate == nil {
		return nil, 0, nil
	}
	table, err := readProcesses()
	if err != nil {
		return nil, 0, err
	}
	for _, one := range table {
		switch {
		case !one.has(p.Script) && !one.has(p.ConfDir):
		case one.isOurs():
			if one.has(p.Socket) || one.has("--socket="+p.Socket) {
				gates = append(gates, one.pid)
			}
		default:
			jobManager = one.pid
		}
	}
	return gates, jobManager, nil
}

// KillJobManager ends the JobManager alone by SIGKILL, as a crash would.
func (p *GatedPod) KillJobManager() error {
	_, pid, err := p.Processes()
	if err != nil {
		return err
	}
	if pid == 0 {
		return fmt.Errorf("kill the JobManager of %s: there is none", p.Name)
	}
	return syscall.Kill(pid, unix.SIGKILL)
}

// KillContainer ends gate and JobManager at one instant, so that neither can tell of the
// other's end.
func (p *GatedPod) KillContainer() error {
	gates, pid, err := p.Processes()
	if err != nil {
		return err
	}
	for _, one := range append(gates, pid) {
		if one != 0 {
			_ = syscall.Kill(one, unix.SIGKILL) // or the one before has taken it along
		}
	}
	p.gate.Kill()
	return nil
}

// Stop ends the gate, which takes all with it.
func (p *GatedPod) Stop() {
	if p.gate != nil {
		_ = p.KillContainer() // what cannot be seen ends with the gate
		p.gate.Kill()
	}
}

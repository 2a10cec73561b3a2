// Package gatekeeper composes "flink-ha gate": the gate's two processes, the sidecar's
// socket, and what the JobManager resumes from.
package gatekeeper

import (
	"context"
	"crypto/rand"
	"io"
	"time"

	"go.uber.org/zap"

	"flink-ha-sidecar/internal/control"
	"flink-ha-sidecar/internal/daemon"
	"flink-ha-sidecar/jobmanager/gate"
)

// Settings are the flags of "flink-ha gate".
type Settings struct {
	// Command is what to run, Environ what it gets.
	Command []string
	Environ []string
	Socket  string
	Observe bool

	// ResumeFrom is the directory with the job's checkpoints and savepoints.
	ResumeFrom string
	// ResumeCommand is a line for the shell that prints the path of one, or nothing.
	ResumeCommand string
	// ResumeRequired: without one the JobManager is not started.
	ResumeRequired bool
	ResumeTimeout  time.Duration

	LogLevel  string
	LogFormat string
}

// Guard is the outer process, what the container runs. args make this program its
// inner process, which calls Keep. It returns the exit status.
func Guard(ctx context.Context, s Settings, args []string, stderr io.Writer) (int, error) {
	log, err := s.open(stderr)
	if err != nil {
		return 0, err
	}
	return gate.Guard(ctx, args, log.With(zap.String("process", "guard")))
}

// Keep is the inner process. It returns the exit status.
func Keep(ctx context.Context, s Settings, stderr io.Writer) (int, error) {
	log, err := s.open(stderr)
	if err != nil {
		return 0, err
	}
	asker := control.NewAsker(s.Socket)
	return gate.Keep(ctx, gate.Config{
		Command: s.Command,
		Env:     s.Environ,
		Name:    rand.Text(),
		Observe: s.Observe,
		Log:     log,
		Prepare: s.prepare(log),
		Ask: func(ctx context.Context, r gate.Request) (gate.Answer, error) {
			p, err := asker.Ask(ctx, question(r))
			return gate.Answer{Run: p.Run, Epoch: p.Epoch, Stop: milliseconds(p.StopMS), Kill: milliseconds(p.KillMS), Reason: p.Reason}, err
		},
	})
}

// open checks the settings and opens the log.
func (s Settings) open(stderr io.Writer) (*zap.Logger, error) {
	log, err := daemon.NewLogger(s.LogLevel, s.LogFormat, stderr)
	if err != nil {
		return nil, err
	}
	if err := s.checkResume(); err != nil {
		return nil, err
	}
	return log.Named("gate"), nil
}

func milliseconds(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// question is a request in the socket's terms.
func question(r gate.Request) control.PermitRequest {
	q := control.PermitRequest{Gate: r.Gate, Observe: r.Observe}
	if c := r.Child; c != nil {
		q.Child = &control.PermitChild{
			Number: c.Number, PID: c.PID, Epoch: c.Epoch, Started: c.Started.Milliseconds(),
			Ended: c.Ended, EndedAt: c.EndedAt.Milliseconds(), Exit: c.Exit,
		}
	}
	return q
}

package gatekeeper

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"flink-ha-sidecar/internal/daemon"
	"flink-ha-sidecar/jobmanager/gate"
	"flink-ha-sidecar/jobmanager/resume"
)

// resumeVariable tells the command where it resumes from; it is not set where there is
// nothing. It is none of ours by name, which would be taken for a flag.
const resumeVariable = "FLINK_RESUME_FROM"

// checkResume refuses what cannot work, before anything is started.
func (s Settings) checkResume() error {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%w: %w", daemon.ErrConfiguration, fmt.Errorf(format, args...))
	}
	switch {
	case s.ResumeFrom == "" && s.ResumeCommand == "":
		if s.ResumeRequired {
			return refuse("--resume-required is for --resume-from or --resume-command")
		}
	case s.Observe:
		return refuse("--resume-from and --resume-command are for a JobManager without Flink's HA: with --observe Flink resumes by itself")
	case s.ResumeFrom != "" && s.ResumeCommand != "":
		return refuse("--resume-from does not go with --resume-command: give one of them")
	case s.ResumeFrom != "":
		if err := resume.CanResume(s.Command); err != nil {
			return refuse("--resume-from is for application mode: %w; --resume-command works with any command, by the variable %s", err, resumeVariable)
		}
	}
	if s.ResumeTimeout <= 0 {
		return refuse("--resume-timeout %v: it must be more than 0", s.ResumeTimeout)
	}
	return nil
}

// prepare says what the JobManager is started with; nil: always the same.
func (s Settings) prepare(log *zap.Logger) func(context.Context, gate.Runner) ([]string, []string, error) {
	if s.ResumeFrom == "" && s.ResumeCommand == "" {
		return nil
	}
	return func(ctx context.Context, run gate.Runner) ([]string, []string, error) {
		ctx, cancel := context.WithTimeoutCause(ctx, s.ResumeTimeout, fmt.Errorf("it took longer than --resume-timeout %v", s.ResumeTimeout))
		defer cancel()
		from, err := s.find(ctx, run, log)
		if err != nil {
			return nil, nil, fmt.Errorf("find what to resume from: %w; the JobManager is not started, since it would begin from scratch", err)
		}
		env := slices.DeleteFunc(slices.Clone(s.Environ), func(e string) bool { return strings.HasPrefix(e, resumeVariable+"=") })
		if from == "" {
			if s.ResumeRequired {
				return nil, nil, errors.New("there is nothing to resume from, and --resume-required is set: the JobManager is not started")
			}
			log.Warn("nothing to resume from: the JobManager starts as its command says")
			return s.Command, env, nil
		}
		env = append(env, resumeVariable+"="+from)
		command, err := resume.Command(s.Command, from)
		if errors.Is(err, resume.ErrNoPlace) { // with a command of the user's that is all right
			command = s.Command
		}
		return command, env, nil
	}
}

// find returns the checkpoint or savepoint as Flink takes it; empty: there is none.
func (s Settings) find(ctx context.Context, run gate.Runner, log *zap.Logger) (string, error) {
	begun := time.Now()
	if s.ResumeCommand != "" {
		output, err := run(ctx, []string{"/bin/sh", "-c", s.ResumeCommand}, s.Environ)
		if err != nil {
			return "", fmt.Errorf("--resume-command: %w", err)
		}
		from := strings.TrimSpace(string(output))
		if strings.ContainsAny(from, "\n\r") {
			return "", fmt.Errorf("--resume-command: it must print one line, the path, or nothing; it printed %d lines", strings.Count(from, "\n")+1)
		}
		if from != "" {
			log.Info("resuming", zap.String("from", from), zap.Duration("took", time.Since(begun)))
		}
		return from, nil
	}
	found, err := s.newest(ctx, log)
	if errors.Is(err, resume.ErrNothing) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	path, err := filepath.Abs(found.Path)
	if err != nil {
		return "", err
	}
	log.Info("resuming", zap.String("from", path), zap.Time("completed", found.Completed), zap.Duration("took", time.Since(begun)))
	// A path alone would be looked for in Flink's fs.default-scheme.
	return "file://" + path, nil
}

// newest looks under the directory. A volume that hangs cannot be waited for.
func (s Settings) newest(ctx context.Context, log *zap.Logger) (resume.Found, error) {
	type result struct {
		found   resume.Found
		skipped []resume.Skipped
		err     error
	}
	results := make(chan result, 1)
	go func() {
		found, skipped, err := resume.Newest(s.ResumeFrom)
		results <- result{found, skipped, err}
	}()
	select {
	case <-ctx.Done():
		return resume.Found{}, fmt.Errorf("read %s: %w", s.ResumeFrom, context.Cause(ctx))
	case r := <-results:
		for _, skipped := range r.skipped {
			log.Warn("checkpoint not taken: it is not whole", zap.String("path", skipped.Path), zap.Error(skipped.Why))
		}
		if r.found.Unchecked != nil {
			log.Warn("checkpoint taken without a look at all of it", zap.String("path", r.found.Path), zap.Error(r.found.Unchecked))
		}
		return r.found, r.err
	}
}

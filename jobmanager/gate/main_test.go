package gate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/sys/unix"

	"flink-ha-sidecar/internal/control"
)

// TestMain lets this binary play all parts: gates are real processes.
func TestMain(m *testing.M) {
	if len(os.Args) < 2 {
		os.Exit(m.Run())
	}
	switch os.Args[1] {
	case "guard":
		os.Exit(must(Guard(context.Background(), append([]string{"keeper"}, os.Args[2:]...), testLog())))
	case "keeper":
		os.Exit(playKeeper(os.Args[2], os.Args[3:]))
	case "jobmanager":
		playJobManager(os.Args[2], os.Args[3:])
	default:
		os.Exit(m.Run())
	}
}

func testLog() *zap.Logger {
	encoder := zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig())
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(os.Stderr), zap.DebugLevel))
}

func must(status int, err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		if status == 0 {
			return 1
		}
	}
	return status
}

// playKeeper asks the socket; "observe" may come before the command.
func playKeeper(socket string, command []string) int {
	asker := control.NewAsker(socket)
	observe := command[0] == "observe"
	if observe {
		command = command[1:]
	}
	return must(Keep(context.Background(), Config{
		Command: command, Env: os.Environ(), Name: fmt.Sprint("gate-", os.Getpid()), Observe: observe, Log: testLog(),
		Ask: func(ctx context.Context, r Request) (Answer, error) {
			req := control.PermitRequest{Gate: r.Gate, Observe: r.Observe}
			if c := r.Child; c != nil {
				req.Child = &control.PermitChild{
					Number: c.Number, PID: c.PID, Epoch: c.Epoch, Started: c.Started.Milliseconds(),
					Ended: c.Ended, EndedAt: c.EndedAt.Milliseconds(), Exit: c.Exit,
				}
			}
			p, err := asker.Ask(ctx, req)
			return Answer{
				Run: p.Run, Epoch: p.Epoch, Reason: p.Reason,
				Stop: time.Duration(p.StopMS) * time.Millisecond, Kill: time.Duration(p.KillMS) * time.Millisecond,
			}, err
		},
	}))
}

// playJobManager writes its PID to a file and waits for SIGTERM. Words: "deaf" hears
// none; "tree" starts more of its kind, one of which leaves for a session and a parent
// of its own; "orphans" starts children that end as orphans; "exit=N" ends at once.
func playJobManager(file string, words []string) {
	terms := make(chan os.Signal, 1)
	signal.Notify(terms, unix.SIGTERM)
	for _, word := range words {
		switch {
		case word == "deaf":
			signal.Ignore(unix.SIGTERM)
		case word == "tree":
			spawn(nil, "jobmanager", file, "deaf")
			spawn(&syscall.SysProcAttr{Setsid: true}, "jobmanager", file, "far")
		case word == "far": // its child loses its parent: this one ends
			spawn(&syscall.SysProcAttr{Setsid: true}, "jobmanager", file, "deaf")
			os.Exit(0)
		case word == "orphans":
			for range 5 {
				if err := exec.Command("/bin/sh", "-c", "sleep 0.05 & exit 0").Run(); err != nil {
					panic(err)
				}
			}
		case strings.HasPrefix(word, "exit="):
			var code int
			if _, err := fmt.Sscanf(word, "exit=%d", &code); err != nil {
				panic(err)
			}
			os.Exit(code)
		}
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		panic(err)
	}
	fmt.Fprintf(f, "%d\n", os.Getpid())
	f.Close()
	if slices.Contains(words, "deaf") {
		select {}
	}
	<-terms
	os.Exit(143)
}

func spawn(attr *syscall.SysProcAttr, args ...string) {
	cmd := exec.Command(os.Args[0], args...)
	cmd.SysProcAttr = attr
	if err := cmd.Start(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		panic(err)
	}
}

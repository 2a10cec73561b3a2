// Command standin takes a JobManager's place in the election: it reads the same
// configuration folder, holds the lock in the same way, has the same entry-point
// class on its command line and the same size in memory, and runs no job.
//
//	standin org.apache.flink.container.entrypoint.StandaloneApplicationClusterEntryPoint --configDir DIR [--log FILE]
//	        [--memory MB] [--publish=false] [--on-term hold|release|retake] [--die-after DURATION]
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/clientcmd"

	"flink-ha-sidecar/lab/standin"
)

func main() {
	if err := run(os.Args[1:]); errors.Is(err, standin.ErrDeposed) {
		fmt.Fprintln(os.Stderr, "standin:", err)
		os.Exit(239) // Flink's status for a fatal error
	} else if err != nil {
		fmt.Fprintln(os.Stderr, "standin:", err)
		os.Exit(1)
	}
}

// onTerm is what becomes of the lock when SIGTERM ends a leader. Flink 1.18 never
// lets go of it; 2.3 does, and takes it again in 3 of 8 cases before it dies.
type onTerm string

const (
	hold    onTerm = "hold"
	release onTerm = "release"
	retake  onTerm = "retake"
)

type options struct {
	conf, log string
	memory    int
	publish   bool
	onTerm    string
	dieAfter  time.Duration
}

func run(args []string) error {
	if len(args) == 0 || !strings.HasPrefix(args[0], "org.apache.flink.") {
		return errors.New("the first argument is a Flink entry-point class")
	}
	var o options
	flags := flag.NewFlagSet("standin", flag.ContinueOnError)
	flags.StringVar(&o.conf, "configDir", "", "Flink's configuration folder")
	flags.StringVar(&o.log, "log", "", "log file, in the form of the lab's Flink logs; standard output if empty")
	flags.IntVar(&o.memory, "memory", 0, "megabytes of memory to touch")
	flags.BoolVar(&o.publish, "publish", true, "publish addresses once leading")
	flags.StringVar(&o.onTerm, "on-term", string(release), "what becomes of the lock on SIGTERM: hold, release or retake")
	flags.DurationVar(&o.dieAfter, "die-after", 300*time.Millisecond, "how long the process lives on after SIGTERM")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	switch onTerm(o.onTerm) {
	case hold, release, retake:
	default:
		return fmt.Errorf("--on-term is %q: give hold, release or retake", o.onTerm)
	}
	conf, err := readConf(filepath.Join(o.conf, "config.yaml"))
	if err != nil {
		return err
	}
	if err := standin.Serve(conf["rest.bind-address"]); err != nil {
		return err
	}
	memory := touch(o.memory)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	elector, err := newElector(o, conf)
	if err != nil {
		return err
	}
	elector.Log.Info("LeaderContender has been registered under component 'dispatcher' for a stand-in.")
	if err := elector.Run(ctx); err != nil {
		return err
	}
	err = end(elector, o)
	memory[0]++ // kept to the end
	return err
}

// end does what a JobManager does with its lock after SIGTERM.
func end(elector *standin.Elector, o options) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	dies := time.NewTimer(o.dieAfter)
	defer dies.Stop()
	if onTerm(o.onTerm) != hold {
		if err := errors.Join(elector.Unpublish(ctx), elector.Release(ctx)); err != nil {
			return err
		}
	}
	if onTerm(o.onTerm) == retake {
		if err := elector.Retake(ctx); err != nil {
			return err
		}
	}
	<-dies.C
	return nil
}

// touch makes the process as large as a JVM: what the kernel takes down when it
// dies are pages that were written to.
func touch(megabytes int) []byte {
	memory := make([]byte, max(1, megabytes<<20))
	for i := 0; i < len(memory); i += os.Getpagesize() {
		memory[i] = 1
	}
	return memory
}

func newElector(o options, conf map[string]string) (*standin.Elector, error) {
	config, err := clientcmd.BuildConfigFromFlags("", conf["kubernetes.config.file"])
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	config.QPS = -1
	client, err := corev1.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	out := os.Stdout
	if o.log != "" {
		if out, err = os.OpenFile(o.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644); err != nil {
			return nil, fmt.Errorf("open log: %w", err)
		}
	}
	e := standin.Elector{
		Client: client.ConfigMaps(conf["kubernetes.namespace"]), ClusterID: conf["kubernetes.cluster-id"],
		Address: conf["jobmanager.rpc.address"], Publish: o.publish, Log: slog.New(newLogHandler(out)),
	}
	for _, timing := range []struct {
		key      string
		standard time.Duration // Flink's default
		into     *time.Duration
	}{
		{"retry-period", 5 * time.Second, &e.RetryPeriod},
		{"lease-duration", 15 * time.Second, &e.LeaseDuration},
		{"renew-deadline", 15 * time.Second, &e.RenewDeadline},
	} {
		*timing.into = timing.standard
		if text, ok := conf["high-availability.kubernetes.leader-election."+timing.key]; ok {
			if *timing.into, err = time.ParseDuration(strings.ReplaceAll(text, " ", "")); err != nil {
				return nil, fmt.Errorf("read %s: %w", timing.key, err)
			}
		}
	}
	return standin.New(e), nil
}

// readConf reads the flat form of Flink's configuration that the lab writes.
func readConf(file string) (map[string]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()
	conf := map[string]string{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if key, value, ok := strings.Cut(lines.Text(), ": "); ok {
			conf[key] = value
		}
	}
	return conf, lines.Err()
}

// newLogHandler writes lines as the lab's Flink processes do, so that they can be
// measured by.
func newLogHandler(w io.Writer) slog.Handler { return &logHandler{w: w} }

type logHandler struct{ w io.Writer }

func (h *logHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h *logHandler) Handle(_ context.Context, r slog.Record) error {
	var attrs strings.Builder
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&attrs, " %v", a)
		return true
	})
	class := "LeaderElector"
	switch {
	case strings.HasPrefix(r.Message, "DefaultDispatcherRunner "):
		class = "DefaultDispatcherRunner"
	case strings.HasPrefix(r.Message, "LeaderContender "):
		class = "DefaultLeaderElectionService"
	}
	_, err := fmt.Fprintf(h.w, "%s %-5s %s - %s%s\n", r.Time.UTC().Format("2006-01-02T15:04:05.000Z"), r.Level, class, r.Message, attrs.String())
	return err
}

func (h *logHandler) WithAttrs([]slog.Attr) slog.Handler { return h }

func (h *logHandler) WithGroup(string) slog.Handler { return h }

// Command zkstandin takes a JobManager's place in an election of Flink's ZooKeeper
// HA: it reads the same configuration folder, makes the same nodes, has the same
// entry-point class on its command line and the same size in memory, and runs no
// job.
//
//	zkstandin org.apache.flink.container.entrypoint.StandaloneApplicationClusterEntryPoint --configDir DIR [--log FILE]
//	          [--memory MB] [--publish=false] [--locks N]
//
// SIGTERM ends it with its session closed, as Flink does. SIGUSR1 makes it change
// its session: the connection breaks, the old session's nodes stay until it expires,
// and a new one contends, as after a long pause.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"flink-ha-sidecar/lab/standin"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "zkstandin:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 || !strings.HasPrefix(args[0], "org.apache.flink.") {
		return errors.New("the first argument is a Flink entry-point class")
	}
	flags := flag.NewFlagSet("zkstandin", flag.ContinueOnError)
	confDir := flags.String("configDir", "", "Flink's configuration folder")
	logFile := flags.String("log", "", "log file, in the form of the lab's Flink logs; standard output if empty")
	megabytes := flags.Int("memory", 0, "megabytes of memory to touch")
	publish := flags.Bool("publish", true, "publish addresses once leading")
	locks := flags.Int("locks", 2, "lock nodes to hold while leading")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	conf, err := readConf(filepath.Join(*confDir, "config.yaml"))
	if err != nil {
		return err
	}
	out := io.Writer(os.Stdout)
	if *logFile != "" {
		if out, err = os.OpenFile(*logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644); err != nil {
			return fmt.Errorf("open log: %w", err)
		}
	}
	if err := standin.Serve(conf["rest.bind-address"]); err != nil {
		return err
	}
	memory := touch(*megabytes)
	c := &contender{
		servers: strings.Split(conf["high-availability.zookeeper.quorum"], ","),
		path:    "/flink/" + strings.Trim(conf["high-availability.cluster-id"], "/"),
		address: conf["jobmanager.rpc.address"], publishes: *publish, locks: *locks, log: &logger{w: out},
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	change := make(chan os.Signal, 1)
	signal.Notify(change, syscall.SIGUSR1)
	err = c.run(ctx, change)
	memory[0]++ // kept to the end
	return err
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

// logger writes lines as the lab's Flink processes do, so that they can be
// measured by.
type logger struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *logger) say(class, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.w, "%s INFO  %s - %s\n", time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), class, fmt.Sprintf(format, args...))
}

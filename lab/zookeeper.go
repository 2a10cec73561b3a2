package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// ZooKeeperOptions say what a [ZooKeeper] consists of.
type ZooKeeperOptions struct {
	// Dir holds everything the servers write; it exists.
	Dir string
	// Servers is 1 or 3; one if zero.
	Servers int
	// TickTime is 2 s if zero, as in ZooKeeper's sample configuration. Sessions
	// last at least 2 and at most 20 ticks: with 2 s at most 40 s.
	TickTime time.Duration
	// MaxSession caps sessions, 20 ticks if zero.
	MaxSession time.Duration
	// Commands are the four-letter words that the servers answer; "cons", "mntr",
	// "srvr" and "stat" if nil. ZooKeeper's own default is "srvr" alone.
	Commands []string
	// MaxNode is the most bytes of a request or a node (jute.maxbuffer); ZooKeeper's
	// own 1 MiB if zero.
	MaxNode int
	// TLS makes the servers take TLS as well, with client certificates.
	TLS bool
}

// ZooKeeper is one real server or an ensemble of three, each on a loopback
// address of its own: the server that is part of every Flink distribution.
type ZooKeeper struct {
	Servers []*ZooKeeperServer
	// TLS is nil unless it was asked for.
	TLS *TLSFiles

	flink   *Flink
	options ZooKeeperOptions
	subnet  *Subnet
}

// ZooKeeperServer is one of them. Its address stays the same when it is started
// again, and so do its data.
type ZooKeeperServer struct {
	// Name is zookeeper-1, -2 or -3.
	Name string
	// Address is host:port for clients.
	Address string
	// TLSAddress is host:port for clients with TLS.
	TLSAddress string

	zk   *ZooKeeper
	conf string

	mu   sync.Mutex
	proc *Process
}

// Ports of a server; the last two are for the other servers.
const (
	zkClientPort   = 2181
	zkPeerPort     = 2888
	zkElectionPort = 3888
)

// StartZooKeeper starts the servers and waits until they serve. ctx bounds the
// start alone; they then run until [ZooKeeper.Stop].
func StartZooKeeper(ctx context.Context, f *Flink, o ZooKeeperOptions) (_ *ZooKeeper, err error) {
	if o.Servers == 0 {
		o.Servers = 1
	}
	if o.TickTime == 0 {
		o.TickTime = 2 * time.Second
	}
	if o.MaxSession == 0 {
		o.MaxSession = 20 * o.TickTime
	}
	if o.Commands == nil {
		o.Commands = []string{"cons", "mntr", "srvr", "stat"}
	}
	// The lab itself asks with it whether a server serves.
	if !slices.Contains(o.Commands, "srvr") {
		o.Commands = append(slices.Clone(o.Commands), "srvr")
	}
	z := &ZooKeeper{flink: f, options: o}
	if z.subnet, err = ReserveSubnet(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			z.Stop()
		}
	}()
	for n := range o.Servers {
		s := &ZooKeeperServer{
			Name: fmt.Sprintf("zookeeper-%d", n+1), Address: fmt.Sprintf("%s:%d", z.subnet.IP(n+1), zkClientPort), zk: z,
			TLSAddress: fmt.Sprintf("%s:%d", z.subnet.IP(n+1), zkTLSPort),
		}
		z.Servers = append(z.Servers, s)
	}
	if o.TLS {
		var ips []string
		for n := range z.Servers {
			ips = append(ips, z.subnet.IP(n+1))
		}
		if z.TLS, err = writeTLS(o.Dir, ips); err != nil {
			return nil, err
		}
	}
	for n, s := range z.Servers {
		if err := s.writeConf(n); err != nil {
			return nil, err
		}
		if err := s.Start(); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for _, s := range z.Servers {
		if err := s.WaitServing(ctx); err != nil {
			return nil, err
		}
	}
	return z, nil
}

// Quorum is the value of high-availability.zookeeper.quorum.
func (z *ZooKeeper) Quorum() string {
	var all []string
	for _, s := range z.Servers {
		all = append(all, s.Address)
	}
	return strings.Join(all, ",")
}

// Stop kills all servers. It may be called twice.
func (z *ZooKeeper) Stop() {
	for _, s := range z.Servers {
		s.Kill()
	}
	_ = z.subnet.Close()
}

// Leader is the server that leads the ensemble; the one server of one. Nil if
// there is none.
func (z *ZooKeeper) Leader(ctx context.Context) *ZooKeeperServer {
	for _, s := range z.Servers {
		if mode := s.Mode(ctx); mode == "leader" || mode == "standalone" {
			return s
		}
	}
	return nil
}

// writeConf writes zoo.cfg, and myid in an ensemble.
func (s *ZooKeeperServer) writeConf(n int) error {
	dir := filepath.Join(s.zk.options.Dir, s.Name)
	data := filepath.Join(dir, "data")
	if err := os.MkdirAll(data, 0o755); err != nil {
		return fmt.Errorf("write configuration of %s: %w", s.Name, err)
	}
	o := s.zk.options
	lines := []string{
		fmt.Sprintf("tickTime=%d", o.TickTime.Milliseconds()),
		fmt.Sprintf("maxSessionTimeout=%d", o.MaxSession.Milliseconds()),
		"initLimit=10", "syncLimit=5", "dataDir=" + data,
		"clientPortAddress=" + s.zk.subnet.IP(n+1), fmt.Sprintf("clientPort=%d", zkClientPort),
		"maxClientCnxns=0", "admin.enableServer=false",
		"4lw.commands.whitelist=" + strings.Join(o.Commands, ","),
	}
	if s.zk.TLS != nil {
		lines = append(lines, s.zk.TLS.tlsLines()...)
	}
	if o.Servers > 1 {
		for peer := range o.Servers {
			lines = append(lines, fmt.Sprintf("server.%d=%s:%d:%d", peer+1, s.zk.subnet.IP(peer+1), zkPeerPort, zkElectionPort))
		}
		if err := os.WriteFile(filepath.Join(data, "myid"), fmt.Appendf(nil, "%d\n", n+1), 0o644); err != nil {
			return fmt.Errorf("write configuration of %s: %w", s.Name, err)
		}
	}
	s.conf = filepath.Join(dir, "zoo.cfg")
	for file, content := range map[string]string{s.conf: strings.Join(lines, "\n") + "\n", filepath.Join(dir, "log4j.properties"): log4jProperties} {
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			return fmt.Errorf("write configuration of %s: %w", s.Name, err)
		}
	}
	return nil
}

// Start starts the process; it must not be running. See [ZooKeeperServer.WaitServing].
func (s *ZooKeeperServer) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil && s.proc.Alive() {
		return fmt.Errorf("start %s: it runs already", s.Name)
	}
	const shaded = "org.apache.flink.shaded.zookeeper3.org.apache.zookeeper.server."
	class := shaded + "ZooKeeperServerMain"
	if s.zk.options.Servers > 1 {
		class = shaded + "quorum.QuorumPeerMain"
	}
	dir := filepath.Dir(s.conf)
	maxNode := s.zk.options.MaxNode
	if maxNode == 0 {
		maxNode = 0xfffff
	}
	p, err := start(spec{
		name: s.Name, path: s.zk.flink.JDK.Java(), log: filepath.Join(dir, "out"),
		args: []string{
			"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx200m", "-XX:-UsePerfData",
			fmt.Sprintf("-Djute.maxbuffer=%d", maxNode),
			"-Dzookeeper.jmx.log4j.disable=true", "-Dzookeeper.admin.enableServer=false", "-Dzookeeper.extendedTypesEnabled=true",
			"-Dlog4j.configurationFile=file:" + filepath.Join(dir, "log4j.properties"), "-Dlab.log=" + filepath.Join(dir, "log"),
			"-cp", filepath.Join(s.zk.flink.Lib, "*"), class, s.conf,
		},
	})
	if err != nil {
		return err
	}
	s.proc = p
	return nil
}

// Process is the process started last.
func (s *ZooKeeperServer) Process() *Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proc
}

// Kill ends the process by SIGKILL; what it has acknowledged is on disk.
func (s *ZooKeeperServer) Kill() { s.Process().Kill() }

// Freeze stops the process by SIGSTOP: it takes connections and never answers.
func (s *ZooKeeperServer) Freeze() error { _, err := s.Process().Signal(syscall.SIGSTOP); return err }

// Continue lets a stopped process go on.
func (s *ZooKeeperServer) Continue() error {
	_, err := s.Process().Signal(syscall.SIGCONT)
	return err
}

// Mode is "standalone", "leader" or "follower"; empty while the server does not
// serve.
func (s *ZooKeeperServer) Mode(ctx context.Context) string {
	text, err := s.Ask(ctx, "srvr")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(text) {
		if mode, ok := strings.CutPrefix(line, "Mode: "); ok {
			return strings.TrimSpace(mode)
		}
	}
	return ""
}

// WaitServing waits until the server serves clients.
func (s *ZooKeeperServer) WaitServing(ctx context.Context) error {
	retry := time.NewTicker(50 * time.Millisecond)
	defer retry.Stop()
	for s.Mode(ctx) == "" || !s.takesTLS(ctx) {
		select {
		case <-retry.C:
		case <-s.Process().Done():
			return fmt.Errorf("start %s: it ended; the end of its output:\n%s", s.Name, tail(s.Process().Log(), 10))
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w; its log is in %s", s.Name, ctx.Err(), filepath.Dir(s.conf))
		}
	}
	return nil
}

// takesTLS tells whether the port for TLS is open, if there is to be one: it opens
// after the other.
func (s *ZooKeeperServer) takesTLS(ctx context.Context) bool {
	if s.zk.TLS == nil {
		return true
	}
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", s.TLSAddress)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// Ask sends a four-letter word and returns the answer.
func (s *ZooKeeperServer) Ask(ctx context.Context, word string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.Address)
	if err != nil {
		return "", fmt.Errorf("ask %s: %w", s.Name, err)
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := errors.Join(conn.SetDeadline(deadline), send(conn, word)); err != nil {
		return "", fmt.Errorf("ask %s: %w", s.Name, err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		return "", fmt.Errorf("ask %s: %w", s.Name, err)
	}
	return string(answer), nil
}

func send(w io.Writer, word string) error {
	_, err := io.WriteString(w, word)
	return err
}

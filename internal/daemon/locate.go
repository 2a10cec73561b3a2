package daemon

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"

	"flink-ha-sidecar/internal/flinkconf"
	"flink-ha-sidecar/jobmanager/pulse"
	"flink-ha-sidecar/leader"
)

// locator knows where this pod's JobManager answers.
type locator struct {
	snapshot func() *leader.Snapshot
	ip       netip.Addr
	// guess is what the file alone tells, for a JobManager whose command line is
	// not to be had.
	guess pulse.Target

	mu      sync.Mutex
	process leader.Process
	target  pulse.Target
}

func newLocator(snapshot func() *leader.Snapshot, p *plan) *locator {
	l := &locator{snapshot: snapshot, ip: p.self.IP}
	l.guess = l.targetOf(p.conf, "")
	l.guess.Guessed = true
	return l
}

// identified keeps what a JobManager's own command line has told.
func (l *locator) identified(p leader.Process, conf flinkconf.Config, version string, certain bool) {
	t := l.targetOf(conf, version)
	t.Guessed = !certain
	l.mu.Lock()
	defer l.mu.Unlock()
	l.process, l.target = p, t
}

// targetOf takes the addresses out of a configuration. Ports that are drawn, or
// searched for in a range, are learned later.
func (l *locator) targetOf(conf flinkconf.Config, version string) pulse.Target {
	t := pulse.Target{Version: version}
	if port, ok := single(conf.RESTBindPorts.Value); ok {
		t.REST = restBase(conf.RESTOverTLS.Value, hostPort(conf.RESTBindHost.Value, l.ip, port))
	}
	port, ok := single(conf.RPCPorts())
	if conf.RPCBindPort.Value != 0 {
		port, ok = conf.RPCBindPort.Value, true
	}
	if ok {
		t.RPC = hostPort(conf.RPCBindHost.Value, l.ip, port)
	}
	return t
}

func restBase(tls bool, address string) string {
	if tls {
		return "https://" + address
	}
	return "http://" + address
}

func single(ranges []leader.PortRange) (uint16, bool) {
	if len(ranges) != 1 || ranges[0].Low != ranges[0].High {
		return 0, false
	}
	return ranges[0].Low, true
}

// hostPort is where something that is bound to host can be reached from within
// the pod.
func hostPort(host string, pod netip.Addr, port uint16) string {
	to := pod.String()
	if strings.EqualFold(host, "localhost") {
		to = "127.0.0.1"
	} else if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil && !ip.IsUnspecified() {
		to = ip.String()
	}
	return net.JoinHostPort(to, strconv.Itoa(int(port)))
}

// subject is pulse.Watcher's: the one JobManager alive, and where it is.
func (l *locator) subject() (leader.Process, pulse.Target) {
	s := l.snapshot()
	p, sole := s.Evidence.Sole()
	if !sole || !s.Alive {
		return leader.Process{}, pulse.Target{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.process != p {
		l.process, l.target = p, l.guess
	}
	l.learn(s)
	return p, l.target
}

// learn takes from what a leading JobManager has published what is not fixed.
func (l *locator) learn(s *leader.Snapshot) {
	if s.Outcome != leader.Leading || l.target.REST != "" && l.target.RPC != "" {
		return
	}
	if address := s.View.Published[leader.RESTServer].Address; l.target.REST == "" {
		if a, err := leader.ParseAddress(address); err == nil {
			l.target.REST = restBase(strings.HasPrefix(address, "https:"), a.String())
		}
	}
	if l.target.RPC == "" {
		if a, err := leader.ParseAddress(s.View.Published[leader.Dispatcher].Address); err == nil {
			l.target.RPC = a.String()
		}
	}
}

package daemon

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"flink-ha-sidecar/internal/flinkconf"
	"flink-ha-sidecar/jobmanager/pulse"
	"flink-ha-sidecar/leader"
)

func TestLockSign(t *testing.T) {
	t.Parallel()
	renewed := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	held := leader.View{Lock: leader.LockHeld, Tenure: leader.Tenure{Holder: "h"}, Renewed: renewed}
	elsewhere := held
	elsewhere.Published = map[string]leader.Publication{leader.Dispatcher: {Address: "pekko.tcp://flink@10.0.0.2:6123/x"}}
	for _, tt := range []struct {
		name           string
		s              leader.Snapshot
		counts, hidden bool
	}{
		{"our own", leader.Snapshot{Contact: true, View: held, Own: "h", Outcome: leader.Leading}, true, false},
		{"our own, out of sight", leader.Snapshot{Contact: true, View: held, Own: "h", Outcome: leader.Leading, Lost: "timeout"}, true, true},
		{"nothing seen yet", leader.Snapshot{}, true, true},
		{"another's", leader.Snapshot{Contact: true, View: elsewhere, Outcome: leader.Standby}, false, false},
		{"of somebody who has not published", leader.Snapshot{Contact: true, View: held, Outcome: leader.Standby}, true, false},
		{"of somebody unknown", leader.Snapshot{Contact: true, View: elsewhere, Outcome: leader.Unbound}, true, false},
		{"the guard is refused", leader.Snapshot{Contact: true, View: elsewhere, Outcome: leader.GuardOff}, true, false},
		{"lost to another", leader.Snapshot{Contact: true, View: held, Outcome: leader.Standby, Demoted: true}, false, false},
		{"nobody's", leader.Snapshot{Contact: true, View: leader.View{Lock: leader.LockVacant}}, false, false},
		{"not there", leader.Snapshot{Contact: true}, false, false},
	} {
		got, _ := lockSign(&tt.s)
		if got.Counts != tt.counts || got.Hidden != tt.hidden {
			t.Errorf("%s: %+v, want counts %t, hidden %t", tt.name, got, tt.counts, tt.hidden)
		}
		if again := tt.s; got.Counts && !got.Hidden {
			again.View.Renewed = again.View.Renewed.Add(time.Microsecond)
			if next, _ := lockSign(&again); next.Mark == got.Mark {
				t.Errorf("%s: a renewal leaves the mark at %q", tt.name, next.Mark)
			}
		}
	}
}

func TestASessionIsAskedForOnlyInSilence(t *testing.T) {
	t.Parallel()
	s := leader.Snapshot{Contact: true, View: leader.View{Lock: leader.LockHeld, Contenders: []string{"0x1"}}, Own: "0x1"}
	asked, failing := 0, error(nil)
	g := signs{snapshot: func() *leader.Snapshot { return &s }, activity: func(_ context.Context, session string) (string, error) {
		asked++
		return session + " 7", failing
	}}
	if l := g.lock(t.Context(), leader.Process{}, false); asked != 0 || !l.Counts {
		t.Errorf("it answers: asked %d times, %+v", asked, l)
	}
	if l := g.lock(t.Context(), leader.Process{}, true); asked != 1 || l.Hidden || l.Mark != "0x1 7" {
		t.Errorf("it is silent: asked %d times, %+v", asked, l)
	}
	failing = errors.New("cons is not in the whitelist")
	if l := g.lock(t.Context(), leader.Process{}, true); !l.Counts || !l.Hidden {
		t.Errorf("nobody tells: %+v, want that it is hidden", l)
	}
}

func TestLocator(t *testing.T) {
	t.Parallel()
	us := leader.Process{PID: 7, StartTime: 1}
	for _, tt := range []struct {
		name   string
		conf   map[string]string
		argv   []string
		expect pulse.Target
	}{
		{"defaults", nil, nil, pulse.Target{REST: "http://10.0.0.1:8081", RPC: "10.0.0.1:6123"}},
		{"REST over TLS", map[string]string{"security.ssl.rest.enabled": "true"}, nil, pulse.Target{REST: "https://10.0.0.1:8081", RPC: "10.0.0.1:6123"}},
		{"by the old key", map[string]string{"security.ssl.enabled": "true"}, nil, pulse.Target{REST: "https://10.0.0.1:8081", RPC: "10.0.0.1:6123"}},
		{"bound to an interface", map[string]string{"rest.bind-address": "localhost", "jobmanager.bind-host": "10.0.0.9", "rest.port": "9000"}, nil,
			pulse.Target{REST: "http://127.0.0.1:9000", RPC: "10.0.0.9:6123"}},
		{"bound to all", map[string]string{"rest.bind-address": "0.0.0.0", "jobmanager.bind-host": "0.0.0.0"}, nil, pulse.Target{REST: "http://10.0.0.1:8081", RPC: "10.0.0.1:6123"}},
		{"bound to other ports than published", map[string]string{"rest.bind-port": "9001", "jobmanager.rpc.bind-port": "9002"}, nil, pulse.Target{REST: "http://10.0.0.1:9001", RPC: "10.0.0.1:9002"}},
		{"a range is searched", map[string]string{"rest.bind-port": "8081-8090"}, nil, pulse.Target{RPC: "10.0.0.1:6123"}},
		{"ZooKeeper draws the RPC port", map[string]string{"high-availability.type": "zookeeper"}, nil, pulse.Target{REST: "http://10.0.0.1:8081"}},
		{"the version is on the class path", nil, []string{"java", "-cp", "/opt/flink/lib/a.jar:/opt/flink/lib/flink-dist-1.18.1.jar", "Main"},
			pulse.Target{REST: "http://10.0.0.1:8081", RPC: "10.0.0.1:6123", Version: "1.18.1"}},
	} {
		file := flinkconf.File{Values: map[string]flinkconf.Value{}}
		for key, text := range tt.conf {
			file.Values[key] = flinkconf.Value{Text: text, From: "test"}
		}
		conf, err := flinkconf.Effective(file, tt.argv, nil)
		if err != nil {
			t.Fatal(err)
		}
		s := &leader.Snapshot{Alive: true, Evidence: leader.Evidence{Alive: []leader.Process{us}}, Outcome: leader.Standby}
		l := newLocator(func() *leader.Snapshot { return s }, &plan{conf: conf, self: leader.Self{IP: netip.MustParseAddr("10.0.0.1")}})
		if _, got := l.subject(); !got.Guessed {
			t.Errorf("%s: before its command line was read %+v, want a guess", tt.name, got)
		}
		l.identified(us, conf, flinkconf.Version(tt.argv), true)
		if p, got := l.subject(); p != us || got != tt.expect {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.expect)
		}
		s.Outcome = leader.Leading
		s.View.Published = map[string]leader.Publication{
			leader.Dispatcher: {Address: "pekko.tcp://flink@10.0.0.1:41234/user/rpc/dispatcher_1"}, leader.RESTServer: {Address: "http://10.0.0.1:8085"},
		}
		if _, got := l.subject(); got.REST == "" || got.RPC == "" || tt.expect.REST != "" && got.REST != tt.expect.REST {
			t.Errorf("%s: once it has published %+v", tt.name, got)
		}
		s.Alive = false
		if p, _ := l.subject(); p != (leader.Process{}) {
			t.Errorf("%s: a dead JobManager is asked", tt.name)
		}
	}
}

package daemon

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"go.uber.org/zap"

	"flink-ha-sidecar/jobmanager"
	"flink-ha-sidecar/leader"
	"flink-ha-sidecar/leader/zookeeper"
)

var (
	zkServer = netip.MustParseAddrPort("10.0.0.9:2181")
	ourEnd   = netip.MustParseAddrPort("10.0.0.5:40000")
	theirEnd = netip.MustParseAddrPort("10.0.0.6:40000")
	ours     = jobmanager.Socket{Local: ourEnd, Remote: zkServer}
)

func at(client, server netip.AddrPort, session string) zookeeper.Connection {
	return zookeeper.Connection{Client: client, Server: server, Session: session}
}

func TestOwnerOfASessionIsFoundByBothEndsOfItsConnection(t *testing.T) {
	type connections = []zookeeper.Connection
	queue := []string{"S1", "S2"}
	for name, row := range map[string]struct {
		told connections
		want string
		bad  bool
	}{
		"our connection's session is in the queue": {connections{at(theirEnd, zkServer, "S1"), at(ourEnd, zkServer, "S2")}, "S2", false},
		"our connection's session is not in it":    {connections{at(ourEnd, zkServer, "S9")}, "", false},
		"the connections of others":                {connections{at(theirEnd, zkServer, "S1")}, "", false},
		"our end at another server":                {connections{at(ourEnd, netip.MustParseAddrPort("10.0.0.8:2181"), "S2")}, "", false},
		"one end with two sessions":                {connections{at(ourEnd, zkServer, "S2"), at(ourEnd, zkServer, "S1")}, "", true},
		"one end with another session elsewhere":   {connections{at(ourEnd, zkServer, "S2"), at(ourEnd, netip.MustParseAddrPort("10.0.0.8:2181"), "S7")}, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := owner(row.told, []jobmanager.Socket{ours}, queue)
			if got != row.want || (err != nil) != row.bad {
				t.Errorf("got %q, %v; want %q", got, err, row.want)
			}
		})
	}
}

func TestTwoSessionsFromHereAreNobodys(t *testing.T) {
	other := jobmanager.Socket{Local: netip.MustParseAddrPort("10.0.0.5:40001"), Remote: zkServer}
	told := []zookeeper.Connection{{Client: ourEnd, Server: zkServer, Session: "S1"}, {Client: other.Local, Server: zkServer, Session: "S2"}}
	if got, err := owner(told, []jobmanager.Socket{ours, other}, []string{"S1", "S2"}); err == nil {
		t.Errorf("got %q, want an error", got)
	}
}

func TestAttributionHoldsOnlyForTheProcessThatWasThereBeforeAndAfter(t *testing.T) {
	p := func(pid int) leader.Process { return leader.Process{PID: pid, StartTime: uint64(pid)} }
	for name, row := range map[string]struct {
		before, after []leader.Process
		exact, shared bool
		bound         bool
	}{
		"one process before and after": {[]leader.Process{p(1)}, []leader.Process{p(1)}, true, false, true},
		"another one after":            {[]leader.Process{p(1)}, []leader.Process{p(2)}, true, false, false},
		"a second one after":           {[]leader.Process{p(1)}, []leader.Process{p(1), p(2)}, true, false, false},
		"none before":                  {nil, []leader.Process{p(1)}, true, false, false},
		"two before":                   {[]leader.Process{p(1), p(2)}, []leader.Process{p(1)}, true, false, false},
		"files that may not be read, our own network":   {[]leader.Process{p(1)}, []leader.Process{p(1)}, false, false, true},
		"files that may not be read, a shared network":  {[]leader.Process{p(1)}, []leader.Process{p(1)}, false, true, false},
		"files that may be read, though it is a shared": {[]leader.Process{p(1)}, []leader.Process{p(1)}, true, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			looks := [][]leader.Process{row.before, row.after}
			var told []leader.Input
			a := &attributor{
				log:      zap.NewNop(),
				snapshot: func() *leader.Snapshot { return &leader.Snapshot{View: leader.View{Contenders: []string{"S1", "S2"}}} },
				look: func(context.Context) leader.Evidence {
					alive := looks[0]
					looks = looks[1:]
					return leader.Evidence{Alive: alive}
				},
				ask: func(context.Context) ([]zookeeper.Connection, error) {
					return []zookeeper.Connection{{Client: ourEnd, Server: zkServer, Session: "S2"}}, nil
				},
				sockets: func(int) ([]jobmanager.Socket, bool, error) { return []jobmanager.Socket{ours}, row.exact, nil },
				tell:    func(_ context.Context, in leader.Input) { told = append(told, in) },
				shared:  row.shared,
			}
			err := a.attribute(t.Context())
			want := leader.Attributed{Holder: "S2", Process: p(1)}
			if row.bound != (len(told) == 1 && told[0] == leader.Input(want)) || !row.bound && len(told) != 0 {
				t.Errorf("told %v, %v; want %v: %t", told, err, want, row.bound)
			}
		})
	}
}

func TestServersThatDoNotTellAreNotAskedAgainSoon(t *testing.T) {
	a := &attributor{look: func(context.Context) leader.Evidence { return leader.Evidence{Alive: make([]leader.Process, 1)} },
		ask: func(context.Context) ([]zookeeper.Connection, error) { return nil, leader.ErrForbidden }}
	if err := a.attribute(t.Context()); !errors.Is(err, leader.ErrForbidden) {
		t.Errorf("got %v, want %v", err, leader.ErrForbidden)
	}
}

package main

import (
	"fmt"
	"strings"
	"time"

	"flink-ha-sidecar/lab"
)

// The long lease; Flink's own is 15 s for both.
const (
	longLease    = 180 * time.Second
	longDeadline = 170 * time.Second
	ownLease     = 15 * time.Second
)

// dies is when in an outage the leader is killed: it still leads then, whatever
// its lease.
const dies = 10 * time.Second

// kind is one sort of outage.
type kind struct {
	name  string
	fault func(*lab.ControlPlane) lab.Fault
	// lasts is about how long it does.
	lasts time.Duration
}

var kinds = []kind{
	{"killed-30s", func(c *lab.ControlPlane) lab.Fault { return c.Killed(30*time.Second, dies) }, 40 * time.Second},
	{"killed-90s", func(c *lab.ControlPlane) lab.Fault { return c.Killed(90*time.Second, dies) }, 100 * time.Second},
	{"frozen-30s", func(c *lab.ControlPlane) lab.Fault { return c.Frozen(30*time.Second, dies) }, 40 * time.Second},
	{"flapping", func(c *lab.ControlPlane) lab.Fault { return c.Flapping(4, 5*time.Second, 5*time.Second) }, 60 * time.Second},
	{"killed-60s", func(c *lab.ControlPlane) lab.Fault { return c.Killed(60*time.Second, dies) }, 70 * time.Second},
	{untouched, func(*lab.ControlPlane) lab.Fault { return lab.NoFault }, 0},
}

// untouched is no outage at all: what the others are compared with.
const untouched = "up"

func kindOf(name string) kind {
	for _, k := range kinds {
		if k.name == name {
			return k
		}
	}
	return kind{}
}

// cell is one place in the table.
type cell struct {
	Kind    string `json:"kind"`
	Killed  bool   `json:"leader_killed"`
	Sidecar bool   `json:"sidecar"`
	Long    bool   `json:"long_lease"`
}

// cells are all there are, in the order of the table: each kind with Flink's own
// lease, but one with the long lease beside it.
func allCells() []cell {
	var all []cell
	for _, k := range kinds {
		for _, killed := range []bool{false, true} {
			switch {
			case k.name == untouched && !killed: // nothing happens
			case k.name == untouched:
				all = append(all, cell{k.name, killed, false, false}, cell{k.name, killed, true, false},
					cell{k.name, killed, false, true}, cell{k.name, killed, true, true})
			case k.name == "killed-60s" && !killed:
				all = append(all, cell{k.name, killed, false, false}, cell{k.name, killed, false, true}, cell{k.name, killed, true, true})
			case k.name == "killed-60s":
				all = append(all, cell{k.name, killed, false, true}, cell{k.name, killed, true, true})
			default:
				all = append(all, cell{k.name, killed, false, false}, cell{k.name, killed, true, false})
			}
		}
	}
	return all
}

func (c cell) lease() time.Duration {
	if c.Long {
		return longLease
	}
	return ownLease
}

func (c cell) leader() string {
	if c.Killed {
		return "killed"
	}
	return "alive"
}

func (c cell) side() string {
	if c.Sidecar {
		return "sidecar"
	}
	return "plain"
}

// name is fit for a folder.
func (c cell) name() string {
	return strings.Join([]string{c.Kind, c.leader(), c.side(), fmt.Sprintf("%.0fs", c.lease().Seconds())}, "-")
}

func (c cell) String() string {
	return fmt.Sprintf("API server %s, leader %s, %s, lease %v", c.Kind, c.leader(), c.side(), c.lease())
}

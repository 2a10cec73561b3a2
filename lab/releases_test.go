package lab

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

var taken = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// ran is a process that ran from one second to another after taken; it lives on
// if it has no end.
func ran(name string, from, to float64) *Process {
	p := &Process{name: name, startedAt: taken.Add(seconds(from)), done: make(chan struct{})}
	if to != 0 {
		p.endedAt = taken.Add(seconds(to))
		close(p.done)
	}
	return p
}

// killed is a process that this program has killed, a moment before its end was seen.
func killed(name string, from, at, to float64) *Process {
	p := ran(name, from, to)
	when := taken.Add(seconds(at))
	p.killedAt.Store(&when)
	return p
}

// deposed is a process that ended because its lock was taken from it.
func deposed(name string, from, to float64) *Process {
	p := ran(name, from, to)
	p.err = exec.Command("sh", "-c", fmt.Sprintf("exit %d", deposedStatus)).Run()
	return p
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func TestCheckReleasesKnowsTheDeadFromTheLiving(t *testing.T) {
	const address = "127.1.1.11"
	held := LockVersion{
		At: taken.Add(time.Second), Record: "{}", Holder: "a", AcquireTime: taken.Format(time.RFC3339Nano),
		Fresh: map[string]string{"dispatcher": "pekko.tcp://flink@" + address + ":6123/user/rpc/dispatcher_1"},
	}
	beginning := held
	beginning.Fresh = map[string]string{"restserver": "http://" + address + ":8081"}
	silent := held
	silent.Fresh = nil
	again := silent
	again.AcquireTime = taken.Add(2 * time.Second).Format(time.RFC3339Nano)
	free := func(at float64, renewed string) LockVersion {
		return LockVersion{At: taken.Add(seconds(at)), Record: "{}", AcquireTime: held.AcquireTime, RenewTime: renewed}
	}
	freedAgain := free(10, freedTime)
	freedAgain.AcquireTime = again.AcquireTime
	for name, row := range map[string]struct {
		runs     []*Process
		versions []LockVersion
		want     string
	}{
		"its process had ended":                                      {[]*Process{ran("jm", -5, 9)}, []LockVersion{held, free(10, freedTime)}, ""},
		"its parent learnt of the end a moment later":                {[]*Process{ran("jm", -5, 10.9)}, []LockVersion{held, free(10, freedTime)}, ""},
		"it was killed, and its parent learnt of the end much later": {[]*Process{killed("jm", -5, 9.9, 12)}, []LockVersion{held, free(10, freedTime)}, ""},
		"it was killed only then":                                    {[]*Process{killed("jm", -5, 10.1, 10.2)}, []LockVersion{held, free(10, freedTime)}, "while its holder jm lived"},
		"it found its lock freed":                                    {[]*Process{deposed("jm", -5, 10.3)}, []LockVersion{held, free(10, freedTime)}, "while its holder jm lived"},
		"its process lives":                                          {[]*Process{ran("jm", -5, 0)}, []LockVersion{held, free(10, freedTime)}, "while its holder jm lived"},
		"its process ended later":                                    {[]*Process{ran("jm", -5, 11.1)}, []LockVersion{held, free(10, freedTime)}, "while its holder jm lived"},
		"the successor in its pod lives":                             {[]*Process{ran("jm", -5, 9), ran("jm.2", 9.5, 0)}, []LockVersion{held, free(10, freedTime)}, ""},
		"it was the successor's": {
			[]*Process{ran("jm", -5, -2), ran("jm.2", -1, 0)}, []LockVersion{held, free(10, freedTime)}, "while its holder jm.2 lived",
		},
		"somebody else wrote it":    {[]*Process{ran("jm", -5, 0)}, []LockVersion{held, {At: taken.Add(time.Minute), Record: "{}", AcquireTime: freedTime, RenewTime: freedTime}}, ""},
		"Flink let go of it itself": {[]*Process{ran("jm", -5, 0)}, []LockVersion{held, free(10, taken.Format(time.RFC3339Nano))}, ""},
		"the dying process had taken it once more": {
			[]*Process{ran("jm", -5, 9)}, []LockVersion{held, free(2, taken.Format(time.RFC3339Nano)), again, freedAgain}, "",
		},
		"it had published one address": {[]*Process{ran("jm", -5, 0)}, []LockVersion{beginning, free(10, freedTime)}, "while its holder jm lived"},
		"its holder cannot be told":    {[]*Process{ran("jm", -5, 9)}, []LockVersion{silent, free(10, freedTime)}, "no process is known"},
		"free from the start is fine":  {nil, []LockVersion{free(10, freedTime)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := &Cluster{JobManagers: []*JobManager{{Address: address, runs: row.runs}}, Lock: &LockWatch{versions: row.versions}}
			err := c.CheckReleases()
			if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
				t.Errorf("got error %v, want %q", err, row.want)
			}
		})
	}
}

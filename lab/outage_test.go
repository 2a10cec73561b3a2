package lab

import (
	"testing"
	"time"
)

// version is one in which holder has the lock and address stands in it, written
// in the leader session that is named.
func version(at float64, holder, session, ip string) LockVersion {
	address := "pekko.tcp://flink@" + ip + ":6123/user/rpc/dispatcher_1"
	return LockVersion{
		At: taken.Add(seconds(at)), Record: "{}", Holder: holder, AcquireTime: holder,
		Addresses: map[string]string{"dispatcher": address}, raw: map[string]string{"dispatcher": session + "," + address},
	}
}

func TestPublishedByFindsALeaderWhoseBeginningWasMissed(t *testing.T) {
	const first, second = "127.1.1.11", "127.1.1.12"
	held := version(0, "a", "s1", first)
	for name, row := range map[string]struct {
		versions []LockVersion
		ip       string
		want     float64 // 0: not published
	}{
		"seen from its beginning":                {[]LockVersion{held, version(5, "b", "s1", first), version(6, "b", "s2", second)}, second, 6},
		"seen only once it had published":        {[]LockVersion{held, version(7, "b", "s2", second)}, second, 7},
		"the old one again, in a new session":    {[]LockVersion{held, version(8, "a'", "s2", first)}, first, 8},
		"the old address still stands":           {[]LockVersion{held, version(5, "b", "s1", first)}, first, 0},
		"another has published, not this one":    {[]LockVersion{held, version(6, "b", "s2", second)}, first, 0},
		"published in a tenure that is over":     {[]LockVersion{held, version(6, "b", "s2", second), version(9, "c", "s2", second)}, second, 9},
		"the first of several of its own tenure": {[]LockVersion{held, version(6, "b", "s2", second), version(7, "b", "s2", second)}, second, 6},
	} {
		t.Run(name, func(t *testing.T) {
			c := &Cluster{Lock: &LockWatch{versions: row.versions}}
			at, ok := c.publishedBy(&JobManager{Address: row.ip}, held, c.Lock.Last())
			if ok != (row.want != 0) || ok && !at.Equal(taken.Add(seconds(row.want))) {
				t.Errorf("published %v at %v, want %v s after %v", ok, at, row.want, taken)
			}
		})
	}
}

func TestEndedCountsWhoEndedByThemselves(t *testing.T) {
	jms := []*JobManager{{runs: []*Process{ran("1", -9, -5), ran("1.2", -4, 3)}}, {runs: []*Process{ran("2", -9, 6), ran("2.2", 7, 0)}}}
	c := &Cluster{JobManagers: jms}
	if got := c.ended(&Outage{Began: taken}); got != 2 {
		t.Errorf("%d ended, want 2", got)
	}
	if got := c.ended(&Outage{Began: taken, Died: taken.Add(time.Second)}); got != 1 {
		t.Errorf("%d ended beside the one that was killed, want 1", got)
	}
}

package lab

import (
	"testing"
	"time"
)

// second is a moment in seconds after some start.
func second(seconds float64) time.Time {
	return time.Unix(1_700_000_000, 0).Add(time.Duration(seconds * float64(time.Second)))
}

// lockAt is a version of the lock: who holds it, and which IP that one has
// published, empty for none.
func lockAt(seconds float64, holder, ip string) LockVersion {
	v := LockVersion{At: second(seconds), Holder: holder, Record: "{}", Fresh: map[string]string{}}
	if ip != "" {
		v.Fresh["dispatcher"] = "pekko.tcp://flink@" + ip + ":6123/user/rpc/dispatcher_0"
	}
	return v
}

func TestLeaderless(t *testing.T) {
	const since, until = 10.0, 60.0
	for name, row := range map[string]struct {
		versions []LockVersion
		ends     []ProcessEnd
		want     time.Duration
		gaps     int
	}{
		"one leader all the time": {
			versions: []LockVersion{lockAt(1, "a", "1.1.1.1"), lockAt(30, "a", "1.1.1.1")},
		},
		"the leader lets go and the next publishes": {
			versions: []LockVersion{lockAt(1, "a", "1.1.1.1"), lockAt(20, "", ""), lockAt(21, "b", ""), lockAt(22, "b", "2.2.2.2")},
			want:     2 * time.Second, gaps: 1,
		},
		"the leader takes its address back while it still holds the lock": {
			versions: []LockVersion{lockAt(1, "a", "1.1.1.1"), lockAt(20, "a", ""), lockAt(25, "", ""), lockAt(26, "b", "2.2.2.2")},
			want:     6 * time.Second, gaps: 1,
		},
		"the leader is killed and its lease runs out": {
			versions: []LockVersion{lockAt(1, "a", "1.1.1.1"), lockAt(35, "b", ""), lockAt(36, "b", "2.2.2.2")},
			ends:     []ProcessEnd{{IP: "1.1.1.1", At: second(20)}},
			want:     16 * time.Second, gaps: 1,
		},
		"a renewal that arrives after the death does not make it lead again": {
			versions: []LockVersion{lockAt(1, "a", "1.1.1.1"), lockAt(20.1, "a", "1.1.1.1"), lockAt(23, "b", "2.2.2.2")},
			ends:     []ProcessEnd{{IP: "1.1.1.1", At: second(20)}},
			want:     3 * time.Second, gaps: 1,
		},
		"a standby's death costs nothing": {
			versions: []LockVersion{lockAt(1, "a", "1.1.1.1"), lockAt(30, "a", "1.1.1.1")},
			ends:     []ProcessEnd{{IP: "2.2.2.2", At: second(20)}},
		},
		"the same pod leads again in a new process": {
			versions: []LockVersion{lockAt(1, "a", "1.1.1.1"), lockAt(30, "c", ""), lockAt(31, "c", "1.1.1.1")},
			ends:     []ProcessEnd{{IP: "1.1.1.1", At: second(20)}},
			want:     11 * time.Second, gaps: 1,
		},
		"two switches": {
			versions: []LockVersion{
				lockAt(1, "a", "1.1.1.1"), lockAt(20, "", ""), lockAt(22, "b", "2.2.2.2"), lockAt(30, "", ""), lockAt(33, "c", "3.3.3.3"),
			},
			want: 5 * time.Second, gaps: 2,
		},
		"a gap that began before counts from then on": {
			versions: []LockVersion{lockAt(1, "a", "1.1.1.1"), lockAt(5, "", ""), lockAt(13, "b", "2.2.2.2")},
			want:     3 * time.Second, gaps: 1,
		},
		"a gap that goes on counts up to the end": {
			versions: []LockVersion{lockAt(1, "a", "1.1.1.1"), lockAt(50, "", "")},
			want:     10 * time.Second, gaps: 1,
		},
		"what comes after the end does not count": {
			versions: []LockVersion{lockAt(1, "a", "1.1.1.1"), lockAt(70, "", "")},
		},
		"nobody ever leads": {want: 50 * time.Second, gaps: 1},
	} {
		t.Run(name, func(t *testing.T) {
			gaps := Leaderless(row.versions, row.ends, second(since), second(until))
			if got := Sum(gaps); got != row.want || len(gaps) != row.gaps {
				t.Errorf("%d gaps of %v together, want %d of %v: %v", len(gaps), got, row.gaps, row.want, gaps)
			}
		})
	}
}

package lab

import (
	"maps"
	"slices"
	"testing"
	"time"
)

func at(ms int) time.Time { return time.UnixMilli(int64(ms)) }

func TestFreedIsWhenTheNextHolderCouldTakeTheLock(t *testing.T) {
	tenure := LockVersion{UID: "u", Holder: "a", AcquireTime: "1", Record: "{}"}
	version := func(ms int, holder string) LockVersion {
		return LockVersion{At: at(ms), UID: "u", Holder: holder, Record: "{}"}
	}
	for name, row := range map[string]struct {
		versions []LockVersion
		want     int // 0: never
	}{
		"freed, then taken":                    {[]LockVersion{version(100, "a"), version(200, ""), version(300, "b")}, 200},
		"freed, not taken yet":                 {[]LockVersion{version(200, "")}, 200},
		"freed before the signal":              {[]LockVersion{version(90, ""), version(95, "a")}, 0},
		"never freed, it ran out":              {[]LockVersion{version(200, "a"), version(900, "b")}, 0},
		"retaken while shutting down":          {[]LockVersion{version(200, ""), version(210, "a"), version(900, "b")}, 0},
		"retaken, then freed by the sidecar":   {[]LockVersion{version(200, ""), version(210, "a"), version(400, ""), version(900, "b")}, 400},
		"freed twice in a row":                 {[]LockVersion{version(200, ""), version(250, ""), version(900, "b")}, 200},
		"what comes after the next is another": {[]LockVersion{version(300, "b"), version(400, "")}, 0},
		"the ConfigMap of another cluster":     {[]LockVersion{{At: at(200), UID: "v", Record: "{}"}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := freed(row.versions, tenure, at(100))
			if ok != (row.want != 0) || ok && !got.Equal(at(row.want)) {
				t.Errorf("got %v, %v; want %d", got.UnixMilli(), ok, row.want)
			}
		})
	}
}

func TestTakeover(t *testing.T) {
	log := func(ms int, kind LogKind) LogEvent { return LogEvent{At: at(ms), Kind: kind} }
	earlier := []LogEvent{log(10, LogContends), log(20, LogGranted), log(30, LogTaskRunning), log(40, LogCheckpoint)}
	whole := slices.Concat(earlier, []LogEvent{
		log(200, LogGranted), log(300, LogTaskRunning), log(310, LogTaskRunning), log(400, LogCheckpoint), log(500, LogCheckpoint),
	})
	for name, row := range map[string]struct {
		events []LogEvent
		want   map[Phase]time.Time
	}{
		"nothing since the signal": {earlier, map[Phase]time.Time{}},
		"granted so far":           {whole[:5], map[Phase]time.Time{LeaderGranted: at(200)}},
		"one of two tasks runs":    {whole[:6], map[Phase]time.Time{LeaderGranted: at(200)}},
		"the last task counts": {whole, map[Phase]time.Time{
			LeaderGranted: at(200), JobRunning: at(310), FirstCheckpoint: at(400),
		}},
		"a checkpoint without a grant is the old leader's": {slices.Concat(earlier, []LogEvent{log(150, LogCheckpoint)}), map[Phase]time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, granted := takeover(row.events, at(100))
			if !maps.Equal(got, row.want) || granted != (len(row.want) > 0) {
				t.Errorf("got %v, %v; want %v", got, granted, row.want)
			}
		})
	}
}

package lab

import (
	"slices"
	"time"
)

// Gap is a time in which a cluster had no leader.
type Gap struct{ From, To time.Time }

// Leaderless returns the times between since and until in which no living
// JobManager had its address published under a lock that it held. They begin when
// the leader's process ends, lets go of the lock or takes its dispatcher's address
// back, whichever comes first, and end with the next leader's address.
func Leaderless(versions []LockVersion, ends []ProcessEnd, since, until time.Time) []Gap {
	dead := map[string]bool{} // holders whose process has ended
	ended := slices.Clone(ends)
	slices.SortFunc(ended, func(a, b ProcessEnd) int { return a.At.Compare(b.At) })
	var gaps []Gap
	var last LockVersion
	led, begin := false, time.Time{}
	become := func(now bool, at time.Time) {
		switch {
		case now == led:
		case now:
			led = true
			if at.After(since) {
				gaps = append(gaps, Gap{From: laterOf(begin, since), To: at})
			}
		default:
			led, begin = false, at
		}
	}
	end := func(e ProcessEnd) {
		if last.LeaderIP() == e.IP && e.IP != "" {
			dead[last.Holder] = true
			become(false, e.At)
		}
	}
	for _, v := range versions {
		if v.At.After(until) {
			break
		}
		for len(ended) > 0 && ended[0].At.Before(v.At) {
			end(ended[0])
			ended = ended[1:]
		}
		last = v
		become(v.LeaderIP() != "" && !dead[v.Holder], v.At)
	}
	for _, e := range ended {
		if !e.At.After(until) {
			end(e)
		}
	}
	if !led && begin.Before(until) {
		gaps = append(gaps, Gap{From: laterOf(begin, since), To: until})
	}
	return gaps
}

// Sum is how long the gaps last together.
func Sum(gaps []Gap) time.Duration {
	var sum time.Duration
	for _, g := range gaps {
		sum += g.To.Sub(g.From)
	}
	return sum
}

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

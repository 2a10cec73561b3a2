package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// source is one way to hear of the leader.
type source struct {
	name string
	kind string // none, poll, lock, published or sidecar
	// retry is Flink's retry-period: how often the leader renews its lock.
	retry time.Duration
}

// idle has no followers: what it costs is subtracted from the others.
const idle = "none"

// sources are those to compare. The polling service of old asked every 5 s.
var sources = []source{
	{"poll", "poll", 5 * time.Second},
	{"lock-5s", "lock", 5 * time.Second},
	{"lock-1s", "lock", time.Second},
	{"lock-400ms", "lock", 400 * time.Millisecond},
	{"published", "published", time.Second},
	{"sidecar", "sidecar", time.Second},
}

// pollEvery is how often a follower polls.
const pollEvery = 5 * time.Second

type settings struct {
	followers []int
	sources   []source
	length    time.Duration
	changes   int
	out       string
	fresh     bool
}

func parseSettings(getenv func(string) string) (settings, error) {
	s := settings{followers: []int{100, 1000, 5000}, sources: sources, length: time.Minute, changes: 20, out: "docs/benchmarks/discovery.json"}
	if text := getenv("FOLLOWERS"); text != "" {
		s.followers = nil
		for part := range strings.SplitSeq(text, ",") {
			n, err := strconv.Atoi(part)
			if err != nil || n < 1 {
				return s, fmt.Errorf("FOLLOWERS is %q: give numbers, as in 100,1000", text)
			}
			s.followers = append(s.followers, n)
		}
	}
	if text := getenv("SOURCES"); text != "" {
		s.sources = nil
		for part := range strings.SplitSeq(text, ",") {
			i := slices.IndexFunc(sources, func(one source) bool { return one.name == part })
			if i < 0 {
				return s, fmt.Errorf("SOURCES is %q: known are poll, lock-5s, lock-1s, lock-400ms, published, sidecar", text)
			}
			s.sources = append(s.sources, sources[i])
		}
	}
	if text := getenv("FOR"); text != "" {
		var err error
		if s.length, err = time.ParseDuration(text); err != nil || s.length < time.Second {
			return s, fmt.Errorf("FOR is %q: give a duration of at least a second, as in 60s", text)
		}
	}
	if text := getenv("CHANGES"); text != "" {
		var err error
		if s.changes, err = strconv.Atoi(text); err != nil || s.changes < 1 {
			return s, fmt.Errorf("CHANGES is %q: give a number of at least 1", text)
		}
	}
	if s.length/time.Duration(s.changes) < 2*time.Second {
		return s, fmt.Errorf("FOR is %v and CHANGES %d: a change takes 0.3 s, leave 2 s for each", s.length, s.changes)
	}
	if text := getenv("OUT"); text != "" {
		s.out = text
	}
	if dir := filepath.Dir(s.out); !isFolder(dir) {
		return s, fmt.Errorf("OUT is %q: there is no folder %s", s.out, dir)
	}
	s.fresh = getenv("FRESH") == "1"
	return s, nil
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// cell is one measurement.
type cell struct {
	source
	followers int
}

// cells are all to measure: first, for each retry-period, the server without
// followers.
func (s settings) cells() []cell {
	var all []cell
	for _, one := range s.sources {
		c := cell{source: source{name: idle, kind: idle, retry: one.retry}}
		if !slices.Contains(all, c) {
			all = append(all, c)
		}
	}
	for _, n := range s.followers {
		for _, one := range s.sources {
			all = append(all, cell{source: one, followers: n})
		}
	}
	return all
}

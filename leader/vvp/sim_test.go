package vvp

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// seedVariable names the one seed to replay, with its trace.
const seedVariable = "FLINK_HA_VVP_SEED"

// TestSimulation plays many seeds: at no instant do two JobManagers run, nor may two
// gates run one, and with the faults over one leads within Timing.Bound.
func TestSimulation(t *testing.T) {
	if text := os.Getenv(seedVariable); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", seedVariable, err)
		}
		w, err := simulation{seed: seed, trace: true}.run()
		t.Log(strings.Join(w.lines, "\n"))
		if err != nil {
			t.Error(err)
		}
		return
	}
	seeds := uint64(10_000)
	if os.Getenv("FLINK_HA_LAB_SLOW") != "1" {
		seeds = 1_000
	}
	begun := time.Now()
	all, failures := play(seeds, breach{}, 3)
	for _, f := range failures {
		t.Error(f)
	}
	t.Logf("%d runs in %v: %+v", all.runs, time.Since(begun).Truncate(time.Millisecond), all)
	for i, n := range all.fields() {
		if *n == 0 && !t.Failed() {
			t.Errorf("the simulation never came to what counter %d of its coverage counts", i)
		}
	}
}

// play runs seeds until some have failed.
func play(seeds uint64, broken breach, enough int) (coverage, []string) {
	var mu sync.Mutex
	var all coverage
	var failures []string
	var next atomic.Uint64
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for seed := next.Add(1); seed <= seeds; seed = next.Add(1) {
				w, err := simulation{seed: seed, broken: broken}.run()
				mu.Lock()
				all.add(w.cover)
				if err != nil {
					failures = append(failures, "seed "+strconv.FormatUint(seed, 10)+": "+err.Error()+"; "+seedVariable+" replays it")
				}
				over := len(failures) >= enough
				mu.Unlock()
				if over {
					return
				}
			}
		})
	}
	wg.Wait()
	return all, failures
}

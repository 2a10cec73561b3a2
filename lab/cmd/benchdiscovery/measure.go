package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"flink-ha-sidecar/lab"
)

// straggle is how long followers may still hear of the last leader: a poller that
// has come in the middle of a change comes again 5 s later.
func (c cell) straggle() time.Duration {
	if c.kind == "poll" {
		return 2*pollEvery + time.Second
	}
	return 2 * time.Second
}

// measureAll measures every cell that is not in OUT yet, and writes OUT, the table
// and the plots after each.
func measureAll(ctx context.Context, s settings, w io.Writer) error {
	results, err := load(s.out)
	if err != nil {
		return err
	}
	if err := enoughDescriptors(s); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "flink-ha-benchdiscovery-")
	if err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	defer os.RemoveAll(dir)
	progress := lab.NewProgress(w)
	cache, err := lab.OpenCache(progress)
	if err != nil {
		return err
	}
	sidecar, err := lab.BuildSidecar(ctx, progress, dir, false)
	if err != nil {
		return err
	}
	results.Machine = machine()
	cells := s.cells()
	for i, c := range cells {
		if _, done := results.find(c); done && !s.fresh {
			continue
		}
		progress.Say("cell %d of %d: %d followers, %s, retry-period %v", i+1, len(cells), c.followers, c.name, c.retry)
		one, err := measureIn(ctx, cache, s, c, filepath.Join(dir, fmt.Sprint(i)), sidecar)
		if err != nil {
			return err
		}
		if c.kind != idle {
			base, _ := results.find(cell{source: source{name: idle, kind: idle, retry: c.retry}})
			one = one.above(base)
		}
		results.put(c, one)
		if err := errors.Join(results.save(s.out), results.report(s.out)); err != nil {
			return err
		}
	}
	return results.report(s.out)
}

func measureIn(ctx context.Context, cache *lab.Cache, s settings, c cell, dir, sidecar string) (row, error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return row{}, fmt.Errorf("make folder: %w", err)
	}
	defer os.RemoveAll(dir)
	place, err := newSite(ctx, cache, dir, sidecar)
	if err != nil {
		return row{}, err
	}
	defer place.stop()
	return place.measure(ctx, s, c)
}

// measure is one cell.
func (p *site) measure(ctx context.Context, s settings, c cell) (row, error) {
	everybody, err := gather(ctx, p, c)
	if err != nil {
		return row{}, err
	}
	defer everybody.end()
	if err := p.settle(ctx, c.retry); err != nil {
		return row{}, err
	}
	if err := everybody.say("begin"); err != nil {
		return row{}, err
	}
	before, err := p.read(ctx)
	if err != nil {
		return row{}, err
	}
	told, err := p.lead(ctx, c.retry, s.length, s.changes)
	if err != nil {
		return row{}, err
	}
	after, err := p.read(ctx)
	if err != nil {
		return row{}, err
	}
	if err := p.renewUntil(ctx, c.retry, time.Now().Add(c.straggle())); err != nil {
		return row{}, err
	}
	h, err := everybody.collect()
	if err != nil {
		return row{}, err
	}
	one := after.since(before)
	one.Followers, one.Source, one.RetryPeriod, one.Changes = c.followers, c.name, c.retry.Seconds(), s.changes
	one.Bytes = round(float64(h.Bytes) / (s.length + c.straggle()).Seconds())
	one.late(told, h, c.followers)
	return one, nil
}

// settleFor lets what gathering has caused come to rest.
const settleFor = 5 * time.Second

func (p *site) settle(ctx context.Context, retry time.Duration) error {
	return p.renewUntil(ctx, retry, time.Now().Add(settleFor))
}

// late takes in how long the followers took to hear of each leader.
func (r *row) late(told map[string]time.Time, h heard, followers int) {
	var all []time.Duration
	for session, at := range told {
		for _, micros := range h.Sessions[session] {
			all = append(all, time.UnixMicro(micros).Sub(at))
		}
		r.Missed += followers - len(h.Sessions[session])
	}
	slices.Sort(all)
	r.P50, r.P99, r.Max = milliseconds(percentile(all, 50)), milliseconds(percentile(all, 99)), milliseconds(percentile(all, 100))
}

// enoughDescriptors: the API server and a sidecar hold one for each follower.
func enoughDescriptors(s settings) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	most := slices.Max(s.followers)
	if need := uint64(most + 1000); limit.Cur < need {
		return fmt.Errorf("%d followers need %d open files in one process, the limit is %d: raise it (ulimit -n), or give fewer FOLLOWERS", most, need, limit.Cur)
	}
	return nil
}

// machine says where it was measured.
func machine() string {
	memory := "unknown memory"
	var info syscall.Sysinfo_t
	if syscall.Sysinfo(&info) == nil {
		memory = fmt.Sprintf("%.0f GiB", float64(info.Totalram)*float64(info.Unit)/(1<<30))
	}
	return fmt.Sprintf("%d cores, %s, %s", runtime.NumCPU(), memory, runtime.Version())
}

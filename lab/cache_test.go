package lab

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

func newCache(t *testing.T) *Cache {
	t.Helper()
	t.Setenv("FLINK_HA_LAB_CACHE", filepath.Join(t.TempDir(), "cache"))
	c, err := OpenCache(nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// fill writes two files, with a chance for others to look in between.
func fill(_ context.Context, dir string) error {
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "one"), []byte("1"), 0o644),
		os.WriteFile(filepath.Join(dir, "two"), []byte("2"), 0o644),
	)
}

func TestCacheFillsAnEntryOnceForAllWhoWantIt(t *testing.T) {
	c := newCache(t)
	var fills atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			other := &Cache{root: c.root} // as another process: nothing is shared but the folder
			dir, err := other.entry(t.Context(), "etcd-v1", func(ctx context.Context, dir string) error {
				fills.Add(1)
				return fill(ctx, dir)
			})
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := os.Stat(filepath.Join(dir, "two")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := fills.Load(); got != 1 {
		t.Errorf("filled %d times, want 1", got)
	}
}

func TestCacheHasNoEntryAfterAFillThatFailed(t *testing.T) {
	c := newCache(t)
	broken := errors.New("no network")
	_, err := c.entry(t.Context(), "etcd-v1", func(ctx context.Context, dir string) error {
		return errors.Join(fill(ctx, dir), broken)
	})
	if !errors.Is(err, broken) {
		t.Fatalf("got error %v, want %v", err, broken)
	}
	if left, _ := filepath.Glob(filepath.Join(c.root, "etcd-v1*")); len(left) != 1 { // the lock file
		t.Errorf("left behind: %v", left)
	}
	if _, err := c.entry(t.Context(), "etcd-v1", fill); err != nil {
		t.Errorf("the next attempt: %v", err)
	}
}

func TestCacheRemovesWhatAKilledFillLeft(t *testing.T) {
	c := newCache(t)
	left := filepath.Join(c.root, "etcd-v1.new-123")
	if err := os.Mkdir(left, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := c.entry(t.Context(), "etcd-v1", fill); err != nil {
		t.Fatal(err)
	}
	if present(left) {
		t.Errorf("%s is still there", left)
	}
}

func TestCacheWaitsForALockNoLongerThanItsContext(t *testing.T) {
	c := newCache(t)
	unlock, err := c.lock(t.Context(), "etcd-v1")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.entry(ctx, "etcd-v1", fill); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
}

func TestCacheCleanRemovesItsEntriesAlone(t *testing.T) {
	c := newCache(t)
	if _, err := c.entry(t.Context(), "etcd-v1", fill); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(c.root, "letters")
	if err := os.WriteFile(foreign, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := c.Clean(); err != nil {
		t.Fatal(err)
	}
	left, _ := filepath.Glob(filepath.Join(c.root, "*"))
	if len(left) != 1 || left[0] != foreign {
		t.Errorf("left: %v, want %s alone", left, foreign)
	}
	if err := os.Remove(foreign); err != nil {
		t.Fatal(err)
	}
	if err := c.Clean(); err != nil {
		t.Fatal(err)
	}
	if present(c.root) {
		t.Errorf("the empty folder is still there")
	}
}

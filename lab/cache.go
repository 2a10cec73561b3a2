package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Cache keeps what is slow to get: Flink distributions and the control plane's
// binaries. An entry is a folder named by what it holds and its version; it is
// there completely or not at all, and never changes.
type Cache struct {
	root     string
	progress *Progress
}

// cachePrefixes names every kind of entry, so that [Cache.Clean] removes what
// this package made and nothing else, whatever folder the environment names.
var cachePrefixes = []string{"flink-", "ticker-", "kube-apiserver-", "kube-controller-manager-", "kube-proxy-", "kube-scheduler-", "kubelet-", "coredns-", "etcd-", "golangci-lint-"}

// OpenCache opens the cache at $FLINK_HA_LAB_CACHE, else at
// $XDG_CACHE_HOME/flink-ha-lab, else at ~/.cache/flink-ha-lab. It tells progress
// of everything that lasts.
func OpenCache(progress *Progress) (*Cache, error) {
	root := os.Getenv("FLINK_HA_LAB_CACHE")
	if root == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("find cache folder: %w; set FLINK_HA_LAB_CACHE", err)
		}
		root = filepath.Join(base, "flink-ha-lab")
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("find cache folder: %w", err)
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, fmt.Errorf("make cache folder: %w", err)
	}
	return &Cache{root: root, progress: progress}, nil
}

// Root is the cache's folder.
func (c *Cache) Root() string { return c.root }

// entry returns the folder of key, filled by fill if it is not there yet. fill
// writes into a temporary folder beside it, which takes its place in one rename:
// a fill that is killed leaves no half entry. Two processes that want the same
// entry fill it once.
func (c *Cache) entry(ctx context.Context, key string, fill func(ctx context.Context, dir string) error) (string, error) {
	dir := filepath.Join(c.root, key)
	if present(dir) {
		return dir, nil
	}
	unlock, err := c.lock(ctx, key)
	if err != nil {
		return "", err
	}
	defer unlock()
	if present(dir) {
		return dir, nil
	}
	c.removeTemporary(key)
	temporary, err := os.MkdirTemp(c.root, key+".new-")
	if err != nil {
		return "", fmt.Errorf("fill cache: %w", err)
	}
	defer os.RemoveAll(temporary)
	if err := fill(ctx, temporary); err != nil {
		return "", err
	}
	if err := os.Chmod(temporary, 0o755); err != nil {
		return "", fmt.Errorf("fill cache: %w", err)
	}
	if err := os.Rename(temporary, dir); err != nil {
		return "", fmt.Errorf("fill cache: %w", err)
	}
	return dir, nil
}

// lock takes the lock file of key. The kernel frees it when its holder dies.
func (c *Cache) lock(ctx context.Context, key string) (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(c.root, key+".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock cache: %w", err)
	}
	retry := time.NewTicker(100 * time.Millisecond)
	defer retry.Stop()
	done := func(error) {}
	for waiting := false; ; {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			done(nil)
			return func() { file.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			done(err)
			file.Close()
			return nil, fmt.Errorf("lock cache: %w", err)
		}
		if !waiting {
			waiting, done = true, c.progress.Step("wait for another process that fetches "+key)
		}
		select {
		case <-ctx.Done():
			done(ctx.Err())
			file.Close()
			return nil, fmt.Errorf("lock cache: %w", ctx.Err())
		case <-retry.C:
		}
	}
}

// removeTemporary removes what a killed fill of key left behind; the caller holds
// the lock of key.
func (c *Cache) removeTemporary(key string) {
	left, _ := filepath.Glob(filepath.Join(c.root, key+".new-*"))
	for _, dir := range left {
		os.RemoveAll(dir)
	}
}

// Clean removes every entry, and the cache's folder if nothing else is in it.
func (c *Cache) Clean() error {
	entries, err := os.ReadDir(c.root)
	if err != nil {
		return fmt.Errorf("clean cache: %w", err)
	}
	for _, e := range entries {
		for _, prefix := range cachePrefixes {
			if strings.HasPrefix(e.Name(), prefix) {
				if err := os.RemoveAll(filepath.Join(c.root, e.Name())); err != nil {
					return fmt.Errorf("clean cache: %w", err)
				}
			}
		}
	}
	os.Remove(c.root) // fails, as it should, if something else is in there
	return nil
}

func present(dir string) bool {
	_, err := os.Stat(dir)
	return !errors.Is(err, fs.ErrNotExist)
}

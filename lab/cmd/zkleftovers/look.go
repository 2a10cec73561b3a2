package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"

	"flink-ha-sidecar/lab"
)

// leftovers is what does not fit together.
type leftovers struct {
	pointers int
	files    int
	// dangling are nodes whose file is gone, orphans files without a node.
	dangling, orphans []string
}

func (l leftovers) String() string {
	return fmt.Sprintf("%d pointers to %d files, %d pointers to nothing, %d files without a pointer", l.pointers, l.files, len(l.dangling), len(l.orphans))
}

// look compares until two looks in a row agree: the running job replaces its
// pointers every second.
func look(ctx context.Context, z *lab.ZooKeeper, s *lab.Settings) (leftovers, error) {
	conn, err := lab.DialZooKeeper([]string{z.Servers[0].Address}, 10*time.Second, nil)
	if err != nil {
		return leftovers{}, err
	}
	defer conn.Close()
	retry := time.NewTicker(300 * time.Millisecond)
	defer retry.Stop()
	var always leftovers
	for n := range 10 {
		l, err := lookOnce(conn, s)
		if err != nil {
			return leftovers{}, err
		}
		if n == 0 {
			always = l
		}
		// What is in the middle of being replaced shows in one look and not in all.
		always.pointers, always.files = l.pointers, l.files
		always.dangling = both(always.dangling, l.dangling)
		always.orphans = both(always.orphans, l.orphans)
		select {
		case <-retry.C:
		case <-ctx.Done():
			return leftovers{}, ctx.Err()
		}
	}
	return always, nil
}

func both(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return !slices.Contains(b, s) })
}

func lookOnce(conn *zk.Conn, s *lab.Settings) (leftovers, error) {
	var l leftovers
	pointed := map[string]bool{}
	err := walk(conn, s.LockPath(), func(node string, data []byte) {
		file := pointer(data)
		if file == "" || strings.Contains(node, "/leader/") {
			return
		}
		l.pointers++
		pointed[file] = true
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			l.dangling = append(l.dangling, node)
		}
	})
	if err != nil {
		return l, err
	}
	// Of the HA storage only what ZooKeeper points to: not the BLOBs, not the results.
	err = filepath.WalkDir(filepath.Join(s.Dir, "ha"), func(file string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // replaced while it was listed
		}
		name := d.Name()
		if err != nil || d.IsDir() || !strings.HasPrefix(name, "completedCheckpoint") && !strings.HasPrefix(name, "submitted") {
			return err
		}
		l.files++
		if !pointed[file] {
			l.orphans = append(l.orphans, file)
		}
		return nil
	})
	return l, err
}

// walk calls f for each node at and below a path.
func walk(conn *zk.Conn, node string, f func(node string, data []byte)) error {
	data, _, err := conn.Get(node)
	if errors.Is(err, zk.ErrNoNode) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", node, err)
	}
	f(node, data)
	children, _, err := conn.Children(node)
	if err != nil && !errors.Is(err, zk.ErrNoNode) {
		return fmt.Errorf("list %s: %w", node, err)
	}
	for _, child := range children {
		if err := walk(conn, node+"/"+child, f); err != nil {
			return err
		}
	}
	return nil
}

// pointer is the path of the file in a serialized state handle: a Java string,
// which is preceded by its length.
func pointer(data []byte) string {
	i := bytes.Index(data, []byte("file:"))
	if i < 2 {
		return ""
	}
	n := int(binary.BigEndian.Uint16(data[i-2:]))
	if i+n > len(data) {
		return ""
	}
	path := strings.TrimPrefix(string(data[i:i+n]), "file:")
	return filepath.Clean("/" + strings.TrimLeft(path, "/"))
}

package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/go-zookeeper/zk"
)

// sync brings the server that l is connected to up to date.
func (b *Backend) sync(ctx context.Context, l *link) error {
	_, err := ask(ctx, b, l, "sync", b.o.Path, func(c *zk.Conn) (string, error) { return c.Sync(b.o.Path) })
	return err
}

// stat returns what is known of a node, nil if it is not there; with watched, a
// watch stands on it afterwards, there or not.
func (b *Backend) stat(ctx context.Context, l *link, path string, watched bool) (*zk.Stat, error) {
	w := watch{path, false}
	set := watched && l.begin(w)
	stat, err := ask(ctx, b, l, "get", path, func(c *zk.Conn) (*zk.Stat, error) {
		var there bool
		var stat *zk.Stat
		var err error
		if set {
			there, stat, _, err = c.ExistsW(path)
		} else {
			there, stat, err = c.Exists(path)
		}
		if err != nil || !there {
			return nil, err
		}
		return stat, nil
	})
	if err != nil && set {
		l.unset(w)
	}
	return stat, err
}

// children lists a node's; there is false if the node itself is not. With watched,
// a watch stands afterwards on the list, or on the node if it is not there.
func (b *Backend) children(ctx context.Context, l *link, path string, watched bool) (names []string, there bool, err error) {
	w := watch{path, true}
	set := watched && l.begin(w)
	names, err = ask(ctx, b, l, "list", path, func(c *zk.Conn) ([]string, error) {
		if set {
			names, _, _, err := c.ChildrenW(path)
			return names, err
		}
		names, _, err := c.Children(path)
		return names, err
	})
	if err != nil && set {
		l.unset(w)
	}
	if !errors.Is(err, zk.ErrNoNode) {
		return names, err == nil, err
	}
	if !watched {
		return nil, false, nil
	}
	stat, err := b.stat(ctx, l, path, true)
	if err == nil && stat != nil {
		err = errChanged // it was made in between
	}
	return nil, false, err
}

func (b *Backend) content(ctx context.Context, l *link, path string) ([]byte, *zk.Stat, error) {
	type node struct {
		data []byte
		stat *zk.Stat
	}
	n, err := ask(ctx, b, l, "get", path, func(c *zk.Conn) (node, error) {
		data, stat, err := c.Get(path)
		return node{data, stat}, err
	})
	return n.data, n.stat, err
}

// ask does one request that changes nothing, and counts it. Its error is of
// package leader, but zk.ErrNoNode is found in it.
func ask[T any](ctx context.Context, b *Backend, l *link, verb, path string, request func(*zk.Conn) (T, error)) (T, error) {
	var none T
	conn, err := l.client()
	if err != nil {
		<-l.down
		return none, l.err
	}
	v, err := call(ctx, l, func() (T, error) { return request(conn) })
	if errors.Is(err, zk.ErrNoNode) {
		b.counted(verb, nil)
		return v, err
	}
	if err != nil {
		err = fmt.Errorf("%s %s: %w", verb, path, classify(err, false))
	}
	b.counted(verb, err)
	return v, err
}

// parallel limits requests that are on their way at once.
const parallel = 16

// each calls f for every item, some at the same time, and returns the results in
// the order of the items, or the first error.
func each[T, R any](items []T, f func(T) (R, error)) ([]R, error) {
	results, errs := make([]R, len(items)), make([]error, len(items))
	places := make(chan struct{}, parallel)
	var wg sync.WaitGroup
	for i, item := range items {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			results[i], errs[i] = f(item)
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return results, nil
}

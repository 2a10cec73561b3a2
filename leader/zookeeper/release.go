package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/go-zookeeper/zk"

	"flink-ha-sidecar/leader"
)

// Release deletes the places of holder, a session, that v shows, and then its lock
// nodes. The owner of each is read again just before it is deleted, and the delete
// names the version that was read. A place that is gone or another's is a
// conflict; nothing further is deleted then.
func (b *Backend) Release(ctx context.Context, v leader.View, holder string) (leader.View, error) {
	after, err := b.release(ctx, v, holder)
	if err != nil {
		return leader.View{}, fmt.Errorf("release %s of session %s: %w", b.o.Path, holder, err)
	}
	return after, nil
}

func (b *Backend) release(ctx context.Context, v leader.View, holder string) (leader.View, error) {
	if err := ctx.Err(); err != nil {
		return leader.View{}, fmt.Errorf("%w: %w", leader.ErrUnavailable, err)
	}
	session, err := parseSession(holder)
	if err != nil || v.Lock == leader.LockUnreadable || !slices.Contains(v.Contenders, holder) {
		return leader.View{}, fmt.Errorf("%w: it is not in the queue that was read", leader.ErrConflict)
	}
	places, err := placesOf(v.Record, session)
	if err != nil {
		return leader.View{}, fmt.Errorf("%w: %w", leader.ErrConflict, err)
	}
	l, err := b.connected(ctx)
	if err != nil {
		return leader.View{}, err
	}
	if err := b.deletePlaces(ctx, l, places); err != nil {
		return leader.View{}, err
	}
	b.remember(session)
	if err := b.deleteLocks(ctx, l, session); err != nil {
		return leader.View{}, err
	}
	after, err := b.collect(ctx, l, false)
	if err != nil {
		return leader.View{}, fmt.Errorf("%w: deleted, but not read again: %w", leader.ErrUnclear, err)
	}
	return after, nil
}

// deletePlaces begins with the last one: with the first one gone the lock passes
// on, and a second place of the same dead session would be next.
func (b *Backend) deletePlaces(ctx context.Context, l *link, places []place) error {
	if len(places) == 0 {
		return nil
	}
	names, there, err := b.children(ctx, l, b.latchPath(), false)
	if err != nil {
		return err
	}
	if !there {
		return b.missing(ctx, l)
	}
	if i := slices.IndexFunc(names, func(n string) bool { return !placeName.MatchString(n) }); i >= 0 {
		return fmt.Errorf("%w: %s/%.100s is no place of a contender", leader.ErrConflict, b.latchPath(), names[i])
	}
	for _, p := range slices.Backward(places) {
		node := path.Join(b.latchPath(), p.name)
		stat, err := b.stat(ctx, l, node, false)
		switch {
		case err != nil:
			return err
		case stat == nil:
			return b.missing(ctx, l)
		case stat.EphemeralOwner != p.owner || stat.Czxid != p.czxid:
			return fmt.Errorf("%w: %s is of session %s", leader.ErrConflict, node, sessionName(stat.EphemeralOwner))
		}
		if err := b.delete(ctx, l, node, stat.Version); err != nil {
			return err
		}
	}
	return nil
}

// missing says why a place is not there: the whole cluster's node is gone, or just
// the place.
func (b *Backend) missing(ctx context.Context, l *link) error {
	root, err := b.stat(ctx, l, b.o.Path, false)
	switch {
	case err != nil:
		return err
	case root == nil:
		return fmt.Errorf("%w: %s", leader.ErrGone, b.o.Path)
	}
	return fmt.Errorf("%w: its place in the queue is gone", leader.ErrConflict)
}

// delete deletes one node if its version is still the given one.
func (b *Backend) delete(ctx context.Context, l *link, node string, version int32) error {
	conn, err := l.client()
	if err != nil {
		<-l.down
		return l.err
	}
	_, err = call(ctx, l, func() (struct{}, error) { return struct{}{}, conn.Delete(node, version) })
	switch {
	case err == nil:
	case errors.Is(err, zk.ErrNoAuth):
		err = fmt.Errorf("delete %s: %w%s", node, classify(err, true), b.acl(ctx, l, path.Dir(node)))
	default:
		err = fmt.Errorf("delete %s: %w", node, classify(err, true))
	}
	b.counted("delete", err)
	return err
}

// acl says who may delete below a node, for people.
func (b *Backend) acl(ctx context.Context, l *link, node string) string {
	acl, err := ask(ctx, b, l, "get", node, func(c *zk.Conn) ([]zk.ACL, error) {
		acl, _, err := c.GetACL(node)
		return acl, err
	})
	if err != nil {
		return ""
	}
	text := "; the ACL of " + node + " is"
	for _, a := range acl {
		text += fmt.Sprintf(" %s:%s:%s", a.Scheme, a.ID, permissions(a.Perms))
	}
	return text + ", and it takes d to delete below it (high-availability.zookeeper.client.authorization)"
}

// permissions are written as ZooKeeper's own client does.
func permissions(bits int32) string {
	var text []byte
	for _, p := range []struct {
		bit    int32
		letter byte
	}{{zk.PermCreate, 'c'}, {zk.PermDelete, 'd'}, {zk.PermRead, 'r'}, {zk.PermWrite, 'w'}, {zk.PermAdmin, 'a'}} {
		if bits&p.bit != 0 {
			text = append(text, p.letter)
		}
	}
	return string(text)
}

package zookeeper

import "context"

// DeleteVersion deletes one node as a release does.
func (b *Backend) DeleteVersion(ctx context.Context, node string, version int32) error {
	l, err := b.connected(ctx)
	if err != nil {
		return err
	}
	return b.delete(ctx, l, node, version)
}

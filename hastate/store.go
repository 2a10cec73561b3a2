package hastate

import "context"

// Store holds one text for a cluster, with a version. Its errors wrap those of
// package leader.
type Store interface {
	// Name is where it is, for people.
	Name() string
	// Load reads the newest version: what was written before Load was called is seen.
	Load(ctx context.Context) (Version, error)
	// Save writes raw if the newest version is still over. It returns ErrConflict if
	// it is not, ErrGone if there is nowhere to write to (yet), ErrForbidden,
	// ErrUnavailable, or ErrUnclear if it may have been written; else the version that
	// it has made.
	Save(ctx context.Context, raw []byte, over Version) (Version, error)
	// Watch calls seen with each version, the present one first, until ctx is done,
	// and returns ctx's error. Versions may be left out, but not the newest. Each
	// interruption is told through lost, at once.
	Watch(ctx context.Context, seen func(Version), lost func(error)) error
}

// Version is one version of the text.
type Version struct {
	Raw []byte
	// Tag tells versions apart; it is empty if there is no text.
	Tag string
	// Order is higher the newer the version, 0 where that is not known.
	Order uint64
}

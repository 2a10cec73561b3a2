package leader

import (
	"context"
	"errors"
)

// The vocabulary of the loop. Every error of a Backend wraps one of these or is
// treated as ErrUnavailable.
var (
	// ErrConflict: the record was no longer the one that was read; nothing was
	// written.
	ErrConflict = errors.New("the record has changed since it was read")
	// ErrGone: the lock's object does not exist; nothing was written.
	ErrGone = errors.New("the lock's object does not exist")
	// ErrForbidden: the backend refused for want of a permission. The text names
	// verb and object.
	ErrForbidden = errors.New("not permitted")
	// ErrUnclear: the write was sent and no usable reply came: it may have
	// happened.
	ErrUnclear = errors.New("the reply was lost")
	// ErrUnavailable: the backend could not be asked; nothing was written.
	ErrUnavailable = errors.New("backend unavailable")
)

// Backend is one HA service as seen from outside. It makes single attempts:
// every rule of timing and every decision is Decide's.
type Backend interface {
	// Observe sends each View of the lock to sink, in order, until ctx is done,
	// and returns ctx's error. It goes on after every error; each interruption
	// is told through gap, at once, and the first View after it says Resync.
	// Neither sink nor gap blocks for IO.
	Observe(ctx context.Context, sink func(View), gap func(error)) error

	// Read asks for the lock as it is now, from a quorum: everything that was
	// committed before Read was called is in the View. It returns a View with
	// LockAbsent if the object does not exist, ErrForbidden or ErrUnavailable.
	Read(ctx context.Context) (View, error)

	// Release frees the lock if its record is still, byte for byte, the one of
	// v, and returns the View that it left behind. It returns ErrConflict or
	// ErrGone if it is not, ErrForbidden, ErrUnavailable, or ErrUnclear when the
	// caller has to read before it may try again. It changes nothing but the
	// lock's record, and leaves one that every supported Flink reads as free.
	Release(ctx context.Context, v View, holder string) (View, error)
}

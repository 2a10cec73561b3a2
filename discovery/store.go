package discovery

import (
	"context"
	"errors"
)

// The vocabulary of a Store. Any other error means that it could not be asked, and
// that a write may or may not have happened.
var (
	// ErrConflict: the object is no longer as it was seen; nothing was written.
	ErrConflict = errors.New("the object has changed since it was seen")
	// ErrForbidden: for want of a permission; the text names verb and object.
	ErrForbidden = errors.New("not permitted")
	// ErrRefused: the server does not accept what was to be written.
	ErrRefused = errors.New("refused")
)

// Store keeps one published object. It makes single attempts: when and what is the
// Publisher's.
type Store interface {
	// Name is the object's, for people; Kind is its metric label.
	Name() string
	Kind() string
	// Read returns the object as it is now.
	Read(ctx context.Context) (Object, error)
	// Write makes the object tell l, on the condition that it is still o; it returns
	// the object that it left behind.
	Write(ctx context.Context, o Object, l Leader) (Object, error)
	// Holds reports whether o tells exactly l, apart from what others may add.
	Holds(o Object, l Leader) bool
	// Watch tells every version until ctx is done. A store without changes by others
	// waits.
	Watch(ctx context.Context, seen func(Object), interrupted func(error))
}

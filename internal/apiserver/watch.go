package apiserver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
)

const (
	// watchFor is how long the server keeps a watch, plus up to a quarter more so
	// that the watches of many clusters do not all begin anew at once.
	watchFor = 5 * time.Minute
	// watchSlack is how much earlier than agreed the server may end a watch.
	watchSlack = 5 * time.Second
	// silence is how long a watch may tell nothing at all. The server sends a
	// bookmark about once a minute, a live lock far more.
	silence = 150 * time.Second
	// retryFrom and retryTo bound the pause between attempts to begin a watch.
	retryFrom = 100 * time.Millisecond
	retryTo   = 5 * time.Second
	// refusedFor is the pause when a permission is missing: only people end that.
	// An API server that is just starting refuses everybody for a moment, so the
	// first refusals, some 3 s of them, are taken for that.
	refusedFor  = 30 * time.Second
	startingFor = 5
	// readFor bounds the read that begins a watch.
	readFor = 5 * time.Second
)

// Object is one of the client's group.
type Object interface {
	runtime.Object
	metav1.Object
}

// Watcher follows one object.
type Watcher[T Object] struct {
	Client *Client
	Ref    Ref
	New    func() T
	// Seen is called with each version in order. exists is false when there is no
	// object; then only its resourceVersion may be told. resync marks the first
	// version after an interruption.
	Seen func(object T, exists, resync bool)
	// Interrupted is called at once when something may be missed.
	Interrupted func(error)
	// Count is called once a request with its verb, get or watch.
	Count func(verb string, err error)
	// Alive is called whenever the server has told anything at all, which it does
	// about once a minute where nothing changes. May be nil.
	Alive func()
}

var (
	errEnded = errors.New("the watch ended before it told anything")
	errBroke = errors.New("the connection ended before its time")
)

// Run reads the object and then watches it from that version on, until ctx is
// done; it returns ctx's error. A watch that ends as agreed is resumed without a
// gap; anything else is told, and begins with a new read after a bounded,
// jittered pause.
func (w *Watcher[T]) Run(ctx context.Context) error {
	pause, refusals := retryFrom, 0
	for again := false; ctx.Err() == nil; again = true {
		err := w.follow(ctx, again, func() { pause = retryFrom })
		if ctx.Err() != nil {
			break
		}
		w.Interrupted(err)
		if !apierrors.IsForbidden(err) {
			refusals = 0
		} else if refusals++; refusals > startingFor {
			pause = refusedFor
		}
		wait(ctx, pause/2+rand.N(pause/2+1))
		pause = min(2*pause, retryTo)
	}
	return ctx.Err()
}

// follow goes on until something is lost; again says that something has been
// before, healthy is called once events flow.
func (w *Watcher[T]) follow(ctx context.Context, again bool, healthy func()) error {
	object := w.New()
	readCtx, cancel := context.WithTimeout(ctx, readFor)
	err := w.Client.Get(readCtx, w.Ref, object)
	cancel()
	exists := !apierrors.IsNotFound(err)
	if err != nil && exists {
		w.Count("get", err)
		return err
	}
	w.Count("get", nil)
	w.alive()
	w.Seen(object, exists, again)
	// An absent object has no version to go on from: without one the server begins
	// with the present state, so a creation in between is not missed.
	version := object.GetResourceVersion()
	for {
		version, err = w.watch(ctx, version, healthy)
		if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
			// An object that is seldom written is older than all that the server
			// remembers, after its restart at once: reading it again gives the same
			// version. Without one the server begins with the present state.
			version, err = w.watch(ctx, "", healthy)
		}
		if err != nil || version == "" {
			return err
		}
	}
}

// watch passes on events until the server ends the watch as agreed, and returns
// the version to go on from. Whatever else ends it is an error.
func (w *Watcher[T]) watch(ctx context.Context, version string, healthy func()) (string, error) {
	seconds := int64((watchFor + rand.N(watchFor/4)).Seconds())
	options := metav1.ListOptions{
		Watch: true, AllowWatchBookmarks: true, ResourceVersion: version, TimeoutSeconds: &seconds,
		FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, w.Ref.Name).String(),
	}
	// Until the server has answered, silence is a failure to connect.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	timer := time.AfterFunc(readFor, cancel)
	defer timer.Stop()
	stream, err := w.Client.rest.Get().Namespace(w.Ref.Namespace).Resource(w.Ref.Resource).MaxRetries(0).
		VersionedParams(&options, parameters).Watch(ctx)
	w.Count("watch", err)
	if err != nil {
		return "", err
	}
	defer stream.Stop()
	healthy()
	begun := time.Now()
	version, err = w.receive(stream, version, timer)
	switch {
	case err != nil:
		return "", err
	case ctx.Err() != nil:
		return "", fmt.Errorf("nothing was heard for %v", silence)
	case time.Since(begun) < time.Duration(seconds)*time.Second-watchSlack:
		return "", errBroke
	}
	return version, nil
}

func (w *Watcher[T]) receive(stream watch.Interface, version string, timer *time.Timer) (string, error) {
	timer.Reset(silence)
	for e := range stream.ResultChan() {
		timer.Reset(silence)
		if e.Type == watch.Error {
			return "", apierrors.FromObject(e.Object)
		}
		w.alive()
		object, is := e.Object.(T)
		if !is {
			return "", fmt.Errorf("an object of type %T", e.Object)
		}
		version = object.GetResourceVersion()
		if e.Type != watch.Bookmark {
			w.Seen(object, e.Type != watch.Deleted, false)
		}
	}
	if version == "" {
		return "", errEnded
	}
	return version, nil
}

func (w *Watcher[T]) alive() {
	if w.Alive != nil {
		w.Alive()
	}
}

// wait pauses for d or until ctx is done.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

package hastate

import (
	"errors"
	"time"

	"go.uber.org/zap"

	"flink-ha-sidecar/leader"
)

// trouble is what was told last of what is wrong, so that it is told once; each is
// empty while there is none.
type trouble struct{ unread, unwritten, content string }

// Trouble says why the document is not seen or not written; empty while all is well.
func (k *Keeper) Trouble() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.trouble.unread != "" {
		return k.trouble.unread
	}
	return k.trouble.unwritten
}

// toldWell passes on whether all is well; k.mu is held.
func (k *Keeper) toldWell() {
	well := k.known && k.trouble.unread == "" && k.trouble.unwritten == ""
	if well != k.well && k.Well != nil {
		k.Well(well)
	}
	k.well = well
}

// saw takes in a version unless a newer one was seen, and returns the newest
// document with what is wrong with it. What does not parse is taken from what was
// seen before.
func (k *Keeper) saw(v Version) (Document, error) {
	d, problem := Decode(v.Raw, time.Now())
	k.mu.Lock()
	defer k.mu.Unlock()
	if v.Order != 0 && v.Order < k.order {
		return k.document, nil
	}
	if errors.Is(problem, ErrCorrupt) {
		d = d.fill(k.document)
	}
	if v.Order != 0 {
		k.order = v.Order
	}
	k.document, k.known = d, true
	defer k.toldWell()
	if k.trouble.unread != "" {
		k.Log.Info("the cluster's state can be read again", zap.String("state", k.Store.Name()))
		k.trouble.unread = ""
	}
	content := ""
	if problem != nil {
		content = problem.Error()
	}
	if problem != nil && content != k.trouble.content {
		k.Log.Warn("the cluster's state is not as it should be; the guard goes on", zap.String("state", k.Store.Name()), zap.Error(problem))
	}
	k.trouble.content = content
	return d, problem
}

// fill adds to what could be read what was there before.
func (d Document) fill(before Document) Document {
	if d.Pause.IsZero() {
		d.Pause = before.Pause
	}
	for _, m := range before.Members {
		d = d.WithMember(m)
	}
	for _, c := range before.Changes {
		d = d.WithChange(c)
	}
	return d
}

// lost tells once that no pause would be heard of.
func (k *Keeper) lost(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	defer k.toldWell()
	if k.trouble.unread == "" {
		k.Log.Warn("the cluster's state cannot be watched: a pause would not be seen; the guard goes on", zap.String("state", k.Store.Name()), zap.Error(err))
	}
	k.trouble.unread = err.Error()
	k.order = 0 // a store that was restored counts from an earlier version on
}

// wrote tells once that nothing can be written, and once that it can again. A
// cluster that Flink has not made yet is no trouble.
func (k *Keeper) wrote(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	defer k.toldWell()
	switch {
	case err == nil && k.trouble.unwritten != "":
		k.trouble.unwritten = ""
		k.Log.Info("the cluster's state can be written again", zap.String("state", k.Store.Name()))
	case err == nil, errors.Is(err, leader.ErrGone):
	default:
		if k.trouble.unwritten == "" {
			k.Log.Warn("the cluster's state cannot be written: leader changes are missing in the history; the guard goes on", zap.String("state", k.Store.Name()), zap.Error(err))
		}
		k.trouble.unwritten = err.Error()
	}
}

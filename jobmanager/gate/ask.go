package gate

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"
)

// ask asks for a permit in the background, unless a question is on its way.
func (k *keeper) ask() {
	if k.asking != nil {
		return
	}
	request := Request{Gate: k.Name, Observe: k.Observe}
	ended := false
	if k.child != nil {
		child := k.child.Child
		request.Child, ended = &child, child.Ended
	}
	k.askAt = 0
	ctx, cancel := context.WithTimeout(context.Background(), askFor)
	k.asking = cancel
	// Before the request is sent: whoever answers counts from when it has come.
	begun := Now()
	go func() {
		defer cancel()
		a, err := k.Ask(ctx, request)
		k.answers <- answer{
			permit: Permit{Run: a.Run, Epoch: a.Epoch, StopAt: begun.Add(a.Stop), KillAt: begun.Add(a.Kill), Reason: a.Reason},
			err:    err, ended: ended,
		}
	}()
}

// askNow asks at once: what is on its way would be answered for an earlier state.
func (k *keeper) askNow() {
	k.askAt = Now()
	if k.asking != nil {
		k.asking() // its answer comes as an error, and the next question follows
		return
	}
	k.ask()
}

// answered takes what came of a question. No answer is no event: the last permit
// stands until its time is over.
func (k *keeper) answered(a answer) Event {
	k.asking()
	k.asking = nil
	// A question about the time before the command's end says nothing of what comes
	// after it.
	stale := k.child != nil && k.child.Ended && !a.ended
	if k.askAt == 0 {
		k.askAt = Now().Add(k.pause())
	}
	switch {
	case stale, errors.Is(a.err, context.Canceled):
		return Event{}
	case a.err != nil:
		k.note("no answer: " + a.err.Error())
		return Event{}
	case a.ended:
		k.told = true
	}
	if a.permit.Run || k.Observe {
		k.note("")
	} else {
		k.note(a.permit.Reason)
	}
	return Event{Kind: Answered, Permit: a.permit}
}

// pause is how long to wait after an answer.
func (k *keeper) pause() time.Duration {
	if k.child != nil && !k.child.Ended {
		return askRunning
	}
	return askWaiting
}

// note logs what is said about permits when it changes.
func (k *keeper) note(trouble string) {
	if trouble == k.trouble {
		return
	}
	k.trouble = trouble
	switch {
	case trouble == "":
		k.Log.Info("the sidecar answers")
	case k.Observe:
		k.Log.Warn("the sidecar does not hear of this JobManager", zap.String("reason", trouble))
	case k.child == nil || k.child.Ended:
		k.Log.Info("waiting for a permit", zap.String("reason", trouble))
	default:
		k.Log.Warn("no permit", zap.String("reason", trouble))
	}
}

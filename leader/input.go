package leader

import "time"

// Input is one thing that happened. Decide takes one at a time.
type Input interface{ input() }

// Viewed is the next view of the stream.
type Viewed struct{ View View }

// Interrupted says that the stream of views broke off, and why.
type Interrupted struct{ Reason string }

// Looked is a look at the processes. For is the holder for which ActionLook
// asked, and empty if nobody asked and the processes changed.
type Looked struct {
	Evidence Evidence
	For      string
}

// Ended is the proven end of a process.
type Ended struct{ Death Death }

// ReadDone is the result of ActionRead; Begun is when the request was sent.
type ReadDone struct {
	Begun time.Time
	View  View
	Err   error
}

// ReleaseDone is the result of ActionRelease.
type ReleaseDone struct {
	View View
	Err  error
}

// Refused switches the guard off (Reason says why) or on again (empty).
type Refused struct{ Reason string }

// Identified tells by which addresses our JobManager is known, once its command
// line has been read; until then Rules.Self counts.
type Identified struct{ Self Self }

// Tick is the passing of time.
type Tick struct{}

func (Viewed) input()      {}
func (Interrupted) input() {}
func (Looked) input()      {}
func (Ended) input()       {}
func (ReadDone) input()    {}
func (ReleaseDone) input() {}
func (Refused) input()     {}
func (Identified) input()  {}
func (Tick) input()        {}

// ActionKind is the IO that Decide asks for.
type ActionKind int

const (
	// ActionNone asks for nothing.
	ActionNone ActionKind = iota
	// ActionLook asks for a look at the processes, begun now.
	ActionLook
	// ActionRead asks for a quorum read, begun now.
	ActionRead
	// ActionRelease asks for one attempt to free the lock of Action.View.
	ActionRelease
)

var actionNames = [...]string{"none", "look", "read", "release"}

// String returns the name used in logs.
func (k ActionKind) String() string { return actionNames[k] }

// Action is one IO to start. Only one is in flight at a time; its result comes
// back as an Input.
type Action struct {
	Kind ActionKind
	// Holder is the one to look for (ActionLook) or to free (ActionRelease).
	Holder string
	// View is what a release is conditional on.
	View View
	// Before is when a release must have been answered; a request that is still
	// on its way then could meet the standby's own takeover.
	Before time.Time
}

// EventKind names what is worth a log line, a count or both.
type EventKind int

const (
	// LeaderChanged: another tenure than the last one seen has begun.
	LeaderChanged EventKind = iota
	// HolderBound: the lock's holder is now known to be our JobManager.
	HolderBound
	// BindingFailed: it cannot be known; Reason says why.
	BindingFailed
	// JobManagerEnded: a JobManager process has ended.
	JobManagerEnded
	// DiedUnbound: it may have held the lock, which therefore has to run out.
	DiedUnbound
	// CaseOpened: a dead JobManager holds the lock.
	CaseOpened
	// CaseClosed: the lock of a dead JobManager is no longer its.
	CaseClosed
	// LeaderPublished: the next leader after a case has told its address.
	LeaderPublished
	// PauseBegan: from now on nothing is freed, or until another time than before.
	PauseBegan
	// PauseEnded: it was ended or has run out.
	PauseEnded
)

// Event is one of them.
type Event struct {
	Kind    EventKind
	Holder  string
	Process Process
	Case    *Case
	// Pause is set with PauseBegan and PauseEnded.
	Pause  Pause
	Reason string
}

// Decision is what Decide makes of one input.
type Decision struct {
	Outcome Outcome
	// Reason explains the outcome in one line. It holds no times, so it changes
	// only when the explanation does.
	Reason string
	Action Action
	// Wake is when to decide again if nothing happens until then; zero for never.
	Wake time.Time
	// Events happened with this input, in order.
	Events []Event
	// Settled: no JobManager process of ours lives, and no lock of a dead one is
	// left to be freed.
	Settled bool
	// MemoryChanged: State.Memory differs from what it was before.
	MemoryChanged bool
}

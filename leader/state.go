package leader

import (
	"slices"
	"time"
)

// Binding ties a holder to one process for ever. It is never changed to
// another process.
type Binding struct {
	Holder  string    `json:"holder"`
	Process Process   `json:"process"`
	BoundAt time.Time `json:"boundAt"`
}

// maxBindings bounds what a member remembers; a JobManager in a crash loop
// makes a new holder with every start.
const maxBindings = 32

// State is all that Decide knows. Its zero value is a member that has just
// started. It is a value: Decide returns a changed copy and never writes to the
// slices of the one it was given.
type State struct {
	// view is the last one, valid when contact is set.
	view    View
	contact bool
	// everSeen: the lock's object existed at some time since the start, so that
	// its absence means that Flink has removed it.
	everSeen bool
	// lost holds the error that interrupted the stream of views, "" when it runs,
	// and lostAt when that was.
	lost   string
	lostAt time.Time
	// tenure is the last one seen, epoch its number, sinceLocal when it was first
	// seen by the local clock.
	tenure     Tenure
	epoch      Epoch
	sinceLocal time.Time

	// evidence is the last look at the processes, valid when looked is set.
	evidence Evidence
	looked   bool

	bindings []Binding
	// deaths of processes that some binding names, or that were alive here.
	deaths []Death
	// unbound says why the current holder is not bound, for people.
	unbound string
	// identity replaces Rules.Self once identified is set.
	identity   Self
	identified bool
	// guardOff says why nothing may be bound or freed at all; "" when it may.
	guardOff string
	// paused is the pause last told, which may be over; pausedBy is when it is at the
	// latest, zero if it was not told since the start. toldPause is the one that was
	// told to people as begun, and not yet as ended.
	paused    Pause
	pausedBy  time.Time
	toldPause Pause

	// wantLook is the holder for which processes are to be looked at.
	wantLook string
	// orphan is the tenure that an unbound process may have held when it ended.
	orphan   Tenure
	orphanAt time.Time
	// corpse is the last process that ended unbound while it was standing by.
	corpse corpse
	// verify: a bound process has ended and no read has succeeded since.
	verify bool
	// fresh: the view with freshRevision was read by a request that was sent at
	// freshBegun, and no release has been tried on it.
	fresh         bool
	freshRevision uint64
	freshBegun    time.Time
	lastRead      time.Time

	// busy is the action in flight; its result comes back as an input.
	busy ActionKind
	// next is the earliest time for another attempt; pause the last wait.
	next  time.Time
	pause time.Duration
	tries []time.Time
	// failure is the text of the last failed attempt, failing its kind, refused
	// the text again if it was ErrForbidden.
	failing ActionKind
	failure string
	refused string

	// open is the case being worked on, nil while none is.
	open *Case
	last *Case
	// releases are the times of the last releases, for the damper.
	releases []time.Time
}

// Case is the story of one dead holder's lock, from the death to its end.
type Case struct {
	Holder string
	Tenure Tenure
	Epoch  Epoch
	Death  Death
	// Lease is what the record said, LastRenewed its last renewal.
	LastRenewed time.Time
	Lease       time.Duration
	// Freed is when our write was acknowledged; zero unless Ending is Freed.
	Freed time.Time
	// Granted and Published are when the next tenure and its first address were
	// seen; zero until then.
	Granted   time.Time
	Published time.Time
	// Ending is how it ended, Freeing while it is open.
	Ending Outcome
	Reason string
	// unclear: the reply to one of our writes was lost, so it may have freed.
	unclear bool
}

// Restored is what a member's predecessor left in the state directory.
type Restored struct {
	Bindings []Binding
	// Deaths of bound processes that ended while no sidecar was watching.
	Deaths   []Death
	Releases []time.Time
	// Pause is the last one told, so that it stands before the cluster's state has
	// been read again.
	Pause Pause
}

// NewState returns the state of a member that starts with what its predecessor
// has left behind.
func NewState(r Restored) State {
	s := State{
		bindings: slices.Clone(r.Bindings),
		deaths:   slices.Clone(r.Deaths),
		releases: slices.Clone(r.Releases),
		paused:   r.Pause,
	}
	s.verify = len(s.deaths) > 0
	return s
}

// Memory returns what has to outlive this process.
func (s State) Memory() Restored {
	return Restored{Bindings: slices.Clone(s.bindings), Releases: slices.Clone(s.releases), Pause: s.paused}
}

func (s State) binding(holder string) (Binding, bool) {
	for _, b := range s.bindings {
		if b.Holder == holder {
			return b, true
		}
	}
	return Binding{}, false
}

func (s State) bound(p Process) bool {
	return slices.ContainsFunc(s.bindings, func(b Binding) bool { return b.Process == p })
}

func (s State) death(p Process) (Death, bool) {
	for _, d := range s.deaths {
		if d.Process == p {
			return d, true
		}
	}
	return Death{}, false
}

// deadHolder returns the first holder with a stake in the lock that is bound to
// a process known to have ended, and that death.
func (s State) deadHolder() (string, Death, bool) {
	if !s.contact {
		return "", Death{}, false
	}
	stakes := s.view.stakes()
	if s.open != nil && slices.Contains(stakes, s.open.Holder) {
		stakes = []string{s.open.Holder} // one case after the other
	}
	for _, holder := range stakes {
		if b, ok := s.binding(holder); ok {
			if death, dead := s.death(b.Process); dead {
				return holder, death, true
			}
		}
	}
	return "", Death{}, false
}

// leading reports whether the lock's holder is our living JobManager.
func (s State) leading() bool {
	if !s.contact || s.view.Lock != LockHeld {
		return false
	}
	b, ok := s.binding(s.view.Tenure.Holder)
	if !ok {
		return false
	}
	_, dead := s.death(b.Process)
	return !dead
}

// alive reports whether any JobManager process of ours runs.
func (s State) alive() bool {
	for _, p := range s.evidence.Alive {
		if _, dead := s.death(p); !dead {
			return true
		}
	}
	return false
}

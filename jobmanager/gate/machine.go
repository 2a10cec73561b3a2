package gate

import "time"

// Instant is a time on CLOCK_BOOTTIME, which goes on while the machine is suspended,
// since the boot. Zero is none.
type Instant time.Duration

// Add returns the time d later.
func (i Instant) Add(d time.Duration) Instant { return i + Instant(d) }

// Permit is an answer to the question whether the command may run.
type Permit struct {
	Run bool
	// Epoch names the tenure: a command that was started in another one must end.
	Epoch string
	// StopAt and KillAt are when the command gets SIGTERM and SIGKILL if nothing
	// newer is heard. They count only with Run.
	StopAt, KillAt Instant
	// Reason says to people why not.
	Reason string
}

// Phase is where a gate stands.
type Phase int

const (
	// Waiting: there is no command, and none may run.
	Waiting Phase = iota
	// Preparing: a command may run; what it is started with is being found out.
	Preparing
	// Running: the command runs, and is permitted to.
	Running
	// Stopping: the permit is over, the command has got SIGTERM.
	Stopping
	// Killing: its last time is over, it gets SIGKILL until it is gone.
	Killing
	// Over: the command has ended by itself, or nothing is to run any more.
	Over
)

func (p Phase) String() string {
	return [...]string{"waiting", "preparing", "running", "stopping", "killing", "over"}[p]
}

// Kind is what has happened.
type Kind int

const (
	// Tick: time has passed.
	Tick Kind = iota
	// Answered: there is a new permit, or a refusal.
	Answered
	// Prepared: it is known what the command is to be started with.
	Prepared
	// Ended: the command has ended, and nothing of what it started is left.
	Ended
	// Leave: the gate itself has been told to end.
	Leave
)

// Event is what a State is told.
type Event struct {
	Kind   Kind
	Permit Permit // of Answered
}

// Action is what a State wants done.
type Action int

const (
	// None: nothing.
	None Action = iota
	// Prepare: find out what to start the command with.
	Prepare
	// Abandon: forget what is being found out.
	Abandon
	// Start: start the command.
	Start
	// Terminate: SIGTERM for the command.
	Terminate
	// Kill: SIGKILL for the command and all that it has started.
	Kill
	// Exit: tell that the command has ended, and end.
	Exit
)

func (a Action) String() string {
	return [...]string{"none", "prepare", "abandon", "start", "terminate", "kill", "exit"}[a]
}

// killAgain is how soon SIGKILL is repeated: what the command was forking at that
// moment may have been missed.
const killAgain = Instant(10 * time.Millisecond)

// State is all that a gate decides by. It does no IO and reads no clock.
type State struct {
	observe bool
	phase   Phase
	permit  Permit // the last answer
	leaving bool

	// Of the command, from its start until it has ended:
	epoch  string  // of the permit that it was started under
	killAt Instant // its last time; zero with observe, and without a command
}

// NewState is that of a gate before its first permit. With observe the command
// needs none.
func NewState(observe bool) State { return State{observe: observe} }

// Phase is where the gate stands.
func (s State) Phase() Phase { return s.phase }

// Epoch is that of the permit under which the command was started.
func (s State) Epoch() string { return s.epoch }

// KillAt is when the command must be gone if nothing newer is heard; zero if there
// is no command or no such time.
func (s State) KillAt() Instant { return s.killAt }

// Step tells the state what has happened, and the time. It returns what is to be
// done now.
func (s State) Step(e Event, now Instant) (State, Action) {
	// The clock first: a gate that was stopped, or slept with its machine, finds its
	// time over before it hears of anything that came in meanwhile.
	if s.alive() && s.killAt != 0 && now >= s.killAt {
		s.phase = Killing
	}
	switch e.Kind {
	case Answered:
		s = s.answered(e.Permit)
	case Ended:
		s = s.ended()
	case Leave:
		s.leaving = true
	}
	return s.decide(now, e.Kind == Prepared)
}

// alive says whether there is a command.
func (s State) alive() bool { return s.phase == Running || s.phase == Stopping || s.phase == Killing }

// allowed says whether a command may run, and under the tenure that it was started
// in if there is one.
func (s State) allowed(now Instant) bool {
	return s.observe || s.permit.Run && now < s.permit.StopAt && s.permit.StopAt <= s.permit.KillAt
}

// answered takes an answer. Only a command that is permitted to run gets more time:
// one that ends must be gone by the time that was said last, or SIGTERM could be
// ignored for ever.
func (s State) answered(p Permit) State {
	s.permit = p
	if s.phase == Running && !s.observe && p.Run && p.Epoch == s.epoch && p.StopAt <= p.KillAt {
		s.killAt = p.KillAt
	}
	return s
}

// ended takes the end of the command. The next one needs an answer that was asked
// for after that end.
func (s State) ended() State {
	if s.phase == Running {
		s.phase = Over
	} else if s.alive() {
		s.phase = Waiting
	}
	s.permit, s.killAt = Permit{}, 0
	return s
}

// decide is the rule of each phase.
func (s State) decide(now Instant, prepared bool) (State, Action) {
	switch s.phase {
	case Waiting:
		switch {
		case s.leaving:
			s.phase = Over
			return s, Exit
		case s.allowed(now):
			s.phase, s.epoch = Preparing, s.permit.Epoch
			return s, Prepare
		}
	case Preparing:
		switch {
		case s.leaving:
			s.phase = Over
			return s, Exit
		case !s.allowed(now), s.permit.Epoch != s.epoch:
			s.phase = Waiting
			return s, Abandon
		case prepared:
			s.phase = Running
			if !s.observe {
				s.killAt = s.permit.KillAt
			}
			return s, Start
		}
	case Running:
		if !s.allowed(now) || !s.observe && s.permit.Epoch != s.epoch {
			s.phase = Stopping
			return s, Terminate
		}
	case Killing:
		return s, Kill
	case Over:
		return s, Exit
	}
	return s, None
}

// Wake is when Step is to be called again if nothing happens; zero: never.
func (s State) Wake(now Instant) Instant {
	switch {
	case s.observe:
		return 0
	case s.phase == Preparing:
		return s.permit.StopAt
	case s.phase == Running:
		return min(s.permit.StopAt, s.killAt)
	case s.phase == Stopping:
		return s.killAt
	case s.phase == Killing:
		return now + killAgain
	}
	return 0
}

// Package status turns a snapshot into what people and scripts read: one JSON
// document, and a table made of it.
package status

import (
	"net"
	"strconv"
	"time"

	"flink-ha-sidecar/discovery"
	"flink-ha-sidecar/jobmanager/pulse"
	"flink-ha-sidecar/leader"
)

// Format is the version of the document. Readers ignore fields they do not know.
const Format = 1

// Document is all that "flink-ha status -o json" tells. Times are RFC 3339,
// durations in seconds or, where the name says so, in milliseconds.
type Document struct {
	Format     int        `json:"format"`
	At         time.Time  `json:"at"`
	Cluster    Cluster    `json:"cluster"`
	Outcome    string     `json:"outcome"`
	Reason     string     `json:"reason"`
	Backend    Backend    `json:"backend"`
	Leader     *Leader    `json:"leader"` // null while nobody leads
	Lock       Lock       `json:"lock"`
	JobManager JobManager `json:"jobmanager"`
	LastDeath  *Case      `json:"last_death"` // null until a leader of this pod has died
	// Pause stands for the whole cluster; null while none does.
	Pause *leader.Pause `json:"pause"`
	// State is where the pause and the history are kept.
	State State `json:"state"`
}

// Cluster names what is watched.
type Cluster struct {
	ID        string `json:"id"`
	Namespace string `json:"namespace"`
	Backend   string `json:"backend"`
	Pod       string `json:"pod,omitempty"`
	Version   string `json:"version"`
	// Deprecated says why this HA service should be left, and how; empty for others.
	Deprecated string `json:"deprecated,omitempty"`
}

// Backend says whether the lock can be seen.
type Backend struct {
	Contact bool   `json:"contact"`
	Lost    string `json:"lost,omitempty"`
}

// Leader is who holds the lock and where it can be reached.
type Leader struct {
	Holder string    `json:"holder"`
	Epoch  Epoch     `json:"epoch"`
	Since  time.Time `json:"since"`
	// HostPort is the RPC endpoint, RESTURL the web UI and REST API; empty until
	// this leader has published them: what the one before has left is nobody's address.
	HostPort string `json:"hostport"`
	RESTURL  string `json:"rest_url"`
	// Session is the leader session ID, empty as long as they are.
	Session string `json:"session"`
	// Here says whether it is this pod's JobManager: true only if that is certain.
	Here bool `json:"here"`
}

// Epoch orders leaders of one generation.
type Epoch struct {
	Generation string `json:"generation"`
	Counter    uint64 `json:"counter"`
}

// Lock is the state of the lock itself.
type Lock struct {
	State string `json:"state"`
	// AgeSeconds is how long ago it was renewed, MarginSeconds how long until it
	// runs out, both by the record's own times.
	AgeSeconds    float64 `json:"age_seconds,omitempty"`
	MarginSeconds float64 `json:"margin_seconds,omitempty"`
	LeaseSeconds  float64 `json:"lease_seconds,omitempty"`
}

// JobManager is this pod's.
type JobManager struct {
	Alive   bool   `json:"alive"`
	Process string `json:"process,omitempty"`
	// Proof is what would prove its end, "process" or "kubelet", ProofWhy why that
	// one, and SecondOpinion what the other witness says.
	Proof         string `json:"proof,omitempty"`
	ProofWhy      string `json:"proof_why,omitempty"`
	SecondOpinion string `json:"second_opinion,omitempty"`
	// Problem says why it cannot be watched, or why only the kubelet's word is
	// to be had.
	Problem string `json:"problem,omitempty"`
	// Bound: if it dies now, its lock is freed. Else Why says why not.
	Bound bool   `json:"bound"`
	Why   string `json:"why,omitempty"`
	Guard string `json:"guard_refused,omitempty"`
	// Serving: it has answered since it was started. Stuck: it has given no sign of
	// life for SilentSeconds, which is longer than --hung-after. Health says in words
	// what is wrong.
	Serving       bool    `json:"serving"`
	Stuck         bool    `json:"stuck"`
	SilentSeconds float64 `json:"silent_seconds,omitempty"`
	Health        string  `json:"health,omitempty"`
	FlinkVersion  string  `json:"flink_version,omitempty"`
}

// Case is the last death of a leader of this pod, and what became of its lock.
type Case struct {
	Outcome string    `json:"outcome"`
	Reason  string    `json:"reason,omitempty"`
	Holder  string    `json:"holder"`
	DiedAt  time.Time `json:"died_at"`
	Proof   string    `json:"proof"`
	// The phases, in milliseconds after DiedAt; absent until they are seen.
	FreedMS     *int64 `json:"freed_ms,omitempty"`
	GrantedMS   *int64 `json:"granted_ms,omitempty"`
	PublishedMS *int64 `json:"published_ms,omitempty"`
}

// Of makes the document. told is what followers are told: a leader's addresses are
// taken from there alone, so that all who ask this sidecar hear the same.
func Of(s *leader.Snapshot, v pulse.Verdict, told discovery.State, c Cluster, now time.Time) Document {
	d := Document{
		Format: Format, At: now, Cluster: c, Outcome: s.Outcome.String(), Reason: s.Reason,
		Backend: Backend{Contact: s.Contact, Lost: s.Lost},
		Lock:    Lock{State: "unknown"}, JobManager: jobManagerOf(s, v), LastDeath: caseOf(s.Last),
	}
	if s.Pause != nil && now.Before(s.Pause.Until) {
		d.Pause = s.Pause
	}
	if s.Open != nil {
		d.LastDeath = caseOf(s.Open)
	}
	if !s.Contact {
		return d
	}
	d.Lock.State = s.View.Lock.String()
	if s.View.Lock != leader.LockHeld {
		return d
	}
	if s.View.Lease > 0 {
		d.Lock.LeaseSeconds = s.View.Lease.Seconds()
		d.Lock.AgeSeconds = now.Sub(s.View.Renewed).Seconds()
		d.Lock.MarginSeconds = s.View.Expiry().Sub(now).Seconds()
	}
	d.Leader = leaderOf(s, told.Leader)
	return d
}

func leaderOf(s *leader.Snapshot, told discovery.Leader) *Leader {
	l := &Leader{
		Holder: s.View.Tenure.Holder, Epoch: Epoch{s.Epoch.Generation, s.Epoch.Counter}, Since: s.Since,
		Here: s.Outcome == leader.Leading,
	}
	if told.Epoch != discovery.Epoch(s.Epoch) { // the one before, or nobody
		return l
	}
	l.RESTURL, l.Session = told.RESTURL, told.Session
	if told.RPCHost != "" {
		l.HostPort = net.JoinHostPort(told.RPCHost, strconv.Itoa(int(told.RPCPort)))
	}
	return l
}

var proofWhy = map[leader.Proof]string{
	leader.ProofPidfd:           "its process is seen from here, so the kernel tells of its end",
	leader.ProofContainerStatus: "no process of it is seen from here, so the kubelet's word for its container counts",
}

func jobManagerOf(s *leader.Snapshot, v pulse.Verdict) JobManager {
	j := JobManager{Alive: s.Alive, Problem: s.Evidence.Problem, Guard: s.GuardOff, Bound: s.Outcome == leader.Leading}
	if p, sole := s.Evidence.Sole(); sole && s.Alive {
		j.Process, j.Proof, j.SecondOpinion = p.String(), string(s.Evidence.Proof), s.Evidence.Second
		j.ProofWhy = proofWhy[s.Evidence.Proof]
		if v.Process == p {
			j.Serving, j.Stuck, j.Health, j.FlinkVersion = v.Serving, v.Stuck, v.Reason(), v.Version
			j.SilentSeconds = v.Silence().Seconds()
		}
	}
	switch s.Outcome {
	case leader.Leading:
	case leader.Standby:
		j.Why = "it does not lead"
	default:
		j.Why = s.Reason
	}
	return j
}

func caseOf(c *leader.Case) *Case {
	if c == nil {
		return nil
	}
	since := func(t time.Time) *int64 {
		if t.IsZero() {
			return nil
		}
		ms := t.Sub(c.Death.At).Milliseconds()
		return &ms
	}
	return &Case{
		Outcome: c.Ending.String(), Reason: c.Reason, Holder: c.Holder, DiedAt: c.Death.At, Proof: string(c.Death.Proof),
		FreedMS: since(c.Freed), GrantedMS: since(c.Granted), PublishedMS: since(c.Published),
	}
}

package daemon

import (
	"time"

	"go.uber.org/zap"

	"flink-ha-sidecar/internal/apiserver"
	"flink-ha-sidecar/internal/events"
	"flink-ha-sidecar/jobmanager/pulse"
	"flink-ha-sidecar/leader"
	"flink-ha-sidecar/metrics"
)

// newRecorder makes the one for Events about this pod; nil where the API server or the
// pod's name is not known.
func newRecorder(s Settings, p *plan, m *metrics.Metrics, log *zap.Logger) (*events.Recorder, error) {
	if p.rest == nil || s.PodName == "" {
		return nil, nil
	}
	client, err := apiserver.New(p.rest)
	if err != nil {
		return nil, refuse("%w", err)
	}
	return events.New(events.Options{Client: client, Namespace: podNamespace(p.namespace), Pod: s.PodName, Log: log, Count: m.Event}), nil
}

// crier makes Events of decisions. It is called on the loop and never waits.
type crier struct{ to *events.Recorder }

func (c crier) cry(s *leader.Snapshot, d leader.Decision) {
	for _, e := range d.Events {
		switch e.Kind {
		case leader.HolderBound:
			if s.Outcome == leader.Leading && e.Holder == s.View.Tenure.Holder {
				c.to.Normal(events.LeaderChanged, "the JobManager of this pod leads: %s, epoch %s", s.View.Address(), s.Epoch)
			}
		case leader.DiedUnbound:
			c.to.Warning(events.ReleaseRefused, "the JobManager ended and was not bound to the lock: if it held it, it has to run out: %s", e.Reason)
		case leader.CaseClosed:
			c.closed(*e.Case)
		case leader.PauseBegan:
			c.to.Normal(events.Paused, "no lock is freed: %s", e.Pause)
		case leader.PauseEnded:
			c.to.Normal(events.Resumed, "the pause is over, locks of dead JobManagers are freed again")
		}
	}
}

// closed tells how a case ended. What needs nothing, as the end of a job or a lock that
// Flink gave back itself, is no Event.
func (c crier) closed(story leader.Case) {
	switch story.Ending {
	case leader.Vacated, leader.Superseded, leader.Retired:
	case leader.Freed:
		c.to.Normal(events.LockReleased, "the lock of the JobManager that died (%s, proof %s) was freed %d ms later",
			story.Death.Process, story.Death.Proof, story.Freed.Sub(story.Death.At).Milliseconds())
	default:
		reason := story.Ending.String()
		if story.Reason != "" {
			reason += ": " + story.Reason
		}
		c.to.Warning(events.ReleaseRefused, "the lock of the JobManager that died (%s, proof %s) was not freed: %s", story.Death.Process, story.Death.Proof, reason)
	}
}

// stuck tells of a JobManager that gives no sign of life.
func (c crier) stuck(v pulse.Verdict) {
	c.to.Warning(events.JobManagerStuck, "the JobManager (%s) is %s, for %v", v.Process, v.Reason(), v.Silence().Truncate(time.Second))
}

package daemon

import (
	"go.uber.org/zap"

	"flink-ha-sidecar/jobmanager"
	"flink-ha-sidecar/leader"
)

// memory keeps in the state directory what a restarted sidecar must not guess.
// When it cannot, the sidecar goes on: only the guard over the present lock is
// lost with a restart.
type memory struct {
	dir    string
	log    *zap.Logger
	failed bool
}

func (m *memory) restore(w *jobmanager.Watcher) leader.Restored {
	state, err := jobmanager.LoadState(m.dir)
	if err != nil {
		m.log.Warn("state of an earlier run is not used", zap.Error(err))
	}
	restored, problems := w.Restore(state)
	for _, p := range problems {
		m.log.Warn("a binding of an earlier run is not used", zap.Error(p))
	}
	return restored
}

// restorePause leaves the bindings out: whose the lock is a gate tells anew.
func (m *memory) restorePause() leader.Restored {
	state, err := jobmanager.LoadState(m.dir)
	if err != nil {
		m.log.Warn("state of an earlier run is not used", zap.Error(err))
	}
	return leader.Restored{Releases: state.Releases, Pause: state.Pause}
}

func (m *memory) save(r leader.Restored) {
	err := jobmanager.SaveState(m.dir, jobmanager.State{Bindings: r.Bindings, Releases: r.Releases, Pause: r.Pause})
	if err != nil && !m.failed {
		m.log.Warn("the binding cannot be saved: if the sidecar restarts, a lock taken before will not be freed (--state-dir)", zap.Error(err))
	}
	m.failed = err != nil
}

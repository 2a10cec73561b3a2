package jobmanager

import (
	"slices"

	"flink-ha-sidecar/leader"
)

// Restore takes up what a sidecar before this one has recorded. A binding whose
// process lives is held from now on; one whose process has ended is kept together
// with its death, as of now; one of which nothing can be known here any more is
// left out, and the reason is among the problems: its lock runs out by itself.
// Call it before Run.
func (w *Watcher) Restore(s State) (restored leader.Restored, problems []error) {
	restored.Releases, restored.Pause = slices.Clone(s.Releases), s.Pause
	for _, b := range s.Bindings {
		if byContainer(b.Process) { // only the kubelet can say what became of it
			restored.Bindings = append(restored.Bindings, b)
			continue
		}
		alive, err := w.Hold(b.Process)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		restored.Bindings = append(restored.Bindings, b)
		if !alive {
			restored.Deaths = append(restored.Deaths, w.deathOf(b.Process))
		}
	}
	return restored, problems
}

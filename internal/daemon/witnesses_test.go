package daemon

import (
	"testing"
	"time"

	"flink-ha-sidecar/leader"
)

func TestMergePrefersWhatWasSeenAndKeepsTheOtherOpinion(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	process := leader.Process{PID: 7, StartTime: 1}
	container := leader.Process{ContainerID: "containerd://0123456789abcdef"}
	seen := leader.Evidence{At: at, Alive: []leader.Process{process}}
	two := leader.Evidence{At: at, Alive: []leader.Process{process, {PID: 8}}, Problem: "two processes match"}
	unseen := leader.Evidence{At: at, Problem: "no process matches"}
	runs := leader.Evidence{At: at, Alive: []leader.Process{container}, Proof: leader.ProofContainerStatus}
	ended := leader.Evidence{At: at, Proof: leader.ProofContainerStatus, Problem: "the kubelet does not say that container jobmanager runs"}
	var silent leader.Evidence

	for _, tt := range []struct {
		name            string
		direct, word    leader.Evidence
		proof           leader.Proof
		alive           int
		second, problem string
	}{
		{"both", seen, runs, leader.ProofPidfd, 1, "kubelet: container 0123456789ab runs", ""},
		{"the kubelet lags behind a start", seen, ended, leader.ProofPidfd, 1, "kubelet: the kubelet does not say that container jobmanager runs", ""},
		{"the kubelet has not spoken", seen, silent, leader.ProofPidfd, 1, "", ""},
		{"several processes are not settled by the kubelet", two, runs, leader.ProofPidfd, 2, "kubelet: container 0123456789ab runs", "two processes match"},
		{"no shared PID namespace", unseen, runs, leader.ProofContainerStatus, 1, "processes: no process matches", ""},
		{"not looked yet", silent, runs, leader.ProofContainerStatus, 1, "", ""},
		{"neither", unseen, ended, leader.ProofPidfd, 0, "", "no process matches; the kubelet does not say that container jobmanager runs"},
	} {
		got := merge(tt.direct, tt.word, "kubelet")
		if got.Proof != tt.proof || len(got.Alive) != tt.alive || got.Second != tt.second || got.Problem != tt.problem {
			t.Errorf("%s: got proof %q, %d alive, second opinion %q, problem %q; want %q, %d, %q, %q", tt.name,
				got.Proof, len(got.Alive), got.Second, got.Problem, tt.proof, tt.alive, tt.second, tt.problem)
		}
	}
}

// For up to a second the kubelet calls a container alive whose process has ended.
// Taken for a second JobManager, its end would then be an end that nobody can place.
func TestTheKubeletsWordIsNotTakenForWhatWasSeenToEnd(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	container := []leader.Process{{ContainerID: "containerd://0123456789abcdef"}}
	for _, tt := range []struct {
		name    string
		started time.Time
		lastEnd time.Time
		alive   int
	}{
		{"nothing has ended", at, time.Time{}, 1},
		{"the container of what has ended", at, at.Add(time.Minute), 0},
		{"in the same second", at, at.Add(300 * time.Millisecond), 0},
		{"the next container", at.Add(time.Second), at.Add(300 * time.Millisecond), 1},
	} {
		w := &witnesses{lastWord: leader.Evidence{At: at, Alive: container, Started: tt.started, Proof: leader.ProofContainerStatus}}
		if !tt.lastEnd.IsZero() {
			w.keep(&w.lastDirect, leader.Evidence{At: at, Alive: []leader.Process{{PID: 7}}})
		}
		got := w.keep(&w.lastDirect, leader.Evidence{At: tt.lastEnd, Problem: "no process matches"})
		if len(got.Alive) != tt.alive {
			t.Errorf("%s: %d alive, want %d", tt.name, len(got.Alive), tt.alive)
		}
	}
}

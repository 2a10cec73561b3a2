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
		got := merge(tt.direct, tt.word)
		if got.Proof != tt.proof || len(got.Alive) != tt.alive || got.Second != tt.second || got.Problem != tt.problem {
			t.Errorf("%s: got proof %q, %d alive, second opinion %q, problem %q; want %q, %d, %q, %q", tt.name,
				got.Proof, len(got.Alive), got.Second, got.Problem, tt.proof, tt.alive, tt.second, tt.problem)
		}
	}
}

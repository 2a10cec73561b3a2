package e2enode

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"flink-ha-sidecar/lab"
)

// asker asks the leader's REST by the Service's name, five times a second, and
// writes a line each: when it began, in milliseconds, and curl's exit status.
const asker = `apiVersion: v1
kind: Pod
metadata: {name: asks}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: asks
    image: docker.io/flink-ha-lab/host:1
    imagePullPolicy: Never
    command: [/bin/bash, -c]
    args:
    - while :; do at=$(date +%%s%%3N); curl -sf -m 1 -o /dev/null http://%s-ha-leader:8081/jobs/overview; echo $at $?; sleep 0.2; done
    volumeMounts:
    - {name: usr, mountPath: /usr, readOnly: true}
    - {name: cache, mountPath: /etc/ld.so.cache, readOnly: true}
  volumes:
  - {name: usr, hostPath: {path: /usr}}
  - {name: cache, hostPath: {path: /etc/ld.so.cache}}
`

// One stable name reaches the leader: who asks it is refused for no longer than
// there is no leader, and a second.
func TestIntegrationOneNameForTheLeader(t *testing.T) {
	p := shared(t)
	o := p.options()
	o.Inject = lab.Inject(p.sidecar, "--services")
	c, _ := start(t, o)
	if err := p.node.Apply(t.Context(), c.Namespace, fmt.Appendf(nil, asker, c.Settings.ClusterID)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the name answers", func() bool {
		answers := asked(t, c)
		return len(answers) > 0 && answers[len(answers)-1].ok
	})
	failovers := 1
	if slow() {
		failovers = 10
	}
	for range failovers {
		f := fail(t, c, lab.Signalled(syscall.SIGKILL))
		mustBeQuick(t, f)
		eventually(t, "the name answers again", func() bool {
			answers := asked(t, c)
			return len(answers) > 0 && answers[len(answers)-1].ok && answers[len(answers)-1].at.After(f.At.Add(f.After[lab.FirstCheckpoint]))
		})
		leaderless, refused := f.After[lab.LeaderPublished], refusedFor(asked(t, c), f.At)
		t.Logf("refused for %v, without a leader for %v", refused, leaderless)
		if refused > leaderless+time.Second {
			t.Errorf("the name was refused for %v, %v longer than there was no leader", refused, refused-leaderless)
		}
		ready(t, c)
	}
}

type answer struct {
	at time.Time
	ok bool
}

// asked reads what the asking pod has written so far.
func asked(t *testing.T, c *lab.PodCluster) []answer {
	t.Helper()
	pod, err := c.Pods().Get(t.Context(), "asks", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	lines, err := c.Lines(pod, "asks")
	if err != nil {
		t.Fatal(err)
	}
	var answers []answer
	for _, line := range lines {
		at, status, _ := strings.Cut(line, " ")
		ms, err := strconv.ParseInt(at, 10, 64)
		if err != nil {
			t.Fatalf("the asking pod wrote %q", line)
		}
		answers = append(answers, answer{time.UnixMilli(ms), status == "0"})
	}
	return answers
}

// refusedFor adds up the times from the first question without an answer to the next
// one with an answer, from a moment on.
func refusedFor(answers []answer, from time.Time) (sum time.Duration) {
	var since time.Time
	for _, a := range answers {
		switch {
		case a.at.Before(from):
		case !a.ok && since.IsZero():
			since = a.at
		case a.ok && !since.IsZero():
			sum, since = sum+a.at.Sub(since), time.Time{}
		}
	}
	return sum
}

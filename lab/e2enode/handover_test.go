package e2enode

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"flink-ha-sidecar/lab"
)

// mayDelete grants what handover --delete-pod needs and inject does not give.
const mayDelete = `apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: flink-ha-delete-pod}
rules:
- {apiGroups: [""], resources: [pods], verbs: [get, delete]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: flink-ha-delete-pod}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: flink-ha-delete-pod}
subjects:
- {kind: ServiceAccount, name: flink}
`

// Leadership is handed over by the end of the JVM, or of its pod where that is
// permitted; a handover that cannot come to its end changes nothing.
func TestIntegrationHandover(t *testing.T) {
	p := shared(t)
	c, leader := start(t, p.options())
	held := c.Lock.Last()

	code, text := handOver(t, p, c, leader, "--delete-pod")
	if code != 1 || !strings.Contains(text, "\nflink-ha: delete pods "+c.Namespace+"/"+leader.Name+": ") || !strings.Contains(text, "forbidden") || strings.Count(text, "\n") != 2 {
		t.Errorf("without the right to delete the pod it ended with %d, saying %q", code, text)
	}
	mustStay(t, c, held, 3)

	if code, text = handOver(t, p, c, leader); code != 0 {
		t.Fatalf("the handover ended with %d:\n%s", code, text)
	}
	t.Log(text)
	next := ready(t, c)
	if next.Name == leader.Name {
		t.Errorf("%s leads again", next.Name)
	}
	if s := container(t, get(t, c, leader.Name), "jobmanager"); s.RestartCount != 1 {
		t.Errorf("the JobManager's container was restarted %d times, want once", s.RestartCount)
	}

	eventually(t, "the one before stands by", func() bool {
		code, _, err := c.Ask(t.Context(), get(t, c, leader.Name), "/standby")
		return err == nil && code == http.StatusOK
	})
	if err := p.node.Apply(t.Context(), c.Namespace, []byte(mayDelete)); err != nil {
		t.Fatal(err)
	}
	if code, text = handOver(t, p, c, next, "--delete-pod"); code != 0 {
		t.Fatalf("the handover by the pod's deletion ended with %d:\n%s", code, text)
	}
	t.Log(text)
	last := ready(t, c)
	if last.Name != leader.Name {
		t.Errorf("%s leads, want the other pod, %s", last.Name, leader.Name)
	}
	pods, err := c.JobManagers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, pod := range pods {
		if pod.Name == next.Name {
			t.Errorf("pod %s is still there", pod.Name)
		}
	}
}

// handOver runs "flink-ha handover" on the socket of a pod's sidecar, as root.
func handOver(t *testing.T, p *parts, c *lab.PodCluster, pod *corev1.Pod, flags ...string) (code int, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	socket := fmt.Sprintf("/proc/%d/root/run/flink-ha/control.sock", process(t, c, pod, lab.SidecarProgram).PID)
	out, err := exec.CommandContext(ctx, p.sidecar, append([]string{"handover", "--socket", socket}, flags...)...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if exit != nil {
		code = exit.ExitCode()
	}
	return code, string(out)
}

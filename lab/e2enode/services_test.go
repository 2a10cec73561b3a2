package e2enode

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A Service and its name lead to a JobManager, from another pod and from the
// JobManager's own: kube-proxy and CoreDNS are real here.
func TestIntegrationServicesAndNames(t *testing.T) {
	skipUnlessSlow(t)
	p := shared(t)
	o := p.options()
	o.JobManagers = 1
	c, _ := start(t, o)
	const service = `apiVersion: v1
kind: Service
metadata: {name: jobmanager-rest}
spec:
  selector: {app: flink, component: jobmanager}
  ports: [{port: 80, targetPort: 8081}]
`
	if err := p.node.Apply(t.Context(), c.Namespace, []byte(service)); err != nil {
		t.Fatal(err)
	}
	const asks = `exec 3<> /dev/tcp/$NAME/80 && printf 'GET /config HTTP/1.0\r\n\r\n' >&3 && read -t 5 line <&3 && echo $line && [[ $line == *200* ]]`
	for name, host := range map[string]string{
		"short": "jobmanager-rest", "whole": "jobmanager-rest." + c.Namespace + ".svc.cluster.local",
	} {
		pod := fmt.Sprintf(`apiVersion: v1
kind: Pod
metadata: {name: asks-%s}
spec:
  restartPolicy: OnFailure
  containers:
  - name: asks
    image: docker.io/flink-ha-lab/host:1
    imagePullPolicy: Never
    command: [/bin/bash, -c, %q]
    env: [{name: NAME, value: %s}]
    volumeMounts: [{name: usr, mountPath: /usr, readOnly: true}]
  volumes: [{name: usr, hostPath: {path: /usr}}]
`, name, asks, host)
		if err := p.node.Apply(t.Context(), c.Namespace, []byte(pod)); err != nil {
			t.Fatal(err)
		}
		eventually(t, host+" answers", func() bool {
			got, err := c.Pods().Get(t.Context(), "asks-"+name, metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			return got.Status.Phase == corev1.PodSucceeded
		})
	}
}

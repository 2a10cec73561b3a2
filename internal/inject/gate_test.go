package inject

import (
	"bytes"
	"strings"
	"testing"
)

func TestAGateThatIsNotOursStays(t *testing.T) {
	t.Parallel()
	const theirs = "        command: [/run/flink-ha/bin/flink-ha, gate, --observe, --, /docker-entrypoint.sh]\n"
	input := strings.Replace(withProbe, "        args:", theirs+"        args:", 1)
	output, _ := injected(t, input, usual(), false)
	without, _ := injected(t, output, Options{Remove: true}, false)
	if !strings.Contains(output, theirs) || without != input {
		t.Errorf("injected\n%s\nand removed\n%s", output, without)
	}
}

func TestSidecarsThatElectGetTheirRightsAndAHeadlessService(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	c := []Cluster{{ID: "demo", Pods: "prod", Namespace: "prod", Backend: backendVVP}}
	if err := WriteRoles(&b, c, false); err != nil {
		t.Fatal(err)
	}
	if role := b.String(); !strings.Contains(role, "resourceNames: [demo-vvp-leader]\n  verbs: [get, update]\n") || strings.Contains(role, "cluster-config-map") {
		t.Errorf("the role is\n%s", role)
	}
	b.Reset()
	if err := WriteServices(&b, c, defaultPort); err != nil {
		t.Fatal(err)
	}
	if leader, _, _ := strings.Cut(b.String(), "---"); !strings.Contains(leader, "name: demo-ha-leader\n") || !strings.Contains(leader, "clusterIP: None\n") || strings.Contains(leader, "selector") {
		t.Errorf("the leader's service is\n%s", leader)
	}
}

func TestWhatBelongsToOtherServicesIsRefused(t *testing.T) {
	t.Parallel()
	for says, o := range map[string]Options{
		"--resume-from is for --backend vvp-kubernetes":  usual(func(o *Options) { o.ResumeFrom = "/x" }),
		`--resume-from "x" is no absolute path`:          usual(func(o *Options) { o.Backend, o.ResumeFrom = backendVVP, "x" }),
		"knows kubernetes, zookeeper and vvp-kubernetes": usual(func(o *Options) { o.Backend = "etcd" }),
	} {
		if err := o.Check(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want %q", err, says)
		}
	}
}

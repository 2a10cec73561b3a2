package inject

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"flink-ha-sidecar/internal/manifest"
	"flink-ha-sidecar/lab"
)

// TestShippedRolesAreTheRightsThatWereTested: the end-to-end tests run sidecars with
// the lab's rules, and take each of them away in turn.
func TestShippedRolesAreTheRightsThatWereTested(t *testing.T) {
	t.Parallel()
	for file, lock := range map[string]string{
		"examples/injected/application.yaml":     "my-job-cluster-config-map",
		"examples/injected/session.yaml":         "my-session-cluster-config-map",
		"examples/injected/flinkdeployment.yaml": "my-job-cluster-config-map",
		"kustomize/rights.yaml":                  "CLUSTER-cluster-config-map",
	} {
		found := false
		for _, o := range objectsOf(t, read(t, filepath.Join("../../deploy", file))) {
			if manifest.Text(o, "kind") != "Role" || !strings.HasPrefix(manifest.Text(o, "metadata", "name"), "flink-ha") {
				continue
			}
			found = true
			var role rbacv1.Role
			typed(t, o, &role)
			if want := lab.SidecarRules(lock); !reflect.DeepEqual(role.Rules, want) {
				t.Errorf("%s: rules %+v, want those of the lab, %+v", file, role.Rules, want)
			}
		}
		if !found {
			t.Errorf("%s holds no Role of the sidecar", file)
		}
	}
}

func TestOwnerRightsAreTheRightsThatWereTested(t *testing.T) {
	t.Parallel()
	if got, want := OwnerRules("jm"), lab.OwnerRules("any", "jm")[1:]; !reflect.DeepEqual(got, want) {
		t.Errorf("rules %+v, want those of the lab beside the pod's, %+v", got, want)
	}
}

// typed turns a node into an object of Kubernetes' own type.
func typed(t *testing.T, n *yaml.Node, into any) {
	t.Helper()
	var content any
	if err := n.Decode(&content); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatal(err)
	}
}

// TestTheKustomizeComponentAddsWhatInjectAdds builds the overlay of its own
// comment over the session example; a livenessProbe of another kind gives way.
func TestTheKustomizeComponentAddsWhatInjectAdds(t *testing.T) {
	t.Parallel()
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		t.Skip("kubectl is missing: it builds kustomizations")
	}
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "component"), os.DirFS("../../deploy/kustomize")); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"session.yaml": strings.Replace(read(t, "../../deploy/examples/session.yaml"),
			"        ports:\n", "        livenessProbe: {tcpSocket: {port: rpc}}\n        ports:\n", 1),
		"cluster.yaml": "{apiVersion: v1, kind: ConfigMap, data: {id: my-session}, metadata: {name: flink-ha-cluster, annotations: {config.kubernetes.io/local-config: 'true'}}}",
		"kustomization.yaml": "components: [component]\nresources: [session.yaml, cluster.yaml]\n" +
			"images: [{name: flink-ha, newName: registry.example.com/flink-ha, newTag: '0.1'}]\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.CommandContext(t.Context(), kubectl, "kustomize", dir)
	var says strings.Builder
	build.Stderr = &says
	output, err := build.Output()
	if err != nil {
		t.Fatalf("kubectl kustomize: %v: %s", err, says.String())
	}
	got := deploymentsOf(t, string(output))
	want := deploymentsOf(t, read(t, "../../deploy/examples/injected/session.yaml"))
	if len(got) != len(want) || len(got) != 2 {
		t.Fatalf("%d Deployments, want %d", len(got), len(want))
	}
	for name := range want {
		if !reflect.DeepEqual(got[name], want[name]) {
			t.Errorf("%s: by the component\n%s\nby inject\n%s", name, asJSON(t, got[name]), asJSON(t, want[name]))
		}
	}
	services, wanted := servicesOf(t, string(output)), servicesOf(t, read(t, "../../deploy/examples/injected/session.yaml"))
	if !reflect.DeepEqual(services, wanted) || len(services) != 2 {
		t.Errorf("Services by the component %s, by inject %s", asJSON(t, services), asJSON(t, wanted))
	}
	if !strings.Contains(string(output), "my-session-cluster-config-map") || strings.Contains(string(output), "CLUSTER") || strings.Contains(string(output), "flink-ha-cluster") {
		t.Errorf("the cluster id is not where it belongs:\n%s", output)
	}
}

// deploymentsOf are the pod templates of a stream by name, without what may differ:
// the order of what has a name, and the marks of inject.
func deploymentsOf(t *testing.T, content string) map[string]corev1.PodTemplateSpec {
	t.Helper()
	found := make(map[string]corev1.PodTemplateSpec)
	for _, o := range objectsOf(t, content) {
		if manifest.Text(o, "kind") != kindDeployment {
			continue
		}
		var d appsv1.Deployment
		typed(t, o, &d)
		pod := d.Spec.Template
		pod.Annotations = nil
		slices.SortFunc(pod.Spec.Volumes, func(a, b corev1.Volume) int { return strings.Compare(a.Name, b.Name) })
		for _, list := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
			for _, c := range list {
				slices.SortFunc(c.VolumeMounts, func(a, b corev1.VolumeMount) int { return strings.Compare(a.Name, b.Name) })
			}
		}
		found[d.Name] = pod
	}
	return found
}

// servicesOf are those of discovery in a stream, by name and without namespace.
func servicesOf(t *testing.T, content string) map[string]corev1.Service {
	t.Helper()
	found := make(map[string]corev1.Service)
	for _, o := range objectsOf(t, content) {
		var s corev1.Service
		if manifest.Text(o, "kind") != "Service" {
			continue
		}
		typed(t, o, &s)
		if s.Namespace = ""; strings.Contains(s.Name, "-ha-") {
			found[s.Name] = s
		}
	}
	return found
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

package command_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"flink-ha-sidecar/internal/command"
)

const service = "kind:  Service\napiVersion: v1\nmetadata: {name: rest}\n"

const jobManager = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: jm
  namespace: prod
spec:
  template:
    metadata:
      labels: {app: demo}
    spec:
      serviceAccountName: flink
      containers:
      - name: jobmanager
        image: flink:2.3
        args: [jobmanager, -Dhigh-availability.type=kubernetes, -Dkubernetes.cluster-id=demo, -Dkubernetes.namespace=prod]
`

func inject(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = command.Main(append([]string{"inject"}, args...), nil, &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func put(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestInjectReadsFoldersInOrder(t *testing.T) {
	t.Parallel()
	dir := put(t, map[string]string{
		"b.yaml": service, "a.yml": jobManager, "kustomization.yaml": "resources: [a.yml]\n", "notes.txt": "no YAML: [",
		"sub/c.yaml": strings.Replace(jobManager, "name: jm", "name: below", 1),
	})
	code, out, errs := inject(t, "--image", "x:1", dir)
	if code != 0 || !strings.HasSuffix(out, "---\n"+service) || strings.Contains(out, "below") || strings.Contains(out, "resources: [a.yml]") {
		t.Errorf("exit code %d, says %q, output\n%s", code, errs, out)
	}
	if !strings.Contains(out, "image: x:1") || !strings.Contains(errs, "Deployment prod/jm: sidecar added, cluster id demo") {
		t.Errorf("says %q, output\n%s", errs, out)
	}
	if code, out, _ := inject(t, "--image", "x:1", "-R", dir); code != 0 || !strings.Contains(out, "name: below") {
		t.Errorf("-R: exit code %d, output\n%s", code, out)
	}
}

func TestInjectWritesTheRole(t *testing.T) {
	t.Parallel()
	file := filepath.Join(put(t, map[string]string{"a.yaml": jobManager}), "a.yaml")
	_, manifest, _ := inject(t, "--image", "x:1", file)
	_, role, _ := inject(t, "--role", "only", file)
	_, both, _ := inject(t, "--image", "x:1", "--role", "add", file)
	if both != manifest+"---\n"+role {
		t.Errorf("add is not the manifests and then the role:\n%s", both)
	}
	for _, want := range []string{"resourceNames: [demo-cluster-config-map]", "namespace: prod", "name: flink\n", "kind: RoleBinding", "verbs: [get, watch, patch]"} {
		if !strings.Contains(role, want) {
			t.Errorf("the role lacks %q:\n%s", want, role)
		}
	}
	elsewhere := filepath.Join(put(t, map[string]string{"a.yaml": strings.ReplaceAll(jobManager, "kubernetes.namespace=prod", "kubernetes.namespace=locks")}), "a.yaml")
	_, role, _ = inject(t, "--role", "only", elsewhere)
	if strings.Count(role, "\nkind: Role\n") != 2 || !strings.Contains(role, "namespace: locks") || !strings.Contains(role, "name: flink-ha-demo-pods\n  namespace: prod") {
		t.Errorf("the lock is in another namespace than the pods; want two roles:\n%s", role)
	}
}

func TestInjectWritesNothingWhenItRefuses(t *testing.T) {
	t.Parallel()
	dir := put(t, map[string]string{
		"good.yaml": jobManager, "bad.yaml": strings.ReplaceAll(jobManager, "Deployment", "StatefulSet"), "template.yaml": "a: 1\nb: {{ .x }}: c\n", "empty/x": "",
	})
	for _, tt := range []struct {
		args []string
		says string
	}{
		{[]string{dir + "/good.yaml"}, "--image is missing"},
		{[]string{"--image", "x", dir + "/good.yaml", dir + "/bad.yaml"}, "bad.yaml: StatefulSet prod/jm: a JobManager in a StatefulSet"},
		{[]string{"--image", "x", dir + "/template.yaml"}, "template.yaml:2: not YAML"},
		{[]string{"--image", "x", dir + "/missing.yaml"}, "missing.yaml: no such file"},
		{[]string{"--image", "x", dir + "/empty"}, "holds no .yaml, .yml or .json file"},
		{[]string{"--image", "x", "--role", "all", dir + "/good.yaml"}, `--role "all" is none of none, add, only`},
	} {
		code, out, errs := inject(t, tt.args...)
		if code != 2 || out != "" || !strings.Contains(errs, tt.says) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%q: exit code %d, %d bytes of output, says %q; want 2, none, one line with %q", tt.args, code, len(out), errs, tt.says)
		}
	}
}

func TestInjectSaysThatItFoundNothing(t *testing.T) {
	t.Parallel()
	file := filepath.Join(put(t, map[string]string{"a.yaml": service}), "a.yaml")
	if code, out, errs := inject(t, "--image", "x", file); code != 0 || out != service || !strings.Contains(errs, "no JobManager in the input") {
		t.Errorf("exit code %d, says %q, output %q", code, errs, out)
	}
	if code, out, errs := inject(t, "--remove", file); code != 0 || out != service || !strings.Contains(errs, "no sidecar in the input") {
		t.Errorf("--remove: exit code %d, says %q, output %q", code, errs, out)
	}
}

func TestInjectWritesTheServices(t *testing.T) {
	t.Parallel()
	file := filepath.Join(put(t, map[string]string{"a.yaml": jobManager}), "a.yaml")
	_, role, _ := inject(t, "--role", "only", file)
	_, both, errs := inject(t, "--role", "only", "--services", "--port", "9088", file)
	services, found := strings.CutPrefix(both, role+"---\n")
	if !found {
		t.Fatalf("not the role and then the services, says %q:\n%s", errs, both)
	}
	for _, want := range []string{
		"name: demo-ha-leader\n  namespace: prod\n", "- name: rest\n    port: 8081\n",
		"name: demo-ha-sidecars\n  namespace: prod\n", "clusterIP: None\n  publishNotReadyAddresses: true\n  selector:\n    flink-ha/cluster: demo\n", "- name: flink-ha\n    port: 9088\n",
	} {
		if !strings.Contains(services, want) {
			t.Errorf("the services lack %q:\n%s", want, services)
		}
	}
	if _, out, _ := inject(t, "--remove", "--services", file); strings.Contains(out, "kind: Service") {
		t.Errorf("--remove writes services:\n%s", out)
	}
	elsewhere := filepath.Join(put(t, map[string]string{"a.yaml": strings.ReplaceAll(jobManager, "kubernetes.namespace=prod", "kubernetes.namespace=locks")}), "a.yaml")
	_, out, _ := inject(t, "--image", "x", "--services", elsewhere)
	if !strings.Contains(out, "name: demo-ha-leader\n  namespace: locks\n") || !strings.Contains(out, "name: demo-ha-sidecars\n  namespace: prod\n") {
		t.Errorf("the lock is in another namespace than the pods; want one service in each:\n%s", out)
	}
	bad := filepath.Join(put(t, map[string]string{"a.yaml": strings.ReplaceAll(jobManager, "cluster-id=demo", "cluster-id=Demo_1")}), "a.yaml")
	if code, out, errs := inject(t, "--image", "x", "--services", bad); code != 2 || out != "" || !strings.Contains(errs, `"Demo_1-ha-leader" cannot be a Service's name`) {
		t.Errorf("an id that makes no name: exit code %d, says %q, output\n%s", code, errs, out)
	}
}

func TestInjectWritesOwnerRightsWhereTheyAreOfUse(t *testing.T) {
	t.Parallel()
	const rules = "- apiGroups: [apps]\n  resources: [replicasets]\n  verbs: [get]\n- apiGroups: [apps]\n  resources: [deployments]\n  resourceNames: [jm]\n  verbs: [get]\n"
	for _, tt := range []struct {
		name, text string
		args       []string
		want       bool
	}{
		{"not asked for", jobManager, nil, false},
		{"asked for", jobManager, []string{"--owner-rights"}, true},
		{"what is published is in another namespace", strings.ReplaceAll(jobManager, "kubernetes.namespace=prod", "kubernetes.namespace=locks"), []string{"--owner-rights"}, false},
	} {
		file := filepath.Join(put(t, map[string]string{"a.yaml": tt.text}), "a.yaml")
		_, role, errs := inject(t, append(tt.args, "--role", "only", file)...)
		if strings.Contains(role, rules) != tt.want || strings.Contains(role, "replicasets") != tt.want {
			t.Errorf("%s: want them %v; says %q:\n%s", tt.name, tt.want, errs, role)
		}
	}
	if code, _, errs := inject(t, "--image", "x", "--owner-rights"); code != 2 || !strings.Contains(errs, "give --role add") {
		t.Errorf("without --role: exit code %d, says %q", code, errs)
	}
}

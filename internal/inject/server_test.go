package inject

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"

	"flink-ha-sidecar/internal/manifest"
	"flink-ha-sidecar/lab"
	"flink-ha-sidecar/lab/labtest"
)

// namespace enforces the restricted Pod Security Standard.
const namespace = "flink"

const restricted = `{apiVersion: v1, kind: Namespace, metadata: {name: flink, labels: {
  pod-security.kubernetes.io/enforce: restricted, pod-security.kubernetes.io/enforce-version: latest}}}`

// apiServer is a control plane with such a namespace and one without a rule, their
// service accounts, and the definition of FlinkDeployments of one version of the
// operator.
func apiServer(t *testing.T, operatorVersion string) *lab.ControlPlane {
	t.Helper()
	crd := labtest.OperatorCRD(t, operatorVersion)
	plane := labtest.ControlPlane(t)
	labtest.Create(t, plane, restricted, "", false)
	labtest.Create(t, plane, "{apiVersion: v1, kind: Namespace, metadata: {name: free}}", "", false)
	for _, ns := range []string{namespace, "free"} {
		for _, account := range []string{"default", "flink"} {
			labtest.Create(t, plane, "{apiVersion: v1, kind: ServiceAccount, metadata: {name: "+account+"}}", ns, false)
		}
	}
	labtest.Create(t, plane, string(crd), "", false)
	labtest.Until(t, "FlinkDeployments to be served", func() bool {
		_, err := plane.Create(t.Context(), []byte("{apiVersion: flink.apache.org/v1beta1, kind: FlinkDeployment, metadata: {name: x}}"), namespace, true)
		return err == nil
	})
	return plane
}

func TestIntegrationOnARealAPIServer(t *testing.T) {
	plane := apiServer(t, "1.10.0")
	for name, test := range map[string]func(*testing.T, *lab.ControlPlane){
		"it takes every output":                  takesEveryOutput,
		"examples run in a restricted namespace": examplesAreRestricted,
		"pods keep their class of quality":       podsKeepTheirQuality,
	} {
		t.Run(name, func(t *testing.T) { test(t, plane) })
	}
}

// takesEveryOutput creates all that inject makes by a dry run, with strict
// validation.
func takesEveryOutput(t *testing.T, plane *lab.ControlPlane) {
	labtest.Create(t, plane, "{apiVersion: v1, kind: Namespace, metadata: {name: empty}}", "", false)
	for _, tt := range golden {
		output, _ := injected(t, read(t, tt.input), tt.options, true)
		for _, o := range objectsOf(t, output) {
			complete(t, o, tt.input)
			answer := labtest.Create(t, plane, text(t, o), "empty", true)
			if kind := manifest.Text(o, "kind"); kind == kindFlinkDeployment && !tt.options.Classic && tt.options.OperatorVersion == "" && !bytes.Contains(answer, []byte(`"restartPolicy":"Always"`)) {
				t.Errorf("%s: the API server drops the restartPolicy: %s", tt.name, answer)
			}
		}
	}
}

// complete makes the terser inputs of these tests whole.
func complete(t *testing.T, o *yaml.Node, input string) {
	t.Helper()
	if manifest.Get(o, "metadata", "namespace") != nil {
		manifest.Set(manifest.Get(o, "metadata"), "namespace", manifest.Scalar("empty"))
	}
	if strings.HasPrefix(input, "../../deploy") {
		return
	}
	if manifest.Text(o, "kind") != kindDeployment {
		return
	}
	labels := manifest.Make(map[string]any{"matchLabels": map[string]string{"test": "test"}})
	manifest.Set(manifest.Get(o, "spec"), "selector", labels)
	manifest.Set(manifest.Get(o, "spec", "template", "metadata", "labels"), "test", manifest.Scalar("test"))
}

// objectsOf are all objects of a stream, those of lists one by one.
func objectsOf(t *testing.T, content string) []*yaml.Node {
	t.Helper()
	f, err := manifest.Parse("output", []byte(content))
	if err != nil {
		t.Fatal(err)
	}
	var all []*yaml.Node
	for _, d := range f.Documents {
		if d.Body() == nil {
			continue
		}
		plain, err := manifest.Plain(d.Body())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, objects(plain)...)
	}
	return all
}

// TestIntegrationAnOlderOperatorsDefinitionDropsRestartPolicy is why
// --operator-version is there.
func TestIntegrationAnOlderOperatorsDefinitionDropsRestartPolicy(t *testing.T) {
	plane := apiServer(t, "1.7.0")
	input := read(t, "../../deploy/examples/flinkdeployment.yaml")
	input = strings.Replace(input, "v1_20", "v1_18", 1)
	native, _ := injected(t, input, usual(), false)
	if _, err := plane.Create(t.Context(), []byte(native), namespace, true); !errors.Is(err, lab.ErrRefused) || !strings.Contains(err.Error(), "restartPolicy") {
		t.Errorf("error %v, want restartPolicy to be unknown", err)
	}
	classic, _ := injected(t, input, usual(func(o *Options) { o.OperatorVersion = "1.7.0" }), false)
	labtest.Create(t, plane, classic, namespace, true)
}

// examplesAreRestricted creates, by a dry run, the pods that controllers and the
// operator would make.
func examplesAreRestricted(t *testing.T, plane *lab.ControlPlane) {
	for _, options := range []Options{usual(), usual(func(o *Options) { o.Classic = true })} {
		for _, tt := range golden[:3] {
			output, _ := injected(t, read(t, tt.input), options, false)
			for _, o := range objectsOf(t, output) {
				template := templateOf(o)
				if template == nil {
					continue
				}
				answer := labtest.Create(t, plane, podFrom(t, template), namespace, true)
				checkPod(t, tt.name, answer, o)
			}
		}
	}
	// The test can fail: the same pod with a sidecar that is not restricted.
	output, _ := injected(t, read(t, golden[0].input), usual(), false)
	loose := strings.ReplaceAll(output, "allowPrivilegeEscalation: false\n          capabilities:\n            drop: [ALL]", "allowPrivilegeEscalation: true")
	for _, o := range objectsOf(t, loose) {
		if template := templateOf(o); template != nil && manifest.Text(template, "metadata", "labels", LabelCluster) != "" {
			if _, err := plane.Create(t.Context(), []byte(podFrom(t, template)), namespace, true); err == nil || !strings.Contains(err.Error(), "violates PodSecurity") {
				t.Errorf("a sidecar that is not restricted: error %v, want it refused", err)
			}
		}
	}
}

// templateOf is the pod template that an object comes to, with what Flink adds.
func templateOf(o *yaml.Node) *yaml.Node {
	switch manifest.Text(o, "kind") {
	case kindDeployment:
		return manifest.Get(o, "spec", "template")
	case kindFlinkDeployment:
	default:
		return nil
	}
	byName := strings.Contains(manifest.Text(o, "spec", "flinkConfiguration", mergeByName), "true")
	pod := templatesOf(o, byName)
	if pod == nil {
		pod = manifest.Make(map[string]any{"spec": map[string]any{}})
	}
	spec := manifest.Get(pod, "spec")
	flink := manifest.Named(spec, flinkContainer, "containers")
	if flink == nil {
		flink = manifest.Make(map[string]string{"name": flinkContainer})
		containers, _ := manifest.Sequence(spec, "containers")
		containers.Content = append(containers.Content, flink)
	}
	manifest.Set(flink, "image", manifest.Scalar("flink"))
	limits := map[string]string{"cpu": "1", "memory": "2Gi"}
	requests := limits
	if factor := manifest.Text(o, "spec", "flinkConfiguration", "kubernetes.jobmanager.cpu.limit-factor"); factor != "" {
		requests = map[string]string{"cpu": "500m", "memory": "2Gi"}
	}
	manifest.Set(flink, "resources", manifest.Make(map[string]any{"requests": requests, "limits": limits}))
	volumes, _ := manifest.Sequence(spec, "volumes")
	volumes.Content = append(volumes.Content, manifest.Make(map[string]any{"name": confVolume, "configMap": map[string]string{"name": "flink-config-my-job"}}))
	return pod
}

func podFrom(t *testing.T, template *yaml.Node) string {
	t.Helper()
	pod := manifest.Copy(template)
	if manifest.Get(pod, "metadata") == nil {
		manifest.Set(pod, "metadata", manifest.Make(map[string]string{}))
	}
	manifest.Set(pod, "apiVersion", manifest.Scalar("v1"))
	manifest.Set(pod, "kind", manifest.Scalar("Pod"))
	manifest.Set(manifest.Get(pod, "metadata"), "generateName", manifest.Scalar("x-"))
	return text(t, pod)
}

// checkPod looks at a pod with the sidecar as the API server understood it.
func checkPod(t *testing.T, name string, answer []byte, from *yaml.Node) {
	t.Helper()
	pod := podOf(t, answer)
	if pod.Labels[LabelCluster] == "" {
		if !strings.Contains(manifest.Text(from, "metadata", "name"), "taskmanager") {
			t.Errorf("%s: the JobManager's pod has no sidecar", name)
		}
		return
	}
	if pod.Spec.ShareProcessNamespace == nil || !*pod.Spec.ShareProcessNamespace {
		t.Errorf("%s: the pod's containers do not share PIDs", name)
	}
}

func podOf(t *testing.T, answer []byte) *corev1.Pod {
	t.Helper()
	pod := &corev1.Pod{}
	if err := json.Unmarshal(answer, pod); err != nil {
		t.Fatal(err)
	}
	return pod
}

// podsKeepTheirQuality goes by what the API server itself computes.
func podsKeepTheirQuality(t *testing.T, plane *lab.ControlPlane) {
	seen := make(map[corev1.PodQOSClass]bool)
	for _, tt := range golden {
		output, _ := injected(t, read(t, tt.input), tt.options, false)
		before, after := objectsOf(t, read(t, tt.input)), objectsOf(t, output)
		for i := range after {
			with := templateOf(after[i])
			if with == nil || manifest.Text(with, "metadata", "labels", LabelCluster) == "" {
				continue
			}
			without := templateOf(before[i])
			var class [2]corev1.PodQOSClass
			for n, template := range []*yaml.Node{without, with} {
				manifest.Set(template, "metadata", manifest.Make(map[string]string{}))
				class[n] = podOf(t, labtest.Create(t, plane, podFrom(t, template), "free", true)).Status.QOSClass
			}
			seen[class[0]] = true
			if class[0] != class[1] || class[0] == "" {
				t.Errorf("%s: %s without the sidecar, %s with it", tt.name, class[0], class[1])
			}
		}
	}
	if len(seen) != 3 {
		t.Errorf("only %v were seen, want all three classes", seen)
	}
}

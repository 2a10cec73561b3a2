package inject

import (
	"strings"
	"testing"

	"flink-ha-sidecar/internal/manifest"
)

// jm is a Deployment whose pod's spec has these further lines, with a JobManager
// whose arguments are these.
func jm(args string, spec ...string) string {
	return workload("Deployment", args, spec...)
}

func workload(kind, args string, spec ...string) string {
	return "apiVersion: apps/v1\nkind: " + kind + "\nmetadata: {name: jm}\nspec:\n  template:\n    metadata: {labels: {app: x}}\n    spec:\n" +
		"      containers:\n      - name: main\n        image: flink\n        args: [" + args + "]\n      " + strings.Join(spec, "\n      ") + "\n"
}

const known = "jobmanager, -Dhigh-availability.type=kubernetes, -Dkubernetes.cluster-id=demo"

func operator(conf string, rest ...string) string {
	return "apiVersion: flink.apache.org/v1beta1\nkind: FlinkDeployment\nmetadata: {name: demo}\nspec:\n  flinkConfiguration: {" + conf + "}\n  " +
		strings.Join(rest, "\n  ") + "\n"
}

func TestWhatCannotBeDoneIsRefusedByName(t *testing.T) {
	t.Parallel()
	with := func(change func(*Options)) Options { return usual(change) }
	vvp := func(o *Options) { o.Backend = backendVVP }
	const twice = "podTemplate: {spec: {containers: [{name: flink-main-container, volumeMounts: [{name: a, mountPath: /a}, {name: a, mountPath: /b}]}]}}"
	for _, tt := range []struct {
		name, input string
		options     Options
		says        []string
	}{
		{"no cluster id", jm("jobmanager, -Dhigh-availability.type=kubernetes"), usual(), []string{"Deployment jm: no cluster id", "mounts nothing at /opt/flink/conf", "--cluster-id"}},
		{"a ConfigMap that is not in the input", jm("jobmanager", "  volumeMounts: [{name: c, mountPath: /opt/flink/conf}]", "volumes: [{name: c, configMap: {name: flink-conf}}]"), usual(),
			[]string{`ConfigMap "flink-conf", mounted at /opt/flink/conf, is not in the input`}},
		{"an HA service that is not known", jm("jobmanager"), with(func(o *Options) { o.ClusterID = "demo" }), []string{"HA service is not known", "--backend"}},
		{"HA off", jm("jobmanager, -Dhigh-availability.type=NONE, -Dkubernetes.cluster-id=demo"), usual(), []string{"HA service of Flink is off"}},
		{"another HA service", jm("jobmanager, -Dhigh-availability.type=com.example.Factory, -Dkubernetes.cluster-id=demo"), usual(), []string{"com.example.Factory"}},
		{"a contradicting cluster id", jm(known), with(func(o *Options) { o.ClusterID = "other" }), []string{"--cluster-id other contradicts", "demo"}},
		{"a contradicting HA service", jm(known), with(func(o *Options) { o.Backend = "zookeeper" }), []string{"--backend zookeeper contradicts"}},
		{"a contradicting namespace", jm(known + ", -Dkubernetes.namespace=prod"), with(func(o *Options) { o.Namespace = "test" }), []string{"--namespace test contradicts"}},
		{"several JobManagers", jm(known, "- {name: second, args: [standalone-job]}"), usual(), []string{"one of main, second with --container"}},
		{"a container that is not there", jm(known), with(func(o *Options) { o.Container = "x" }), []string{`no container "x" (--container), it has main`}},
		{"a Deployment that is not there", jm(known), with(func(o *Options) { o.Deployment = "x" }), []string{`no Deployment or FlinkDeployment "x"`}},
		{"hostPID", jm(known, "hostPID: true"), usual(), []string{"hostPID"}},
		{"PIDs kept apart", jm(known, "shareProcessNamespace: false"), usual(), []string{"shareProcessNamespace is false", "--share-pids=false"}},
		{"a StatefulSet", workload("StatefulSet", known), usual(), []string{"StatefulSet jm: a JobManager in a StatefulSet", "run it as a Deployment"}},
		{"a Job", workload("Job", "standalone-job"), usual(), []string{"Job jm: a JobManager in a Job"}},
		{"a cluster id that is no label", jm("jobmanager, -Dhigh-availability.type=kubernetes, -Dkubernetes.cluster-id=" + strings.Repeat("x", 64)), usual(), []string{"1 to 63 characters"}},
		{"a bad port", jm(known + ", -Drest.port=many"), usual(), []string{"rest.port", "many"}},
		{"an HA service of the platform's", jm("jobmanager, -Dhigh-availability=vvp-kubernetes, -Dkubernetes.cluster-id=demo"), usual(), []string{"high-availability.type: NONE", "--backend vvp-kubernetes", "flink-ha migrate"}},
		{"the same, and asked for", jm("jobmanager, -Dhigh-availability=vvp-kubernetes, -Dkubernetes.cluster-id=demo"), with(vvp), []string{"high-availability.type: NONE"}},
		{"sidecars that elect beside Flink's HA service", jm(known), with(vvp), []string{"--backend vvp-kubernetes contradicts high-availability.type: kubernetes"}},
		{"sidecars that elect, and a probe that ends standbys", jm("jobmanager, -Dkubernetes.cluster-id=demo", "  startupProbe: {tcpSocket: {port: 6123}}"), with(vvp), []string{"container main has a startupProbe of its own", "remove the probe"}},
		{"sidecars that elect, of the operator", operator(""), with(vvp), []string{"run it as a Deployment"}},
		{"the operator: HA off", operator(""), usual(), []string{"FlinkDeployment demo: spec.flinkConfiguration sets no high-availability.type"}},
		{"the operator: no name", strings.Replace(operator("high-availability: kubernetes"), "name: demo", "generateName: demo", 1), usual(), []string{"no metadata.name"}},
		{"the operator: a merge by name that loses a mount", operator("high-availability: kubernetes, "+mergeByName+": 'true'", twice), usual(), []string{"mounts one volume twice"}},
	} {
		f, err := manifest.Parse("input", []byte(tt.input))
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		_, err = Inject([]*manifest.File{f}, tt.options)
		for _, says := range tt.says {
			if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: error %v, want one line with %q", tt.name, err, says)
			}
		}
	}
}

func TestAJobManagerIsRecognizedAndATaskManagerLeftAlone(t *testing.T) {
	t.Parallel()
	settings := "-Dhigh-availability.type=kubernetes, -Dkubernetes.cluster-id=demo"
	labelled := func(component, text string) string {
		return strings.Replace(text, "{app: x}", "{app: x, component: "+component+"}", 1)
	}
	for _, tt := range []struct {
		name, input string
		options     Options
		found       bool
	}{
		{"the official image's session", jm("jobmanager, " + settings), usual(), true},
		{"the official image's job", jm("standalone-job, " + settings), usual(), true},
		{"a shell", jm("bash, -c, 'exec /opt/flink/bin/jobmanager.sh start-foreground -Dhigh-availability.type=kubernetes -Dkubernetes.cluster-id=demo'"), usual(), true},
		{"java", jm("java, org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint, " + settings), usual(), true},
		{"the label", labelled("jobmanager", jm("/run.sh")), usual(func(o *Options) { o.ClusterID, o.Backend = "demo", "kubernetes" }), true},
		{"the container's name", strings.Replace(jm("/run.sh"), "name: main", "name: jobmanager", 1), usual(func(o *Options) { o.ClusterID, o.Backend = "demo", "kubernetes" }), true},
		{"the name of the Deployment", jm("/run.sh"), usual(func(o *Options) { o.Deployment, o.ClusterID, o.Backend = "jm", "demo", "kubernetes" }), true},
		{"a FlinkDeployment", operator("high-availability.type: kubernetes"), usual(), true},
		{"a FlinkDeployment with nested configuration", operator("high-availability: {type: kubernetes}"), usual(), true},
		{"a FlinkDeployment whose HA is the operator's default", operator(""), usual(func(o *Options) { o.Backend = "kubernetes" }), true},
		{"a TaskManager", jm("taskmanager"), usual(), false},
		{"a TaskManager by its class", jm("java, org.apache.flink.runtime.taskexecutor.TaskManagerRunner"), usual(), false},
		{"a TaskManager by its label", labelled("taskmanager", jm("/run.sh")), usual(), false},
		{"a TaskManager whose container has a JobManager's name", strings.Replace(jm("taskmanager"), "name: main", "name: jobmanager", 1), usual(), false},
		{"native mode's TaskManager", labelled("taskmanager", strings.Replace(jm("/run.sh"), "name: main", "name: flink-main-container", 1)), usual(), false},
		{"something else", jm("nginx"), usual(), false},
		{"a Job of something else", workload("Job", "backup"), usual(), false},
		{"a ReplicaSet that a Deployment made", strings.Replace(workload("ReplicaSet", known), "{name: jm}", "{name: jm-1, ownerReferences: [{kind: Deployment, name: jm}]}", 1), usual(), false},
		{"another CustomResource", "apiVersion: x/v1\nkind: FlinkSessionJob\nmetadata: {name: jm}\n", usual(), false},
	} {
		output, results := injected(t, tt.input, tt.options, false)
		if len(results) == 1 != tt.found || (output == tt.input) == tt.found {
			t.Errorf("%s: found %v, output\n%s", tt.name, results, output)
		}
	}
}

func TestNotes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, input, says string }{
		{"an address that is a name", read(t, "testdata/list.json"), `jobmanager.rpc.address is "jm", a name`},
		{"root", jm(known, "securityContext: {runAsUser: 0}"), "runs as root"},
		{"a volume mounted twice", read(t, "testdata/operator-position.yaml"), `set it to "false" here`},
	} {
		_, results := injected(t, tt.input, usual(), false)
		if len(results) != 1 || !strings.Contains(strings.Join(results[0].Notes, "\n"), tt.says) {
			t.Errorf("%s: %+v, want a note with %q", tt.name, results, tt.says)
		}
	}
	for _, tt := range golden[:3] {
		if _, results := injected(t, read(t, tt.input), tt.options, false); len(results[0].Notes) > 0 {
			t.Errorf("%s: %q, want no note", tt.name, results[0].Notes)
		}
	}
}

func TestBadOptionsAreRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		change func(*Options)
		says   string
	}{
		{func(o *Options) { o.Image = "" }, "--image is missing"},
		{func(o *Options) { o.Image = "a b" }, "has a blank"},
		{func(o *Options) { o.ImagePullPolicy = "Sometimes" }, "--image-pull-policy"},
		{func(o *Options) { o.CPU = "much" }, "--cpu"},
		{func(o *Options) { o.Memory = "0" }, "--memory"},
		{func(o *Options) { o.Port = 70000 }, "--port"},
		{func(o *Options) { o.Backend = "etcd" }, "--backend"},
		{func(o *Options) { o.OperatorVersion = "new" }, "--operator-version"},
	} {
		if err := usual(tt.change).Check(); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("error %v, want %q", err, tt.says)
		}
	}
	if err := usual().Check(); err != nil {
		t.Errorf("the defaults are refused: %v", err)
	}
}

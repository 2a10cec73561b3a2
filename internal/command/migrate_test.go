package command_test

import (
	"bytes"
	"strings"
	"testing"

	"flink-ha-sidecar/internal/command"
)

func migrate(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = command.Main(append([]string{"migrate"}, args...), nil, &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func TestMigratePrintsTheFileTheDiffAndTheRole(t *testing.T) {
	t.Parallel()
	const conf = "# ours\nhigh-availability: vvp-kubernetes\nhigh-availability.storageDir: s3://b/ha\nkubernetes.cluster-id: demo\nkubernetes.namespace: prod\n"
	const migrated = "# ours\nhigh-availability.type: kubernetes\nhigh-availability.kubernetes.leader-election.retry-period: 1s\nhigh-availability.storageDir: s3://b/ha\nkubernetes.cluster-id: demo\nkubernetes.namespace: prod\n"
	file := put(t, map[string]string{"config.yaml": conf}) + "/config.yaml"
	code, out, errs := migrate(t, file)
	if code != 0 || out != migrated {
		t.Errorf("exit code %d, says %q, output\n%s", code, errs, out)
	}
	for _, want := range []string{"config.yaml:2: high-availability: vvp-kubernetes is now high-availability.type: kubernetes\n", "--role add prints the Role", "  2. flink stop --savepointPath DIR JOB"} {
		if !strings.Contains(errs, want) {
			t.Errorf("stderr lacks %q:\n%s", want, errs)
		}
	}
	if _, out, _ := migrate(t, "--diff", file); !strings.Contains(out, "@@ -1,5 +1,6 @@\n # ours\n-high-availability: vvp-kubernetes\n+high-availability.type: kubernetes\n") {
		t.Errorf("the diff is\n%s", out)
	}
	_, role, _ := migrate(t, "--role", "only", file)
	if !strings.Contains(role, "name: flink-demo\n  namespace: prod\n") || !strings.Contains(role, "verbs: [get, list, watch, create, update, patch, delete]") {
		t.Errorf("the role is\n%s", role)
	}
	if _, both, _ := migrate(t, "--role", "add", file); both != migrated+"---\n"+role {
		t.Errorf("add is not the file and then the role:\n%s", both)
	}
}

func TestMigrateLeavesEverythingElseAlone(t *testing.T) {
	t.Parallel()
	file := put(t, map[string]string{"a.yaml": service}) + "/a.yaml"
	if code, out, errs := migrate(t, file); code != 0 || out != service || !strings.Contains(errs, "a.yaml: does not name vvp-kubernetes, not changed") || strings.Contains(errs, "steps") {
		t.Errorf("exit code %d, says %q, output %q", code, errs, out)
	}
	dir := put(t, map[string]string{"config.yaml": "high-availability: vvp-kubernetes\n", "x.yaml": "a: [\n"})
	for _, tt := range []struct {
		args []string
		says string
	}{
		{[]string{dir + "/config.yaml"}, "config.yaml:1: high-availability.storageDir is not set"},
		{[]string{dir + "/x.yaml"}, "x.yaml:"},
		{[]string{dir + "/missing.yaml"}, "no such file"},
		{[]string{"--role", "all", file}, `--role "all" is none of none, add, only`},
		{[]string{"--role", "only", "--diff", file}, "give one of the two"},
		{[]string{"--role", "add", file}, "no cluster of the input needs one"},
	} {
		code, out, errs := migrate(t, tt.args...)
		if code != 2 || out != "" || !strings.Contains(errs, tt.says) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%q: exit code %d, %d bytes of output, says %q; want 2, none, one line with %q", tt.args, code, len(out), errs, tt.says)
		}
	}
}

package jobmanager

import (
	"slices"
	"strings"
	"testing"
)

// raw joins arguments as /proc/PID/cmdline shows them.
func raw(argv ...string) []byte {
	if len(argv) == 0 {
		return nil
	}
	return []byte(strings.Join(argv, "\x00") + "\x00")
}

func TestMatch(t *testing.T) {
	const app = "org.apache.flink.container.entrypoint.StandaloneApplicationClusterEntryPoint"
	const session = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
	tests := map[string]struct {
		match []string
		argv  []string
		want  bool
	}{
		"a standalone application":                     {nil, []string{"java", "-Xmx1g", "-cp", "/opt/flink/lib/*", app, "--configDir", "/opt/flink/conf"}, true},
		"a standalone session":                         {nil, []string{"/opt/java/bin/java", session, "--executionMode", "cluster"}, true},
		"a native session":                             {nil, []string{"java", "org.apache.flink.kubernetes.entrypoint.KubernetesSessionClusterEntrypoint"}, true},
		"a native application":                         {nil, []string{"java", "org.apache.flink.kubernetes.entrypoint.KubernetesApplicationClusterEntrypoint"}, true},
		"a wrapper that has the class as an argument":  {nil, []string{"tini", "--", "java", app}, true},
		"a TaskManager":                                {nil, []string{"java", "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"}, false},
		"the class inside a shell script":              {nil, []string{"sh", "-c", "exec java " + app}, false},
		"the class as part of a longer argument":       {nil, []string{"java", "-Dmain=" + app}, false},
		"the class with another case":                  {nil, []string{"java", strings.ToLower(app)}, false},
		"a nested class":                               {nil, []string{"java", app + "$1"}, false},
		"a zombie or kernel thread":                    {nil, nil, false},
		"the gate of this project":                     {nil, []string{"/usr/local/bin/flink-ha", "gate", "--", "java", app}, false},
		"the sidecar that is told what to look for":    {nil, []string{"flink-ha", "run", "--jobmanager-match", app}, false},
		"a program whose name only ends like it":       {nil, []string{"/bin/not-flink-ha", app}, true},
		"a custom main class":                          {[]string{"com.example.Main"}, []string{"java", "com.example.Main"}, true},
		"a custom main class replaces Flink's":         {[]string{"com.example.Main"}, []string{"java", app}, false},
		"all of several values are there":              {[]string{app, "/conf/a"}, []string{"java", app, "--configDir", "/conf/a"}, true},
		"one of several values is missing":             {[]string{app, "/conf/a"}, []string{"java", app, "--configDir", "/conf/b"}, false},
		"a value that is only a prefix of an argument": {[]string{app, "/conf"}, []string{"java", app, "--configDir", "/conf/a"}, false},
		"no JobManager at all by a custom match":       {[]string{"com.example.Main"}, nil, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m, err := newMatcher(tt.match)
			if err != nil {
				t.Fatal(err)
			}
			if got := m.matches(raw(tt.argv...)); got != tt.want {
				t.Errorf("matches(%q) = %t, want %t", tt.argv, got, tt.want)
			}
		})
	}
}

func TestMatchRefusesAnEmptyValue(t *testing.T) {
	if _, err := newMatcher([]string{"a", ""}); err == nil {
		t.Error("newMatcher accepted an empty value, which is an argument of many processes")
	}
}

func TestSplitCommandLine(t *testing.T) {
	for name, tt := range map[string]struct {
		raw  string
		want []string
	}{
		"two arguments":              {"java\x00-version\x00", []string{"java", "-version"}},
		"an empty argument inside":   {"java\x00\x00x\x00", []string{"java", "", "x"}},
		"no terminator (overwriten)": {"java x", []string{"java x"}},
		"nothing":                    {"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := splitCommandLine([]byte(tt.raw)); !slices.Equal(got, tt.want) {
				t.Errorf("splitCommandLine(%q) = %q, want %q", tt.raw, got, tt.want)
			}
		})
	}
}

func TestWithoutForks(t *testing.T) {
	jm, tini := raw("java", EntryPoints[0]), raw("tini", "--", "java", EntryPoints[0])
	const now = 100 * 100 // ticks: 100 s after boot
	at := func(pid, parent int, start uint64, cmdline []byte) candidate {
		return candidate{pid: pid, stat: stat{parent: parent, startTime: start}, cmdline: cmdline}
	}
	for name, tt := range map[string]struct {
		in   []candidate
		want []int
	}{
		"a fork that has not reached its exec":            {[]candidate{at(10, 1, 500, jm), at(11, 10, now-5, jm)}, []int{10}},
		"a fork of such a fork":                           {[]candidate{at(10, 1, 500, jm), at(11, 10, now-5, jm), at(12, 11, now-4, jm)}, []int{10}},
		"a child that has looked like its parent for 3 s": {[]candidate{at(10, 1, 500, jm), at(11, 10, now-300, jm)}, []int{10, 11}},
		"a wrapper and its child":                         {[]candidate{at(10, 1, now-5, tini), at(11, 10, now-4, jm)}, []int{10, 11}},
		"two JobManagers side by side":                    {[]candidate{at(10, 1, now-5, jm), at(11, 1, now-4, jm)}, []int{10, 11}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []int
			for _, c := range withoutForks(tt.in, now*clockTick, forkGrace) {
				got = append(got, c.pid)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("left %v, want %v", got, tt.want)
			}
		})
	}
}

package jobmanager

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	const tail = " S 7 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 57 0 987654 4096 10"
	for name, program := range map[string]string{
		"a plain name":              "(java)",
		"spaces":                    "(Web Content)",
		"a closing parenthesis":     "(a) S 1 2)",
		"nothing but parentheses":   "())()",
		"digits that look like PID": "(4 (5) 6)",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseStat([]byte("42 " + program + tail + "\n"))
			if want := (stat{parent: 7, startTime: 987654}); err != nil || got != want {
				t.Errorf("parseStat = %+v, %v, want %+v", got, err, want)
			}
		})
	}
	for name, line := range map[string]string{
		"an empty file":             "",
		"no name":                   "42 java S 7",
		"a line that breaks off":    "42 (java) S 7 42 42",
		"a parent that is no digit": "42 (java) S x" + strings.TrimPrefix(tail, " S 7"),
		"a negative start time":     "42 (java)" + strings.Replace(tail, "987654", "-1", 1),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := parseStat([]byte(line)); err == nil {
				t.Errorf("parseStat(%q) = %+v, want an error", line, got)
			}
		})
	}
}

// The start time of this very process, compared with the clock, shows that field
// and unit are the right ones.
func TestStartTimeIsTheTimeSinceBoot(t *testing.T) {
	st, err := procfs{root: "/proc"}.stat(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if st.parent != os.Getppid() {
		t.Errorf("parent = %d, want %d", st.parent, os.Getppid())
	}
	age := linux().uptime() - time.Duration(st.startTime)*clockTick
	if age < 0 || age > time.Hour {
		t.Errorf("this test process seems to be %v old", age)
	}
}

func TestContainerID(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	const other = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
	for name, tt := range map[string]struct{ cgroup, want string }{
		"containerd, v2, systemd":          {"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-" + id + ".scope\n", id},
		"containerd, v2, cgroupfs":         {"0::/kubepods/burstable/pod1/" + id + "\n", id},
		"from another cgroup namespace":    {"0::/../cri-containerd-" + id + ".scope\n", id},
		"CRI-O":                            {"0::/kubepods.slice/kubepods-pod1.slice/crio-" + id + ".scope\n", id},
		"CRI-O with a cgroup of its own":   {"0::/kubepods.slice/crio-" + id + ".scope/container\n", id},
		"CRI-O's monitor is no container":  {"0::/kubepods.slice/crio-conmon-" + id + ".scope\n", ""},
		"Docker, v1":                       {"12:memory:/docker/" + id + "\n11:cpu,cpuacct:/docker/" + id + "\n", id},
		"Docker, v2":                       {"0::/system.slice/docker-" + id + ".scope\n", id},
		"Kubernetes on v1":                 {"3:cpu:/\n2:memory:/kubepods/besteffort/pod1/" + id + "\n", id},
		"a container inside a container":   {"0::/docker/" + other + "/kubepods/pod1/" + id + "\n", id},
		"a plain host":                     {"0::/user.slice/user-0.slice/session-1.scope\n", ""},
		"the root":                         {"0::/\n", ""},
		"64 characters that are no digits": {"0::/docker/" + strings.Repeat("g", 64) + "\n", ""},
		"nothing":                          {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := containerID(tt.cgroup); got != tt.want {
				t.Errorf("containerID(%q) = %q, want %q", tt.cgroup, got, tt.want)
			}
		})
	}
}

func TestScanInterval(t *testing.T) {
	for name, tt := range map[string]struct {
		since time.Duration
		held  bool
		want  time.Duration
	}{
		"just after a death":   {0, false, 50 * time.Millisecond},
		"a few seconds later":  {6 * time.Second, false, 250 * time.Millisecond},
		"none for long":        {time.Hour, false, 500 * time.Millisecond},
		"one is held":          {time.Hour, true, 2 * time.Second},
		"one is held at start": {0, true, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			if got := scanInterval(tt.since, tt.held); got != tt.want {
				t.Errorf("scanInterval = %v, want %v", got, tt.want)
			}
		})
	}
}

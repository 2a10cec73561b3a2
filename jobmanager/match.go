package jobmanager

import (
	"bytes"
	"errors"
	"slices"
)

// EntryPoints are the main classes of Flink 1.18 to 2.3 that a JobManager runs
// on Kubernetes or on a plain host. The spelling is Flink's own: the standalone
// application class says "EntryPoint", the others "Entrypoint".
var EntryPoints = []string{
	"org.apache.flink.container.entrypoint.StandaloneApplicationClusterEntryPoint",
	"org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint",
	"org.apache.flink.kubernetes.entrypoint.KubernetesApplicationClusterEntrypoint",
	"org.apache.flink.kubernetes.entrypoint.KubernetesSessionClusterEntrypoint",
}

// sidecarName is the base name of argv[0] of every process of this project: the
// gate carries the JobManager's whole command line behind its own.
const sidecarName = "flink-ha"

// matcher decides by the command line alone whether a process is a JobManager.
// It works on the raw bytes of /proc/PID/cmdline, since it sees each process of
// the pod again every few seconds.
type matcher struct {
	// wanted are the elements to look for; with all set every one of them has to
	// be there, otherwise one is enough.
	wanted []string
	all    bool
}

// newMatcher looks for Flink's entry points, or for all of match if any is given.
func newMatcher(match []string) (matcher, error) {
	if len(match) == 0 {
		return matcher{wanted: EntryPoints}, nil
	}
	if slices.Contains(match, "") {
		return matcher{}, errors.New("--jobmanager-match must not be empty: give a whole argument of the JobManager's command line")
	}
	return matcher{wanted: slices.Clone(match), all: true}, nil
}

// matches says whether cmdline, the bytes of /proc/PID/cmdline, belongs to a
// JobManager. Only whole elements count: a shell that carries the class inside a
// script, or a class path that contains it, is something else. The command line
// of a zombie is empty and never matches.
func (m matcher) matches(cmdline []byte) bool {
	if isSidecar(cmdline) {
		return false
	}
	for _, w := range m.wanted {
		found := hasElement(cmdline, w)
		if found && !m.all {
			return true
		}
		if !found && m.all {
			return false
		}
	}
	return m.all
}

// isSidecar says whether argv[0] is this project's binary.
func isSidecar(cmdline []byte) bool {
	first, _, _ := bytes.Cut(cmdline, []byte{0})
	return string(first[bytes.LastIndexByte(first, '/')+1:]) == sidecarName
}

// hasElement says whether one NUL-terminated element of cmdline equals want.
func hasElement(cmdline []byte, want string) bool {
	for len(cmdline) > 0 {
		element, rest, _ := bytes.Cut(cmdline, []byte{0})
		if string(element) == want {
			return true
		}
		cmdline = rest
	}
	return false
}

// splitCommandLine turns the bytes of /proc/PID/cmdline or /proc/PID/environ
// into their elements. Empty elements in between are kept.
func splitCommandLine(raw []byte) []string {
	raw = bytes.TrimSuffix(raw, []byte{0})
	if len(raw) == 0 {
		return nil
	}
	parts := bytes.Split(raw, []byte{0})
	elements := make([]string, len(parts))
	for i, p := range parts {
		elements[i] = string(p)
	}
	return elements
}

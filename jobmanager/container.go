package jobmanager

import "strings"

// containerIDLength is the number of hexadecimal digits of a container ID of
// containerd, CRI-O and Docker.
const containerIDLength = 64

// containerID finds the container's ID in the text of /proc/PID/cgroup, empty if
// there is none. All runtimes put it into the path of the cgroup, alone or with a
// prefix and ".scope": "/kubepods/burstable/pod<uid>/<id>",
// "/kubepods.slice/.../cri-containerd-<id>.scope", "/../crio-<id>.scope/container",
// "/docker/<id>". Of nested ones the innermost counts.
func containerID(cgroup string) string {
	for line := range strings.Lines(cgroup) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		elements := strings.Split(parts[2], "/")
		for i := len(elements) - 1; i >= 0; i-- {
			if id := idInElement(elements[i]); id != "" {
				return id
			}
		}
	}
	return ""
}

// idInElement takes the ID out of one element of a cgroup path.
func idInElement(element string) string {
	element = strings.TrimSuffix(element, ".scope")
	if len(element) < containerIDLength {
		return ""
	}
	prefix, id := element[:len(element)-containerIDLength], element[len(element)-containerIDLength:]
	if prefix != "" && !strings.HasSuffix(prefix, "-") {
		return ""
	}
	// conmon is CRI-O's monitor beside the container, not the container.
	if strings.Contains(prefix, "conmon") || strings.Trim(id, "0123456789abcdef") != "" {
		return ""
	}
	return id
}

package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// CheckNodeNeeds looks for what [StartNode] needs from the machine besides
// [CheckNeeds], and returns an error with one line for each thing that is missing.
func CheckNodeNeeds() error {
	var missing []error
	if os.Geteuid() != 0 {
		missing = append(missing, errors.New("not root: a node makes namespaces, mounts and cgroups"))
	}
	for _, need := range []struct{ command, pkg string }{
		{"containerd", "containerd"}, {"ctr", "containerd"}, {"runc", "runc"}, {"ip", "iproute2"}, {"iptables", "iptables"},
	} {
		if _, err := exec.LookPath(need.command); err != nil {
			missing = append(missing, fmt.Errorf("%s is missing: install it (Debian: package %s)", need.command, need.pkg))
		}
	}
	if cniFolder() == "" {
		missing = append(missing, errors.New("the network plugin bridge is missing from /usr/lib/cni and /opt/cni/bin: install it (Debian: package containernetworking-plugins)"))
	}
	if len(missing) == 0 {
		missing = append(missing, tryNode()...)
	}
	return errors.Join(missing...)
}

// tryNode makes what root may not make everywhere: in a container without
// privileges, for one.
func tryNode() (problems []error) {
	cmd := exec.Command("true")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET}
	if err := cmd.Run(); err != nil {
		problems = append(problems, fmt.Errorf("namespaces cannot be made here: %w", err))
	}
	try, err := makeCgroups(fmt.Sprintf("/%stry-%d", nodePrefix, os.Getpid()))
	if err != nil {
		problems = append(problems, err)
	}
	if err := try.remove(); err != nil {
		problems = append(problems, err)
	}
	return problems
}

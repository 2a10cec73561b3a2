package lab

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// kubeletSysctls are what a kubelet sets at its start on the whole machine,
// namespaces or not (kubelet, setupKernelTunables). They are put back.
var kubeletSysctls = []string{
	"/proc/sys/vm/overcommit_memory", "/proc/sys/vm/panic_on_oom", "/proc/sys/kernel/panic", "/proc/sys/kernel/panic_on_oops",
	"/proc/sys/kernel/keys/root_maxkeys", "/proc/sys/kernel/keys/root_maxbytes",
}

// saveSysctls writes down what they are, one "path value" a line.
func saveSysctls(file string) error {
	var lines strings.Builder
	for _, path := range kubeletSysctls {
		if value, err := os.ReadFile(path); err == nil {
			fmt.Fprintf(&lines, "%s %s\n", path, strings.TrimSpace(string(value)))
		}
	}
	if err := os.WriteFile(file, []byte(lines.String()), 0o644); err != nil {
		return fmt.Errorf("save kernel settings: %w", err)
	}
	return nil
}

// restoreSysctls puts back what was written down; without a file there is
// nothing to do.
func restoreSysctls(file string) {
	f, err := os.Open(file)
	if err != nil {
		return
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if path, value, ok := strings.Cut(lines.Text(), " "); ok {
			_ = os.WriteFile(path, []byte(value), 0o644)
		}
	}
}

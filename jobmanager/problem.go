package jobmanager

import (
	"fmt"
	"path/filepath"
	"strings"
)

const (
	// maxListed bounds the processes named in one line.
	maxListed = 5
	// maxDescription bounds what is shown of one command line, in bytes.
	maxDescription = 80
)

// none says in one line why no JobManager is seen.
func (w *Watcher) none(s survey) string {
	switch {
	case w.onlyOwn(s.pids):
		return "only this container's own processes are visible: set shareProcessNamespace: true in the pod, so that the JobManager can be watched"
	case s.unreadable > 0:
		return fmt.Sprintf("no JobManager process is visible, and %d of %d command lines cannot be read (/proc %s): run as the JobManager's user",
			s.unreadable, s.visible, orDefault(w.proc.hidePID(), "denies it"))
	}
	if option := w.proc.hidePID(); option != "" {
		return fmt.Sprintf("no JobManager process is visible: /proc is mounted with %s, which hides processes of other users", option)
	}
	return "no JobManager process is running"
}

// several lists the processes that match, in one line, with what tells them apart.
func several(candidates []candidate) string {
	var list []string
	for i, c := range candidates {
		if i == maxListed {
			list = append(list, fmt.Sprintf("and %d more", len(candidates)-i))
			break
		}
		list = append(list, fmt.Sprintf("PID %d (%s)", c.pid, describe(c.cmdline)))
	}
	return fmt.Sprintf("%d processes match as JobManager, none is bound: %s; tell them apart with --jobmanager-pid-file or --jobmanager-match",
		len(candidates), strings.Join(list, ", "))
}

// describe shortens a command line to the program and what tells one JobManager
// from another: the configuration directory, else the last argument.
func describe(cmdline []byte) string {
	argv := splitCommandLine(cmdline)
	if len(argv) == 0 {
		return "no command line"
	}
	text := filepath.Base(argv[0])
	if dir := configDir(argv); dir != "" {
		text += " --configDir " + dir
	} else if len(argv) > 1 {
		text += " ... " + argv[len(argv)-1]
	}
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
	if len(text) > maxDescription {
		text = text[:maxDescription/2] + "..." + text[len(text)-maxDescription/2:]
	}
	return strings.ToValidUTF8(text, "?")
}

// configDir returns the value of Flink's --configDir or -c.
func configDir(argv []string) string {
	for i, arg := range argv {
		if dir, ok := strings.CutPrefix(arg, "--configDir="); ok {
			return dir
		}
		if (arg == "--configDir" || arg == "-c") && i+1 < len(argv) {
			return argv[i+1]
		}
	}
	return ""
}

func orDefault(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

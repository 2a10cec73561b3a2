package resume

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// savepointOption is Flink's, from 1.18 to 2.3 (CliFrontendParser.SAVEPOINT_PATH_OPTION),
// for a checkpoint too.
const savepointOption = "--fromSavepoint"

// ErrNoPlace says that a command is none of a JobManager in application mode, as far as
// can be seen.
var ErrNoPlace = errors.New("there is no standalone-job and no StandaloneApplicationClusterEntryPoint in the command")

// options of StandaloneApplicationClusterEntryPoint that have an argument, and those
// that have none. Flink takes everything from the first other word on as the job's own.
var (
	optionsWithArgument = map[string]bool{
		"c": true, "configDir": true, "jarfile": true, "jar-file": true, "jars": true, "r": true, "webui-port": true, "j": true, "job-classname": true,
		"jid": true, "job-id": true, "h": true, "host": true, "D": true, "s": true, "fromSavepoint": true, "rm": true, "restoreMode": true, "claimMode": true,
	}
	optionsAlone = map[string]bool{"n": true, "allowNonRestoredState": true}
)

// Command returns a JobManager's command line with the checkpoint or savepoint that it
// is to start from, in place of one that it may name already.
func Command(command []string, checkpoint string) ([]string, error) {
	at := place(command)
	if at < 0 {
		return nil, ErrNoPlace
	}
	changed := append(slices.Clone(command[:at]), savepointOption, checkpoint)
	rest := command[at:]
	for len(rest) > 0 {
		n, savepoint := option(rest)
		if n == 0 {
			break
		}
		if !savepoint {
			changed = append(changed, rest[:n]...)
		}
		rest = rest[n:]
	}
	return append(changed, rest...), nil
}

// CanResume says whether Command has a place in this command line.
func CanResume(command []string) error {
	if place(command) < 0 {
		return fmt.Errorf("%w %q", ErrNoPlace, strings.Join(command, " "))
	}
	return nil
}

// place is where the options of Flink's entry point begin; -1: it is not there.
func place(command []string) int {
	for i, word := range command {
		switch {
		case word == "standalone-job", // of the official image
			strings.HasSuffix(word, ".StandaloneApplicationClusterEntryPoint"):
			return i + 1
		case path.Base(word) == "standalone-job.sh" && i+1 < len(command): // start, start-foreground
			return i + 2
		}
	}
	return -1
}

// option says how many words the option at the begin of words has, 0 if there is none,
// and whether it is the one that names a savepoint.
func option(words []string) (n int, savepoint bool) {
	if !strings.HasPrefix(words[0], "-") {
		return 0, false
	}
	name, _, joined := strings.Cut(strings.TrimLeft(words[0], "-"), "=")
	savepoint = name == "s" || name == "fromSavepoint"
	switch {
	case optionsAlone[name], joined && optionsWithArgument[name], strings.HasPrefix(words[0], "-D") && len(words[0]) > len("-D"):
		return 1, savepoint
	case optionsWithArgument[name]:
		return min(2, len(words)), savepoint
	}
	return 0, false
}

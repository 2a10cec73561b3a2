package resume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// metadataFile is in the folder of each complete checkpoint and savepoint.
const metadataFile = "_metadata"

// maxLevels is how deep the search goes: DIR/<folder>/<job id>/chk-<n>, so that one
// directory may hold a folder of checkpoints and one of savepoints.
const maxLevels = 3

// state are folders of Flink's that hold state alone: many files, no metadata.
var state = map[string]bool{"shared": true, "taskowned": true}

// Found is a checkpoint or savepoint.
type Found struct {
	// Path is its folder.
	Path string
	// Completed is when its metadata was put in place.
	Completed time.Time
	// Unchecked, if not nil, is why it could not be told whether the metadata is whole.
	Unchecked error
}

// Skipped is a checkpoint or savepoint that was not taken, and why.
type Skipped struct {
	Path string
	Why  error
}

// ErrNothing says that there is no checkpoint and no savepoint, not even a broken one.
var ErrNothing = errors.New("there is no checkpoint and no savepoint")

// Newest returns the newest complete checkpoint or savepoint under dir, which is for
// one job alone: who lies there is not asked for whose it is. Those that are newer and
// not whole are told in skipped.
//
// Newest is by the time of the metadata, since each start of a job without Flink's HA
// has a job id of its own, whose checkpoints begin at any number. Among checkpoints of
// one job id the number decides, whatever the clocks were: it is never given twice.
//
// The error is ErrNothing, or says that something is there of which nothing can be
// used, or what could not be read: then it is not known what is newest, and nothing is
// returned in its place.
func Newest(dir string) (found Found, skipped []Skipped, err error) {
	queues, err := search(dir)
	if err != nil {
		return Found{}, nil, err
	}
	if len(queues) == 0 {
		return Found{}, nil, fmt.Errorf("%w in %s", ErrNothing, dir)
	}
	for {
		c, ok := next(queues)
		if !ok {
			return Found{}, skipped, fmt.Errorf("none of the %d checkpoints and savepoints in %s is complete", len(skipped), dir)
		}
		err := CheckFile(filepath.Join(c.path, metadataFile))
		if err == nil || errors.Is(err, ErrUnknownFormat) {
			return Found{Path: c.path, Completed: c.completed, Unchecked: err}, skipped, nil
		}
		if errors.Is(err, fs.ErrPermission) {
			return Found{}, skipped, err
		}
		skipped = append(skipped, Skipped{Path: c.path, Why: err})
	}
}

// candidate is a folder with metadata.
type candidate struct {
	path      string
	completed time.Time
	number    int64 // of a checkpoint; -1: it has none
}

// search finds the candidates: the checkpoints of each job id as one queue, each other
// one as a queue of its own.
func search(dir string) (map[string][]candidate, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("look for checkpoints: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("look for checkpoints: %s is no directory", dir)
	}
	queues := map[string][]candidate{}
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path != dir {
			return nil // Flink has removed it meanwhile
		}
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if state[entry.Name()] || level(dir, path) > maxLevels {
				return fs.SkipDir
			}
			return nil
		}
		if entry.Name() != metadataFile {
			return nil
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		c := candidate{path: filepath.Dir(path), completed: info.ModTime(), number: checkpointNumber(filepath.Dir(path))}
		queue := c.path
		if c.number >= 0 {
			queue = filepath.Dir(c.path)
		}
		queues[queue] = append(queues[queue], c)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for checkpoints: %w", err)
	}
	return queues, nil
}

// level is how far path lies below dir.
func level(dir, path string) int {
	below, err := filepath.Rel(dir, path)
	if err != nil || below == "." {
		return 0
	}
	return strings.Count(below, string(filepath.Separator)) + 1
}

// checkpointNumber is N of a folder chk-N, and -1 of others.
func checkpointNumber(path string) int64 {
	digits, ok := strings.CutPrefix(filepath.Base(path), "chk-")
	if !ok {
		return -1
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}

// next takes the newest of what is left: of each queue that with the highest number
// stands for it, and of those the latest counts.
func next(queues map[string][]candidate) (candidate, bool) {
	var best candidate
	var from string
	at := -1
	for name, queue := range queues {
		head := -1
		for i, c := range queue {
			if head < 0 || c.number > queue[head].number {
				head = i
			}
		}
		if head < 0 {
			continue
		}
		c := queue[head]
		// The path settles a tie, so that two looks at one directory agree.
		if at < 0 || c.completed.After(best.completed) || c.completed.Equal(best.completed) && c.path > best.path {
			best, from, at = c, name, head
		}
	}
	if at < 0 {
		return candidate{}, false
	}
	queues[from] = append(queues[from][:at], queues[from][at+1:]...)
	return best, true
}

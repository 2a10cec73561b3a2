// Package flinkconf reads Flink's configuration as a JobManager of Flink 1.18 to
// 2.3 would read it: its file, and what the environment and the command line put
// over it. Only Load touches the disk.
package flinkconf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	// legacyName is read by Flink up to 1.20, and before the other if both exist.
	legacyName = "flink-conf.yaml"
	// standardName is read by Flink from 1.19 on, and alone from 2.0 on.
	standardName = "config.yaml"
)

// Value is the text of one setting and where it stands.
type Value struct {
	Text string
	// From is for people: "/opt/flink/conf/config.yaml:12", "the command line".
	From string
}

// File is Flink's configuration file, flattened to dotted keys.
type File struct {
	// Path is the file that was read.
	Path   string
	Values map[string]Value
	// Warnings are lines worth logging: what Flink ignores, what is ambiguous.
	Warnings []string
}

// Load reads the configuration file in dir. flinkMajor is the major version of
// Flink, 0 if it is not known: if both files exist Flink 1.19 and 1.20 read
// flink-conf.yaml, Flink 2 reads config.yaml. An error names file and line; a
// missing file wraps fs.ErrNotExist.
func Load(dir string, flinkMajor int) (File, error) {
	legacy, legacyErr := read(filepath.Join(dir, legacyName), parseLegacy)
	standard, standardErr := read(filepath.Join(dir, standardName), parseStandard)
	noLegacy, noStandard := errors.Is(legacyErr, fs.ErrNotExist), errors.Is(standardErr, fs.ErrNotExist)
	switch {
	case noLegacy && noStandard:
		return File{}, fmt.Errorf("load Flink's configuration: neither %s nor %s in %s: %w", standardName, legacyName, dir, fs.ErrNotExist)
	case noLegacy, flinkMajor >= 2 && !noStandard:
		return standard, standardErr
	case noStandard, flinkMajor == 1, legacyErr != nil:
		return legacy, legacyErr
	}
	// Both, and no version: an unreadable config.yaml would stop Flink 2 only.
	if standardErr != nil {
		legacy.Warnings = append(legacy.Warnings, fmt.Sprintf("%s is used; %v", legacy.Path, standardErr))
	} else if differ := differences(legacy.Values, standard.Values); len(differ) > 0 {
		legacy.Warnings = append(legacy.Warnings, fmt.Sprintf(
			"both %s and %s exist in %s and differ in %s: the first is used, as Flink 1.19 and 1.20 do, while Flink 2 reads the second; remove one",
			legacyName, standardName, dir, strings.Join(differ, ", ")))
	}
	return legacy, nil
}

// Parse reads a configuration file from memory, by the rules for its name: that
// of flink-conf.yaml, else those of config.yaml. An error names file and line.
func Parse(path string, raw []byte) (File, error) {
	if filepath.Base(path) == legacyName {
		return parseLegacy(path, raw)
	}
	return parseStandard(path, raw)
}

func read(path string, parse func(path string, raw []byte) (File, error)) (File, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return File{}, fmt.Errorf("load Flink's configuration: %w", err)
	}
	return parse(path, raw)
}

// differences lists the keys this program uses on which two files disagree.
func differences(a, b map[string]Value) []string {
	var keys []string
	for _, key := range usedKeys {
		if a[key].Text != b[key].Text {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// parseLegacy reads flink-conf.yaml by the rules of GlobalConfiguration in Flink
// 1.18, which are not YAML's: one "key: value" a line, cut at the first '#' and at
// the first colon that a blank follows; anything else is skipped with a warning,
// and of several lines with one key the last counts.
func parseLegacy(path string, raw []byte) (File, error) {
	f := File{Path: path, Values: make(map[string]Value)}
	number := 0
	for line := range strings.Lines(string(raw)) {
		number++
		text, _, _ := strings.Cut(line, "#")
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		key, value, found := strings.Cut(text, ": ")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if !found || key == "" || value == "" {
			// The value of such a line may be a secret: only its number is told.
			f.warn("%s:%d: not \"key: value\", ignored as Flink does", path, number)
			continue
		}
		if earlier, ok := f.Values[key]; ok {
			f.warn("%s:%d: key %s was already set at %s, the last line counts", path, number, key, earlier.From)
		}
		f.Values[key] = Value{Text: value, From: path + ":" + strconv.Itoa(number)}
	}
	return f, nil
}

func (f *File) warn(format string, args ...any) {
	f.Warnings = append(f.Warnings, fmt.Sprintf(format, args...))
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// settings are what the environment asks for.
type settings struct {
	kills, jvms int
	out         string
}

// parseSettings reads the environment. An error names the variable and says what
// it may be.
func parseSettings(getenv func(string) string) (settings, error) {
	s := settings{kills: 200, jvms: 10}
	for _, count := range []struct {
		name string
		into *int
	}{{"KILLS", &s.kills}, {"JVMS", &s.jvms}} {
		text := getenv(count.name)
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > 10000 {
			return s, fmt.Errorf("%s is %q: give a number of kills, 0 to 10000", count.name, text)
		}
		*count.into = n
	}
	if s.out = getenv("OUT"); s.out != "" {
		if info, err := os.Stat(filepath.Dir(s.out)); err != nil || !info.IsDir() {
			return s, fmt.Errorf("OUT is %q: its folder is not there", s.out)
		}
	}
	return s, nil
}

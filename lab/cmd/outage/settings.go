package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// settings are what the environment asks for.
type settings struct {
	kinds, leaders, sides []string
	samples               int
	out                   string
}

// parseSettings reads the environment. An error names the variable and says what
// it may be.
func parseSettings(getenv func(string) string) (s settings, err error) {
	var names []string
	for _, k := range kinds {
		names = append(names, k.name)
	}
	for _, list := range []struct {
		name string
		all  []string
		into *[]string
	}{
		{"KINDS", names, &s.kinds}, {"LEADER", []string{"alive", "killed"}, &s.leaders}, {"SIDE", []string{"plain", "sidecar"}, &s.sides},
	} {
		*list.into = list.all
		text := getenv(list.name)
		if text == "" {
			continue
		}
		*list.into = strings.Split(text, ",")
		for _, one := range *list.into {
			if !slices.Contains(list.all, one) {
				return s, fmt.Errorf("%s has %q: give some of %s, with commas", list.name, one, strings.Join(list.all, ","))
			}
		}
	}
	s.samples = 1
	if v := getenv("SAMPLES"); v != "" {
		if s.samples, err = strconv.Atoi(v); err != nil || s.samples < 1 || s.samples > 100 {
			return s, fmt.Errorf("SAMPLES is %q: give a number from 1 to 100", v)
		}
	}
	if s.out = getenv("OUT"); s.out != "" {
		if info, err := os.Stat(filepath.Dir(s.out)); err != nil || !info.IsDir() {
			return s, fmt.Errorf("OUT is %q: its folder is not there", s.out)
		}
	}
	return s, nil
}

// cells are those that were asked for.
func (s settings) cells() []cell {
	return slices.DeleteFunc(allCells(), func(c cell) bool {
		return !slices.Contains(s.kinds, c.Kind) || !slices.Contains(s.leaders, c.leader()) || !slices.Contains(s.sides, c.side())
	})
}

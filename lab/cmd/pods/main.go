// Command pods measures what the sidecar is worth in real pods: each scenario with
// plain Flink and with sidecars, on one Kubernetes node that it starts, medians of
// SAMPLES (5). SCENARIOS names some of them, as in "killed rolling"; KILLS (30) is
// for the kubelet's word. OUT names a file that gets the tables. It needs root and
// containerd, and exits with 2 if a setting is wrong.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"flink-ha-sidecar/lab"
)

func main() {
	os.Exit(lab.Program("pods", os.Stdout, func(ctx context.Context) error { return run(ctx, os.Getenv, os.Stdout) }))
}

type settings struct {
	samples, kills int
	scenarios      []scenario
	out            string
}

func parseSettings(getenv func(string) string) (s settings, err error) {
	for _, number := range []struct {
		name string
		into *int
		otherwise,
		most int
	}{{"SAMPLES", &s.samples, 5, 100}, {"KILLS", &s.kills, 30, 1000}} {
		*number.into = number.otherwise
		if v := getenv(number.name); v != "" {
			if *number.into, err = strconv.Atoi(v); err != nil || *number.into < 1 || *number.into > number.most {
				return s, fmt.Errorf("%s is %q: give a number from 1 to %d", number.name, v, number.most)
			}
		}
	}
	s.scenarios = scenarios
	if v := getenv("SCENARIOS"); v != "" {
		s.scenarios = nil
		for _, name := range strings.Fields(v) {
			i := slices.IndexFunc(scenarios, func(k scenario) bool { return k.name == name })
			if i < 0 {
				return s, fmt.Errorf("SCENARIOS has %q: give some of %s", name, strings.Join(names(), " "))
			}
			s.scenarios = append(s.scenarios, scenarios[i])
		}
	}
	if s.out = getenv("OUT"); s.out != "" {
		if info, err := os.Stat(filepath.Dir(s.out)); err != nil || !info.IsDir() {
			return s, fmt.Errorf("OUT is %q: its folder is not there", s.out)
		}
	}
	return s, nil
}

func names() []string {
	var all []string
	for _, s := range scenarios {
		all = append(all, s.name)
	}
	return all
}

func run(ctx context.Context, getenv func(string) string, w io.Writer) (err error) {
	s, err := parseSettings(getenv)
	if err != nil {
		return lab.BadSetting{Err: err}
	}
	if err := lab.CheckNodeNeeds(); err != nil {
		return err
	}
	bench, err := lab.OpenBench(ctx, lab.NewProgress(w), lab.BenchOptions{Name: "pods", Flink: "2.3", NoControlPlane: true})
	if err != nil {
		return err
	}
	defer func() { bench.Close(ctx, err) }()
	archive := filepath.Join(bench.Dir, "sidecar.tar")
	if _, err := lab.BuildSidecarImage(ctx, lab.SidecarImage, "pods", runtime.GOARCH, archive); err != nil {
		return err
	}
	node, err := lab.StartNode(ctx, bench.Cache, archive)
	if err != nil {
		return err
	}
	defer func() { node.Stop(err != nil && ctx.Err() == nil) }()
	var tables bytes.Buffer
	for _, k := range s.scenarios {
		m := &measurement{settings: s, bench: bench, node: node}
		text, err := m.measure(ctx, k)
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		fmt.Fprint(io.MultiWriter(w, &tables), text)
	}
	if s.out == "" {
		return nil
	}
	if err := os.WriteFile(s.out, tables.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write tables: %w", err)
	}
	return nil
}

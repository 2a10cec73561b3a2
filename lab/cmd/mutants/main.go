// Command mutants breaks the safety rules one at a time in a copy of the source
// and shows that a named test fails for each. A rule that no test misses is not
// tested.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"flink-ha-sidecar/lab"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	root, err := lab.ModuleRoot()
	if err != nil {
		return err
	}
	copied, err := os.MkdirTemp("", "flink-ha-mutants-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(copied) // a temporary folder
	if err := copySource(ctx, root, copied); err != nil {
		return err
	}
	survivors := 0
	for _, m := range mutants {
		verdict, err := m.try(ctx, copied)
		if err != nil {
			return fmt.Errorf("%s: %w", m.rule, err)
		}
		if verdict != killed {
			survivors++
		}
		fmt.Printf("%-10s %-42s %s %s\n", verdict, m.rule, m.pkg, m.test)
	}
	fmt.Printf("%d passed, %d failed\n", len(mutants)-survivors, survivors)
	if survivors > 0 {
		return fmt.Errorf("%d of %d broken rules were not noticed", survivors, len(mutants))
	}
	return nil
}

// copySource copies what git knows of, and what it does not ignore.
func copySource(ctx context.Context, from, to string) error {
	list := exec.CommandContext(ctx, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = from
	out, err := list.Output()
	if err != nil {
		return fmt.Errorf("list source files: %w", err)
	}
	for _, name := range strings.Split(strings.Trim(string(out), "\x00"), "\x00") {
		raw, err := os.ReadFile(filepath.Join(from, name))
		if os.IsNotExist(err) {
			continue // deleted and not committed
		}
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, name), raw, 0o644); err != nil {
			return err
		}
	}
	return nil
}

type verdict string

const (
	killed   verdict = "killed"
	survived verdict = "SURVIVED"
	unsound  verdict = "UNSOUND"
)

// mutant is one rule broken on purpose.
type mutant struct {
	rule     string
	file     string
	old, new string
	pkg      string
	test     string
}

// try runs the named test on the whole code, where it must pass, and on the
// broken one, where it must fail.
func (m mutant) try(ctx context.Context, root string) (verdict, error) {
	file := filepath.Join(root, m.file)
	whole, err := os.ReadFile(file)
	if err != nil {
		return unsound, err
	}
	if n := bytes.Count(whole, []byte(m.old)); n != 1 {
		return unsound, fmt.Errorf("%s holds the text to be changed %d times, want once: %q", m.file, n, m.old)
	}
	if out, err := m.runTest(ctx, root); err != nil {
		return unsound, fmt.Errorf("%s fails on the whole code: %w\n%s", m.test, err, out)
	}
	broken := bytes.Replace(whole, []byte(m.old), []byte(m.new), 1)
	if err := os.WriteFile(file, broken, 0o644); err != nil {
		return unsound, err
	}
	out, testErr := m.runTest(ctx, root)
	if err := os.WriteFile(file, whole, 0o644); err != nil {
		return unsound, err
	}
	switch {
	case ctx.Err() != nil:
		return unsound, ctx.Err()
	case testErr == nil:
		return survived, nil
	case !bytes.Contains(out, []byte("--- FAIL: ")):
		return unsound, fmt.Errorf("the broken code does not run: %s", out)
	}
	return killed, nil
}

func (m mutant) runTest(ctx context.Context, root string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	test := exec.CommandContext(ctx, "go", "test", "-count=1", "-run", "^"+strings.ReplaceAll(m.test, "/", "$/^")+"$", "./"+m.pkg)
	test.Dir = root
	out, err := test.CombinedOutput()
	if err == nil && (bytes.Contains(out, []byte("no tests to run")) || bytes.Contains(out, []byte("--- SKIP"))) {
		return out, fmt.Errorf("there is no test %s in %s", m.test, m.pkg)
	}
	return out, err
}

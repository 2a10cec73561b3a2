package lab

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

func TestOverlap(t *testing.T) {
	span := func(name string, born, gone time.Duration) Lifespan {
		return Lifespan{Name: name, Born: born, Gone: gone, Exact: true}
	}
	for name, c := range map[string]struct {
		spans []Lifespan
		found bool
	}{
		"none":                     {nil, false},
		"one after the other":      {[]Lifespan{span("b", 10, 20), span("a", 0, 10)}, false},
		"one within the other":     {[]Lifespan{span("a", 0, 10), span("b", 3, 4)}, true},
		"a long one, a third":      {[]Lifespan{span("a", 0, 10), span("b", 1, 2), span("c", 9, 12)}, true},
		"an instant":               {[]Lifespan{span("a", 0, 10), span("b", 9, 12)}, true},
		"less than is certain":     {[]Lifespan{{Born: 0, Gone: uncertain}, {Born: 1, Gone: 2}}, false},
		"more than is certain":     {[]Lifespan{{Born: 0, Gone: uncertain + 9}, {Born: 1, Gone: 2}}, true},
		"three one after the next": {[]Lifespan{span("a", 0, 1), span("b", 1, 2), span("c", 2, 3)}, false},
	} {
		if a, b, found := Overlap(c.spans); found != c.found {
			t.Errorf("%s: %v %v %t", name, a, b, found)
		}
	}
}

// TestLifespans watches two processes, of which one ends while the other is there.
func TestLifespans(t *testing.T) {
	dir := t.TempDir()
	watch := WatchLifespans(map[string][]string{"one": {filepath.Join(dir, "one")}, "two": {filepath.Join(dir, "two")}})
	run := func(name string) *exec.Cmd {
		// Before its exec it is this program, which has no such argument.
		cmd := exec.Command("sh", "-c", "read line", filepath.Join(dir, name))
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { in.Close() })
		return cmd
	}
	live := func(n int) func() bool { return func() bool { _, live := watch.Seen(); return live == n } }
	begun := boottime()
	one := run("one")
	awaitCondition(t, live(1))
	two := run("two")
	awaitCondition(t, live(2))
	for left, cmd := range []*exec.Cmd{two, one} {
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // killed
		awaitCondition(t, live(1-left))
	}
	spans, _ := watch.Seen()
	if err := watch.Stop(); err != nil {
		t.Fatal(err)
	}
	if len(spans) != 2 || spans[0].Name != "one" || spans[1].Name != "two" {
		t.Fatalf("%+v", spans)
	}
	for _, s := range spans {
		if s.Born < begun-10*time.Millisecond || s.Gone > boottime() || s.Gone <= s.Born {
			t.Errorf("%+v, of a test that began at %v", s, begun)
		}
		t.Logf("%+v", s)
	}
	if _, _, found := Overlap(spans); !found {
		t.Error("their lifespans have no instant in common")
	}
}

func awaitCondition(t *testing.T, done func() bool) {
	t.Helper()
	for begun := time.Now(); !done(); time.Sleep(time.Millisecond) {
		if time.Since(begun) > 10*time.Second {
			t.Fatal("waited 10 s")
		}
	}
}

package lab

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// testMachine makes a machine, or skips the test where there can be none.
func testMachine(t *testing.T) *machine {
	t.Helper()
	dir := pauseIn(t)
	m, err := newMachine(t.Context(), dir, filepath.Join(dir, "pause"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.stop)
	return m
}

// pauseIn makes a folder with the first process of a machine.
func pauseIn(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("needs real parts, which -short leaves out")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes namespaces")
	}
	root, err := ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := goBuildStatic(t.Context(), root, filepath.Join(dir, "pause"), "./lab/cmd/pause"); err != nil {
		t.Fatal(err)
	}
	return dir
}

// leaveMachine is the program of a test that makes a machine, starts something on
// it that has no parent any more, and then waits to be killed.
func leaveMachine(dir string) {
	m, err := newMachine(context.Background(), dir, filepath.Join(dir, "pause"))
	if err == nil {
		err = m.site.run(context.Background(), "sh", "-c", `setsid sleep 1000 > /dev/null 2>&1 &`)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	link, _ := os.Readlink(m.namespace("pid", 0).path)
	fmt.Println(link)
	select {}
}

func TestIntegrationMachineHasANetworkOfItsOwn(t *testing.T) {
	m := testMachine(t)
	if _, err := net.InterfaceByName(bridge); err == nil {
		t.Errorf("this machine has an interface %s", bridge)
	}
	links, err := m.master.output(t.Context(), "ip", "-o", "link")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(links, bridge) || !strings.Contains(links, "eth0") {
		t.Errorf("the control plane's host has the links\n%s", links)
	}
	// Nobody listens there: only who reaches the host is refused by it.
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err = m.site.dial(ctx, "tcp", net.JoinHostPort(clusterIP, "443"))
	if err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("dial the control plane from the node: %v, want a refusal", err)
	}
}

func TestIntegrationMachineTakesEverythingWithIt(t *testing.T) {
	m := testMachine(t)
	dir := t.TempDir()
	for _, s := range []*site{m.site, m.master} {
		// A child that has nothing to do with the one that started it any more.
		if err := s.run(t.Context(), "sh", "-c", `setsid sleep 1000 > /dev/null 2>&1 & echo $! > "$1/pid"`, "sh", dir); err != nil {
			t.Fatal(err)
		}
	}
	inside, err := m.site.output(t.Context(), "ps", "-e", "-o", "comm")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(inside, "sleep"); n != 2 {
		t.Fatalf("%d of 2 children run:\n%s", n, inside)
	}
	if strings.Contains(inside, "lab.test") {
		t.Errorf("the machine sees this one's processes:\n%s", inside)
	}
	namespaces, err := os.Readlink(m.namespace("pid", 0).path)
	if err != nil {
		t.Fatal(err)
	}
	m.stop()
	if left := processesOf(namespaces); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

// processesOf lists the processes of a PID namespace.
func processesOf(namespace string) []string {
	var found []string
	links, _ := filepath.Glob("/proc/[0-9]*/ns/pid")
	for _, link := range links {
		if ns, err := os.Readlink(link); err == nil && ns == namespace {
			found = append(found, link)
		}
	}
	return found
}

func TestIntegrationMachineDiesWithItsProgram(t *testing.T) {
	dir := pauseIn(t)
	program := exec.CommandContext(t.Context(), os.Args[0])
	program.Env = append(os.Environ(), "LAB_TEST_MACHINE="+dir)
	out, err := program.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	namespace := strings.TrimSpace(line)
	if err != nil || len(processesOf(namespace)) < 2 {
		t.Errorf("the program says %q (%v), its machine has the processes %q", line, err, processesOf(namespace))
	}
	if err := program.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = program.Wait()
	until(t, "the machine to be gone", func() bool { return len(processesOf(namespace)) == 0 })
}

// A killed run leaves its folder and its cgroup; the next one removes them, and
// leaves alone what somebody still uses.
func TestIntegrationLeftoversAreRemoved(t *testing.T) {
	if os.Geteuid() != 0 || testing.Short() {
		t.Skip("needs root, and cgroups that it may make")
	}
	t.Setenv("TMPDIR", t.TempDir())
	make := func() (dir string, c cgroups) {
		dir, err := os.MkdirTemp("", nodePrefix)
		if err == nil {
			c, err = makeCgroups("/" + filepath.Base(dir))
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.remove() })
		return dir, c
	}
	dead, deadGroups := make()
	for _, root := range hierarchies() {
		if err := os.Mkdir(filepath.Join(root+deadGroups.name, "pod"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	used, usedGroups := make()
	lock, err := lockNode(used)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	removeLeftovers()
	for _, root := range hierarchies() {
		if path := root + deadGroups.name; present(path) {
			t.Errorf("%s is left", path)
		}
		if path := root + usedGroups.name; !present(path) {
			t.Errorf("%s is gone, its node is in use", path)
		}
	}
	if present(dead) || !present(used) {
		t.Errorf("the dead node's folder is there: %v; that of the one in use: %v", present(dead), present(used))
	}
}

package lab

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// testMachine makes a machine, or skips the test where there can be none.
func testMachine(t *testing.T) *machine {
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
	pause := filepath.Join(dir, "pause")
	if err := goBuildStatic(t.Context(), root, pause, "./lab/cmd/pause"); err != nil {
		t.Fatal(err)
	}
	m, err := newMachine(t.Context(), dir, pause)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.stop)
	return m
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
	left, _ := filepath.Glob("/proc/[0-9]*/ns/pid")
	for _, link := range left {
		if ns, err := os.Readlink(link); err == nil && ns == namespaces {
			t.Errorf("%s is left", link)
		}
	}
}

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	discovery "k8s.io/client-go/kubernetes/typed/discovery/v1"

	"flink-ha-sidecar/lab"
	"flink-ha-sidecar/lab/labtest"
)

// leaderDocument is what each source tells, as far as they can agree.
type leaderDocument struct {
	Session string `json:"session"`
	RESTURL string `json:"rest_url"`
	RPCHost string `json:"rpc_host"`
	Epoch   struct {
		Generation string `json:"generation"`
		Counter    uint64 `json:"counter"`
	} `json:"epoch"`
}

func TestSlowIntegrationAllSourcesAgreeAfterTenFailovers(t *testing.T) {
	slow(t)
	agreeAfter(t, 10)
}

// agreeAfter kills the leader again and again. After each failover everybody who
// tells of the leader tells of the same one, and nobody has gone back.
func agreeAfter(t *testing.T, failovers int) {
	p := shared(t)
	o := lease(p.flink(t, "2.3"), 60*time.Second)
	o.SidecarKubeConfig = natted(t, p)
	c := start(t, o)
	leader := ready(t, c)
	for _, source := range []string{"sidecar", "watch"} {
		args := append([]string{"follow", "--wait", "--timeout", "1m"}, sourceOf(source, c, p.kubeConfig)...)
		if out, err := exec.CommandContext(t.Context(), p.sidecar, args...).CombinedOutput(); err != nil {
			t.Errorf("follow --wait from %s: %v: %s", source, err, out)
		}
	}
	f := startFollowers(t, p, c)
	mustAgree(t, p, c, leader, f)
	for n := range failovers {
		begun := time.Now()
		signal(t, leader, syscall.SIGKILL)
		next := standbyOf(t, c, leader)
		eventually(t, next.Name+" leads", func() bool { return c.LeaderNow() == next })
		mustAgree(t, p, c, next, f)
		t.Logf("failover %d: all agree %v after the kill", n+1, time.Since(begun).Round(time.Millisecond))
		again(t, c, leader)
		leader = next
		labtest.Ready(t, c)
		mustAgree(t, p, c, leader, f)
	}
	for _, one := range f {
		one.mustOnlyGoForward(t)
	}
}

// again starts a killed JobManager beside a sidecar that remembers nothing, as in a
// new pod.
func again(t *testing.T, c *lab.Cluster, j *lab.JobManager) {
	t.Helper()
	s := c.SidecarOf(j)
	s.Kill()
	if err := os.RemoveAll(s.StateDir); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if err := j.Start(); err != nil {
		t.Fatal(err)
	}
}

// mustAgree waits until ConfigMap, EndpointSlice, both sidecars, "flink-ha leader",
// the followers and the leader's own REST tell the same, and says who does not.
func mustAgree(t *testing.T, p *parts, c *lab.Cluster, leader *lab.JobManager, followers []*follower) {
	t.Helper()
	want := "http://" + leader.Address + ":8081"
	var dissent []string
	defer func() {
		if t.Failed() {
			t.Logf("want %s of all; %s", want, strings.Join(dissent, "; "))
		}
	}()
	eventually(t, "all tell of "+leader.Name, func() bool {
		dissent = nil
		hold := func(who, got string) {
			if got != want {
				dissent = append(dissent, fmt.Sprintf("%s: %q", who, got))
			}
		}
		data, address := publishedBy(t, p, c)
		hold("ConfigMap", data["rest-url"])
		hold("EndpointSlice", address)
		for _, s := range c.Sidecars {
			hold(s.Name+" /v1/leader", askLeader(t, s).RESTURL)
			hold(s.Name+" flink-ha leader", runLeader(t, p, s))
		}
		for _, f := range followers {
			hold("follow "+f.name, f.last(t).RESTURL)
		}
		if data["rpc-host"] != leader.Address {
			dissent = append(dissent, "ConfigMap: rpc-host "+data["rpc-host"])
		}
		if own := ownAddress(t, want); own != leader.Address {
			dissent = append(dissent, fmt.Sprintf("the leader's own REST says that it is %q", own))
		}
		return len(dissent) == 0
	})
}

// publishedBy returns the ConfigMap's data and the slice's address, as a URL in the
// lab's network.
func publishedBy(t *testing.T, p *parts, c *lab.Cluster) (map[string]string, string) {
	t.Helper()
	name := c.Settings.ClusterID + "-ha-leader"
	maps, err := p.control.ConfigMaps("default")
	if err != nil {
		t.Fatal(err)
	}
	slices, err := discovery.NewForConfig(p.control.Config())
	if err != nil {
		t.Fatal(err)
	}
	var data map[string]string
	if cm, err := maps.Get(t.Context(), name, metav1.GetOptions{}); err == nil {
		data = cm.Data
	}
	s, err := slices.EndpointSlices("default").Get(t.Context(), name, metav1.GetOptions{})
	if err != nil || len(s.Endpoints) != 1 || len(s.Ports) != 1 {
		return data, ""
	}
	address := labNetwork + strings.TrimPrefix(s.Endpoints[0].Addresses[0], shownNetwork)
	return data, fmt.Sprintf("http://%s:%d", address, *s.Ports[0].Port)
}

func askLeader(t *testing.T, s *lab.Sidecar) (d leaderDocument) {
	t.Helper()
	if code, text := ask(t, s.URL()+"/v1/leader"); code == http.StatusOK {
		if err := json.Unmarshal([]byte(text), &d); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func runLeader(t *testing.T, p *parts, s *lab.Sidecar) string {
	t.Helper()
	var exit *exec.ExitError
	out, err := exec.CommandContext(t.Context(), p.sidecar, "leader", "-o", "url", "--address", s.Listen).Output()
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// ownAddress is what the JobManager that answers at url has in its configuration.
func ownAddress(t *testing.T, url string) string {
	t.Helper()
	code, text := ask(t, url+"/jobmanager/config")
	if code != http.StatusOK {
		return ""
	}
	var settings []struct{ Key, Value string }
	if err := json.Unmarshal([]byte(text), &settings); err != nil {
		t.Fatal(err)
	}
	for _, s := range settings {
		if s.Key == "jobmanager.rpc.address" {
			return s.Value
		}
	}
	return ""
}

// follower is one "flink-ha follow", with its lines in a file.
type follower struct{ name, lines string }

// startFollowers starts one for each source, and one that keeps a file.
func startFollowers(t *testing.T, p *parts, c *lab.Cluster) []*follower {
	t.Helper()
	sidecars := c.Sidecars[0].Listen + "," + c.Sidecars[1].Listen
	object := []string{"--cluster-id", c.Settings.ClusterID, "--namespace", "default", "--kubeconfig", p.kubeConfig}
	var all []*follower
	for name, args := range map[string][]string{
		"watch": append([]string{"--source", "watch"}, object...), "poll": append([]string{"--source", "poll", "--interval", "200ms"}, object...),
		"sidecar": {"--sidecars", sidecars},
	} {
		f := &follower{name: name, lines: filepath.Join(t.TempDir(), name+".jsonl")}
		out, err := os.Create(f.lines)
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		cmd := exec.Command(p.sidecar, append([]string{"follow"}, args...)...)
		cmd.Stdout, cmd.Stderr = out, &log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Signal(syscall.SIGTERM)
			if err := cmd.Wait(); err != nil || bytes.Contains(log.Bytes(), []byte("DATA RACE")) {
				t.Errorf("follow %s ended with %v:\n%s", name, err, log.String())
			}
			out.Close()
		})
		all = append(all, f)
	}
	return all
}

// told returns every line; an empty one is the zero document.
func (f *follower) told(t *testing.T) []leaderDocument {
	t.Helper()
	var all []leaderDocument
	for line := range strings.Lines(labtest.Read(t, f.lines)) {
		var d leaderDocument
		if !strings.HasSuffix(line, "\n") {
			break // still being written
		}
		if line != "\n" {
			if err := json.Unmarshal([]byte(line), &d); err != nil {
				t.Fatalf("follow %s wrote %q: %v", f.name, line, err)
			}
		}
		all = append(all, d)
	}
	return all
}

func (f *follower) last(t *testing.T) leaderDocument {
	t.Helper()
	all := f.told(t)
	if len(all) == 0 {
		return leaderDocument{}
	}
	return all[len(all)-1]
}

// mustOnlyGoForward fails the test if an older epoch was told after a newer one, or
// a session that had been left.
func (f *follower) mustOnlyGoForward(t *testing.T) {
	t.Helper()
	var newest leaderDocument
	left := map[string]bool{}
	leaders := 0
	for _, d := range f.told(t) {
		if d.RESTURL == "" {
			continue
		}
		if d.Session != newest.Session {
			leaders++
			left[newest.Session] = true
		}
		if left[d.Session] || d.Epoch.Counter < newest.Epoch.Counter {
			t.Errorf("follow %s told of %+v after %+v", f.name, d, newest)
		}
		newest = d
	}
	t.Logf("follow %s was told of %d leaders in %d lines", f.name, leaders, len(f.told(t)))
}

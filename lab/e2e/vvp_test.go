package e2e

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typed "k8s.io/client-go/kubernetes/typed/core/v1"

	"flink-ha-sidecar/lab"
	"flink-ha-sidecar/lab/labtest"
	"flink-ha-sidecar/leader/vvp"
)

// election is a cluster of vvp-kubernetes with stand-ins, each sidecar with a way of its
// own to the API server, and an observer that takes nobody's word.
type election struct {
	*lab.GatedCluster
	t       *testing.T
	proxies []*lab.Proxy
	spans   *lab.Lifespans
	locks   typed.ConfigMapInterface
}

// quick are timings with which a test need not wait for long: 5 s of lease leave 4 s
// until SIGKILL.
var quick = []string{"--vvp-lease-duration", "5s", "--vvp-renew-deadline", "2500ms", "--vvp-retry-period", "300ms", "--vvp-kill-time", "500ms"}

// startElection starts a cluster; binaries are the sidecars', as clocks are their
// clocks (empty: this machine's).
func startElection(t *testing.T, timings []string, binary string, clocks ...string) *election {
	t.Helper()
	e := newElection(t, timings, binary, clocks...)
	if err := e.Start(); err != nil {
		t.Fatal(err)
	}
	return e
}

func newElection(t *testing.T, timings []string, binary string, clocks ...string) *election {
	t.Helper()
	return electionOf(t, nil, timings, binary, clocks...)
}

// electionOf is one of real Flink, or of stand-ins if flink is nil.
func electionOf(t *testing.T, flink *lab.Flink, timings []string, binary string, clocks ...string) *election {
	t.Helper()
	p := shared(t)
	dir := filepath.Join(labtest.Dir(t), "cluster")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	e := &election{t: t}
	var err error
	if e.locks, err = p.control.ConfigMaps("default"); err != nil {
		t.Fatal(err)
	}
	e.GatedCluster, err = lab.NewGatedCluster(lab.GatedOptions{
		Flink: flink, Binary: p.sidecar, Dir: dir,
		Sidecar: func(_ *lab.GatedCluster, pod *lab.GatedPod) (*lab.Sidecar, error) {
			kubeConfig := e.throughProxy(p, filepath.Join(dir, pod.Name+"-kubeconfig"))
			s := pod.NewSidecar(binary, kubeConfig, timings...)
			if n := len(e.proxies) - 1; n < len(clocks) && clocks[n] != "" {
				s.Env = []string{"FLINK_HA_LAB_CLOCK=" + clocks[n]}
			}
			return s, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	e.spans = lab.WatchLifespans(e.Marks())
	t.Cleanup(e.end)
	return e
}

// throughProxy writes a kubeconfig for a proxy in front of the API server.
func (e *election) throughProxy(p *parts, file string) string {
	e.t.Helper()
	server, err := url.Parse(p.control.URL())
	if err != nil {
		e.t.Fatal(err)
	}
	proxy, err := lab.StartProxy(server.Hostname(), server.Host)
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(proxy.Close)
	e.proxies = append(e.proxies, proxy)
	content := strings.ReplaceAll(labtest.Read(e.t, p.kubeConfig), server.Host, proxy.Address())
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		e.t.Fatal(err)
	}
	return file
}

// end stops all and holds what was observed against the promise.
func (e *election) end() {
	e.Stop()
	e.none()
	spans, _ := e.spans.Seen()
	if err := e.spans.Stop(); err != nil {
		e.t.Error(err)
	}
	if a, b, found := lab.Overlap(spans); found {
		e.t.Errorf("two JobManagers at one instant: %+v and %+v", a, b)
	}
	e.t.Logf("%d JobManagers observed, fork to exit", len(spans))
	for _, s := range e.Sidecars {
		checkLog(e.t, s.Log())
	}
}

// none waits until no JobManager is observed any more.
func (e *election) none() {
	e.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		if _, live := e.spans.Seen(); live == 0 {
			return
		}
		if time.Now().After(deadline) {
			e.t.Errorf("a JobManager still lives")
			return
		}
		time.Sleep(10 * time.Millisecond) // the test's context may be over
	}
}

// leads waits until a JobManager runs, and returns its pod's index.
func (e *election) leads() int {
	e.t.Helper()
	n := -1
	eventually(e.t, "a JobManager runs", func() bool {
		leader, err := e.Leader()
		if err != nil {
			e.t.Fatal(err)
		}
		for i, p := range e.Pods {
			if p == leader {
				n = i
			}
		}
		return n >= 0
	})
	return n
}

// bound waits until the leader's sidecar would free its lock.
func (e *election) bound() int {
	e.t.Helper()
	n := e.leads()
	eventually(e.t, "the lock is bound to it", func() bool { return metric(e.t, e.Sidecars[n], "flink_ha_jobmanager_leading") == 1 })
	return n
}

// next waits until the JobManager of pod n runs, and returns how long that took.
func (e *election) next(n int, since time.Time) time.Duration {
	e.t.Helper()
	eventually(e.t, e.Pods[n].Name+" leads", func() bool {
		_, pid, err := e.Pods[n].Processes()
		if err != nil {
			e.t.Fatal(err)
		}
		return pid != 0
	})
	return time.Since(since)
}

// lock reads the lock's object.
func (e *election) lock() *corev1.ConfigMap {
	e.t.Helper()
	cm, err := e.locks.Get(e.t.Context(), vvp.ConfigMapName(e.Settings.ClusterID), metav1.GetOptions{})
	if err != nil {
		e.t.Fatal(err)
	}
	return cm
}

// edit writes the record as a person would.
func (e *election) edit(change func(string) string) {
	e.t.Helper()
	cm := e.lock()
	cm.Data["lock.json"] = change(cm.Data["lock.json"])
	cm.ResourceVersion = "" // whatever stands there
	if _, err := e.locks.Update(e.t.Context(), cm, metav1.UpdateOptions{}); err != nil {
		e.t.Fatal(err)
	}
}

func TestVVPLockOfADeadJobManagerIsFreedAtOnce(t *testing.T) {
	t.Parallel()
	p := shared(t)
	e := startElection(t, []string{"--vvp-retry-period", "300ms"}, p.sidecar) // the lease is 15 s
	n := e.bound()
	if _, document := ask(t, e.Sidecars[n].URL()+"/v1/status"); !strings.Contains(document, "vvp-kubernetes is deprecated") {
		t.Errorf("the status does not say that it is deprecated:\n%s", document)
	}
	if err := e.Pods[n].KillJobManager(); err != nil {
		t.Fatal(err)
	}
	took := e.next(1-n, time.Now())
	t.Logf("the other pod's JobManager runs %v after the kill, by a lease of 15 s", took.Round(time.Millisecond))
	if took > 10*time.Second {
		t.Errorf("it took %v: the lease ran out", took)
	}
	awaitSaid(t, e.Sidecars[n], msgFreed)
}

func TestVVPPodThatDiesUnseenIsFollowedByTheNext(t *testing.T) {
	t.Parallel()
	p := shared(t)
	e := startElection(t, quick, p.sidecar)
	n := e.bound()
	if err := e.Pods[n].KillContainer(); err != nil {
		t.Fatal(err)
	}
	e.Sidecars[n].Kill()
	t.Logf("next after %v, by a lease of 5 s", e.next(1-n, time.Now()).Round(time.Millisecond))
}

func TestVVPStoppedSidecarsJobManagerIsGoneBeforeItsLease(t *testing.T) {
	t.Parallel()
	p := shared(t)
	e := startElection(t, quick, p.sidecar)
	n := e.bound()
	at := signal(t, e.Sidecars[n], syscall.SIGSTOP)
	t.Logf("next after %v", e.next(1-n, at).Round(time.Millisecond))
	signal(t, e.Sidecars[n], syscall.SIGCONT)
	awaitSaid(t, e.Sidecars[n], "tenure over")
	eventually(t, "it stands by", func() bool { code, _ := probe(t, e.Sidecars[n], "/standby"); return code == 200 })
	if leader := e.leads(); leader != 1-n {
		t.Errorf("%s leads", e.Pods[leader].Name)
	}
}

func TestVVPRestartedSidecarTakesItsTenureUp(t *testing.T) {
	t.Parallel()
	p := shared(t)
	e := startElection(t, []string{"--vvp-retry-period", "300ms"}, p.sidecar)
	n := e.bound()
	before := e.lock().Data["lock.json"]
	_, pid, _ := e.Pods[n].Processes()
	e.Sidecars[n].Kill()
	if err := e.Sidecars[n].Start(); err != nil {
		t.Fatal(err)
	}
	awaitSaid(t, e.Sidecars[n], "tenure of the sidecar before this one taken up")
	eventually(t, "it is bound again", func() bool { return metric(t, e.Sidecars[n], "flink_ha_jobmanager_leading") == 1 })
	if _, again, _ := e.Pods[n].Processes(); again != pid {
		t.Errorf("the JobManager was PID %d and is PID %d", pid, again)
	}
	counter := func(text string) string {
		return text[strings.Index(text, `"counter"`):strings.Index(text, `,"renewals"`)]
	}
	if after := e.lock().Data["lock.json"]; counter(after) != counter(before) {
		t.Errorf("the lock went from %s to %s", before, after)
	}
	if err := e.Pods[n].KillJobManager(); err != nil {
		t.Fatal(err)
	}
	t.Logf("then freed: next after %v, by a lease of 15 s", e.next(1-n, time.Now()).Round(time.Millisecond))
	awaitSaid(t, e.Sidecars[n], msgFreed)
}

func TestVVPHolderAloneCannotReachTheAPIServer(t *testing.T) {
	for name, cut := range map[string]func(*lab.Proxy, bool){
		"refused": (*lab.Proxy).Refuse, "hung": (*lab.Proxy).Freeze,
		"slow": func(x *lab.Proxy, on bool) {
			x.Delay(map[bool]time.Duration{true: 5 * time.Second}[on])
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := shared(t)
			e := startElection(t, quick, p.sidecar)
			n := e.bound()
			at := time.Now()
			cut(e.proxies[n], true)
			t.Logf("next after %v", e.next(1-n, at).Round(time.Millisecond))
			cut(e.proxies[n], false)
			eventually(t, "it stands by", func() bool { code, _ := probe(t, e.Sidecars[n], "/standby"); return code == 200 })
		})
	}
}

func TestVVPNobodyCanReachTheAPIServer(t *testing.T) {
	t.Parallel()
	p := shared(t)
	e := startElection(t, quick, p.sidecar)
	e.bound()
	for _, x := range e.proxies {
		x.Refuse(true)
	}
	e.none()
	at := time.Now()
	for _, x := range e.proxies {
		x.Refuse(false)
	}
	e.leads()
	t.Logf("a JobManager runs %v after the outage", time.Since(at).Round(time.Millisecond))
}

func TestVVPLockEditedByHand(t *testing.T) {
	for name, change := range map[string]func(string) string{
		"corrupt": func(string) string { return "{" },
		"holder taken out": func(s string) string {
			_, rest, _ := strings.Cut(s, `,"counter"`)
			return `{"format":1,"holder":"","counter"` + rest
		},
		"emptied": func(string) string { return "" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := shared(t)
			e := startElection(t, quick, p.sidecar)
			n := e.bound()
			_, pid, _ := e.Pods[n].Processes()
			e.edit(change)
			awaitSaid(t, e.Sidecars[n], "the lock was edited by hand; this pod leads, and has put it right")
			if _, again, _ := e.Pods[n].Processes(); again != pid {
				t.Errorf("the JobManager was PID %d and is PID %d", pid, again)
			}
			// And with the holder unable to put it right.
			e.proxies[n].Refuse(true)
			e.edit(change)
			awaitSaid(t, e.Sidecars[1-n], "the lock is not as sidecars write it")
			e.next(1-n, time.Now())
		})
	}
}

func TestVVPLockDeleted(t *testing.T) {
	t.Parallel()
	p := shared(t)
	e := startElection(t, quick, p.sidecar)
	e.bound()
	uid := e.lock().UID
	at := time.Now()
	if err := e.locks.Delete(t.Context(), vvp.ConfigMapName(e.Settings.ClusterID), metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	e.none()
	e.leads()
	t.Logf("a JobManager runs %v after the lock was deleted, by a lease of 5 s", time.Since(at).Round(time.Millisecond))
	if again := e.lock().UID; again == uid {
		t.Errorf("the lock still has uid %s", uid)
	}
}

// TestVVPClockThatIsOff: one sidecar's clock is a minute off and 5 % fast, or slow; its
// pod and the other one take turns in dying unseen.
func TestVVPClockThatIsOff(t *testing.T) {
	shared(t)
	skewed, err := lab.BuildSkewedSidecar(t.Context(), lab.NewProgress(os.Stderr), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, clock := range map[string]string{"fast and ahead": "1.05,60s", "slow and behind": "0.95,-60s"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := startElection(t, quick, skewed, clock)
			for range 3 {
				n := e.bound()
				signal(t, e.Sidecars[n], syscall.SIGSTOP)
				e.next(1-n, time.Now())
				signal(t, e.Sidecars[n], syscall.SIGCONT)
			}
			n := e.bound()
			if err := e.Pods[n].KillJobManager(); err != nil {
				t.Fatal(err)
			}
			e.next(1-n, time.Now())
			awaitSaid(t, e.Sidecars[n], msgFreed)
		})
	}
}

func TestVVPShutdownGivesTheLockBack(t *testing.T) {
	t.Parallel()
	p := shared(t)
	e := startElection(t, []string{"--vvp-retry-period", "300ms"}, p.sidecar)
	n := e.bound()
	at := signal(t, e.Sidecars[n], syscall.SIGTERM)
	signal(t, e.Pods[n].Gate(), syscall.SIGTERM)
	took := e.next(1-n, at)
	t.Logf("next after %v, by a lease of 15 s", took.Round(time.Millisecond))
	if took > 10*time.Second {
		t.Errorf("it took %v: the lease ran out", took)
	}
	eventually(t, "the sidecar ends", func() bool { return !e.Sidecars[n].Process().Alive() })
}

// TestVVPStartedAtOneInstant: both pods start at one instant, 100 times where there is
// time for that; after half of the rounds the lock was given back, after the others it was left as it stood.
func TestVVPStartedAtOneInstant(t *testing.T) {
	const clusters = 4
	rounds := 5
	if os.Getenv("FLINK_HA_LAB_SLOW") == "1" {
		rounds = 25
	}
	timings := []string{"--vvp-lease-duration", "3s", "--vvp-renew-deadline", "1500ms", "--vvp-retry-period", "100ms", "--vvp-kill-time", "600ms"}
	for range clusters {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			p := shared(t)
			e := newElection(t, timings, p.sidecar)
			for n := range rounds {
				if err := e.Start(); err != nil {
					t.Fatal(err)
				}
				leader := e.leads()
				if n%2 == 0 {
					signal(t, e.Pods[leader].Gate(), syscall.SIGTERM) // its lock is given back, and taken by the other
					e.leads()
				}
				for i, pod := range e.Pods {
					pod.Stop()
					e.Sidecars[i].Kill()
				}
				e.none()
			}
		})
	}
}

// TestVVPRealFlink: Flink without HA. Its leader is killed twice, the second time in a
// pause, in which the lease alone decides, by the same timings in the same run.
func TestVVPRealFlink(t *testing.T) {
	p := shared(t)
	e := electionOf(t, labtest.Flink(t, "2.3.0"), []string{"--vvp-retry-period", "1s"}, p.sidecar)
	if err := e.Start(); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	fail := func() (started, resumed time.Duration) {
		n := e.bound()
		if _, err := e.WaitForCheckpoint(ctx, time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := e.Pods[n].KillJobManager(); err != nil {
			t.Fatal(err)
		}
		at := time.Now()
		started = e.next(1-n, at)
		checkpoint, err := e.WaitForCheckpoint(ctx, at.Add(started))
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Pods[n].Gate().Wait(ctx); err == nil {
			t.Error("the gate of a JobManager that was killed ended with status 0")
		}
		if err := e.Pods[n].Start(); err != nil { // as the kubelet does
			t.Fatal(err)
		}
		return started, checkpoint.Sub(at)
	}
	started, resumed := fail()
	n := e.bound()
	if text, code := e.Sidecars[n].Command(ctx, "pause", "--for", "10m"); code != 0 {
		t.Fatal(text)
	}
	alone, resumedAlone := fail()
	t.Logf("killed to next JVM %v, to its first checkpoint %v; by the lease alone %v and %v",
		started.Round(time.Millisecond), resumed.Round(time.Millisecond), alone.Round(time.Millisecond), resumedAlone.Round(time.Millisecond))
	if alone < 10*time.Second || started > 5*time.Second {
		t.Errorf("the next one was started after %v, by the lease alone after %v", started, alone)
	}
	ticks, err := lab.ReadTicks(e.Settings.Ticks())
	if err == nil {
		err = lab.CheckTicks(ticks)
	}
	if err != nil {
		t.Error(err)
	}
	resumedFrom(t, ticks)
}

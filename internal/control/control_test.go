package control_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"flink-ha-sidecar/health"
	"flink-ha-sidecar/internal/control"
	"flink-ha-sidecar/jobmanager/pulse"
	"flink-ha-sidecar/leader"
)

// serve runs a socket until the test ends, or stop is called.
func serve(t *testing.T, path string, prepare func(*control.Server)) (stop func()) {
	t.Helper()
	s, err := control.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if prepare != nil {
		prepare(s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return stop
}

func stuckInputs(now time.Time) health.Inputs {
	us := leader.Process{PID: 7}
	return health.Inputs{
		Snapshot: &leader.Snapshot{Alive: true, Evidence: leader.Evidence{Alive: []leader.Process{us}}},
		Pulse:    pulse.Verdict{At: now, Process: us, Stuck: true, SilentSince: now.Add(-25 * time.Second), REST: pulse.Answer{Asked: true}},
	}
}

func TestCheckTellsAFreshVerdict(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	in := stuckInputs(time.Now())
	serve(t, path, func(s *control.Server) { s.HandleCheck(func() health.Inputs { return in }) })
	got, err := control.Check(t.Context(), path)
	if err != nil || !got.Stuck || got.Format != control.CheckFormat || !strings.HasPrefix(got.Reason, "stuck: ") || got.SilentMS < 25000 || got.SilentMS > 60000 {
		t.Errorf("the answer is %+v, %v", got, err)
	}
	old := filepath.Join(t.TempDir(), "s")
	stale := stuckInputs(time.Now().Add(-time.Minute))
	serve(t, old, func(s *control.Server) { s.HandleCheck(func() health.Inputs { return stale }) })
	if got, err := control.Check(t.Context(), old); err != nil || got.Stuck {
		t.Errorf("a verdict a minute old: %+v, %v", got, err)
	}
}

func TestSocketIsMadeReplacedAndRemoved(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new", "s")
	stop := serve(t, path, nil)
	if _, err := control.Listen(path); err == nil || !strings.Contains(err.Error(), "another sidecar listens there") {
		t.Errorf("a second one at the same path: %v", err)
	}
	stop()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after its end the socket is there: %v", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false) // as a sidecar that was killed
	l.Close()
	serve(t, path, nil)
	if mode := permissions(t, path); mode != 0o666 {
		t.Errorf("the socket's mode is %o", mode)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := control.Listen(file); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("at a file: %v", err)
	}
	if text, err := os.ReadFile(file); string(text) != "kept" {
		t.Errorf("the file holds %q, %v", text, err)
	}
	if _, err := control.Listen("/tmp/" + strings.Repeat("x", 120)); err == nil || !strings.Contains(err.Error(), "at most 107 bytes") {
		t.Errorf("at a long path: %v", err)
	}
}

func permissions(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func TestRequestsAreBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	serve(t, path, func(s *control.Server) {
		s.HandleOwn("POST /echo", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var b [128 << 10]byte
			n := 0
			for n < len(b) {
				got, err := r.Body.Read(b[n:])
				n += got
				if err != nil {
					break
				}
			}
			control.Answer(w, n)
		}))
	})
	var n int
	if err := control.Call(t.Context(), path, http.MethodPost, "/echo", strings.Repeat("x", 100), &n); err != nil || n != 102 {
		t.Errorf("a short request: %d bytes, %v", n, err)
	}
	if err := control.Call(t.Context(), path, http.MethodPost, "/echo", strings.Repeat("x", 100<<10), &n); err != nil || n > 64<<10 {
		t.Errorf("a long request: %d bytes were read, %v", n, err)
	}
	if err := control.Call(t.Context(), path, http.MethodGet, "/nothing", nil, nil); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("an unknown verb: %v", err)
	}
}

// TestWhatChangesSomethingIsForTheSameUserAndRoot asks as other users, by this very
// test program.
func TestWhatChangesSomethingIsForTheSameUserAndRoot(t *testing.T) {
	if path := os.Getenv("CONTROL_TEST_SOCKET"); path != "" {
		ask(t, path)
		return
	}
	if os.Getuid() != 0 {
		t.Skip("needs root, to become other users")
	}
	dir, err := os.MkdirTemp("", "control-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	self := copyOfSelf(t, dir)
	for _, tt := range []struct {
		server, caller uint32
		may            bool
	}{{0, 0, true}, {0, 9999, false}, {4242, 4242, true}, {4242, 0, true}, {4242, 9999, false}} {
		path := filepath.Join(dir, "s")
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		server := as(t, tt.server, self, "CONTROL_TEST_SERVE="+path)
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		waitFor(t, path)
		out, err := as(t, tt.caller, self, "CONTROL_TEST_SOCKET="+path).CombinedOutput()
		if err != nil {
			t.Errorf("user %d asks user %d: %v: %s", tt.caller, tt.server, err, out)
		}
		if text := string(out); !strings.Contains(text, "read=ok") || strings.Contains(text, "change=ok") != tt.may {
			t.Errorf("user %d asks user %d: %s, want to read, and to change %t", tt.caller, tt.server, text, tt.may)
		}
		server.Process.Signal(syscall.SIGKILL) //nolint:errcheck // Wait tells
		_ = server.Wait()
		os.Remove(path)
	}
}

// TestHelperServer is no test: it is the server of another user.
func TestHelperServer(t *testing.T) {
	path := os.Getenv("CONTROL_TEST_SERVE")
	if path == "" {
		t.Skip("part of another test")
	}
	s, err := control.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { control.Answer(w, "ok") })
	s.Handle("GET /read", ok)
	s.HandleOwn("POST /change", ok)
	t.Fatal(s.Run(t.Context()))
}

func ask(t *testing.T, path string) {
	t.Helper()
	for verb, method := range map[string]string{"read": http.MethodGet, "change": http.MethodPost} {
		var got string
		if err := control.Call(t.Context(), path, method, "/"+verb, nil, &got); err != nil {
			if !strings.Contains(err.Error(), "403") {
				t.Fatal(err)
			}
			got = "forbidden"
		}
		os.Stdout.WriteString(verb + "=" + got + "\n")
	}
}

func copyOfSelf(t *testing.T, dir string) string {
	t.Helper()
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "self")
	if err := os.WriteFile(path, program, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func as(t *testing.T, uid uint32, self, env string) *exec.Cmd {
	t.Helper()
	run := "^TestWhatChangesSomethingIsForTheSameUserAndRoot$"
	if strings.HasPrefix(env, "CONTROL_TEST_SERVE") {
		run = "^TestHelperServer$"
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run", run)
	cmd.Dir = filepath.Dir(self)
	cmd.Env = append(os.Environ(), env)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}, Pdeathsig: syscall.SIGKILL}
	return cmd
}

func waitFor(t *testing.T, path string) {
	t.Helper()
	retry := time.NewTicker(5 * time.Millisecond)
	defer retry.Stop()
	for deadline := time.Now().Add(30 * time.Second); ; <-retry.C {
		conn, err := net.Dial("unix", path)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

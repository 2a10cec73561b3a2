package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flink-ha-sidecar/internal/control"
)

// sidecar answers the check with text; slow answers never come.
func sidecar(t *testing.T, status int, text string, slow bool) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if slow {
			<-gone
		}
		w.WriteHeader(status)
		w.Write([]byte(text)) //nolint:errcheck // shows in the test
	})}
	go s.Serve(l) //nolint:errcheck // it ends with Close
	t.Cleanup(func() {
		close(gone)
		s.Close()
	})
	return path
}

func stuckFor(d time.Duration) string {
	raw, err := json.Marshal(control.Checked{Format: control.CheckFormat, Stuck: true, Reason: "stuck: it is silent", SilentMS: d.Milliseconds()})
	if err != nil {
		panic(err)
	}
	return string(raw)
}

func TestCheckFailsOnAPositiveAnswerAlone(t *testing.T) {
	t.Parallel()
	// Somebody who is stopped: the kernel takes the connection, nobody accepts it.
	stopped := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", stopped)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	for _, tt := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"stuck", []string{"--socket", sidecar(t, 200, stuckFor(time.Millisecond), false)}, 1, "flink-ha: the JobManager is stuck: it is silent"},
		{"not stuck", []string{"--socket", sidecar(t, 200, `{"format":1,"stuck":false}`, false)}, 0, ""},
		{"nobody is there", []string{"--socket", filepath.Join(t.TempDir(), "s")}, 0, "no such file"},
		{"a stopped sidecar", []string{"--socket", stopped}, 0, "deadline exceeded"},
		{"a slow sidecar", []string{"--socket", sidecar(t, 200, stuckFor(0), true)}, 0, "deadline exceeded"},
		{"an error", []string{"--socket", sidecar(t, 500, stuckFor(0), false)}, 0, "500"},
		{"nonsense", []string{"--socket", sidecar(t, 200, `{"stuck":`, false)}, 0, "unexpected end"},
		{"another format", []string{"--socket", sidecar(t, 200, `{"format":2,"stuck":true}`, false)}, 0, "format 2"},
		{"an unknown flag", []string{"--socket", filepath.Join(t.TempDir(), "s"), "--quickly", "now"}, 0, "no such file"},
		{"a flag without its value", []string{"--socket"}, 0, "flag needs an argument"},
		{"a socket's path that is too long", []string{"--socket", "/" + strings.Repeat("x", 200)}, 0, "invalid argument"},
	} {
		if problem := onQuietMachine(func() string {
			var out, errs bytes.Buffer
			begun := time.Now()
			code := Main(append([]string{"check-jobmanager"}, tt.args...), nil, &out, &errs)
			if took := time.Since(begun); took > time.Second { // the kubelet's shortest limit
				return fmt.Sprintf("it took %v", took)
			}
			if code != tt.code || !strings.Contains(errs.String(), tt.says) || out.Len() > 0 || strings.Count(errs.String(), "\n") > 1 {
				return fmt.Sprintf("exit code %d, says %q; want %d and %q", code, errs.String(), tt.code, tt.says)
			}
			return ""
		}); problem != "" {
			t.Errorf("%s: %s", tt.name, problem)
		}
	}
}

// onQuietMachine returns the problem that a check has each time: the command's limit
// of 0.3 s is its own, and a busy machine may miss it now and then.
func onQuietMachine(check func() (problem string)) (problem string) {
	for range 5 {
		if problem = check(); problem == "" {
			return ""
		}
	}
	return problem
}

// A container that is younger than the silence is another JobManager's.
func TestCheckPassesForAJobManagerThatWasStartedSince(t *testing.T) {
	t.Parallel()
	path := sidecar(t, 200, stuckFor(25*time.Second), false)
	for age, want := range map[time.Duration]bool{0: false, 5 * time.Second: true, 24 * time.Second: true, 26 * time.Second: false, time.Hour: false} {
		if problem := onQuietMachine(func() string {
			err := checkJobManager(t.Context(), path, age)
			if _, passes := err.(passing); passes != want { //nolint:errorlint // nothing wraps it here
				return fmt.Sprintf("passes %t (%v), want %t", passes, err, want)
			}
			return ""
		}); problem != "" {
			t.Errorf("a container %v old: %s", age, problem)
		}
	}
}

func TestAgeOfTheContainer(t *testing.T) {
	t.Parallel()
	const stat = "1 (tini) -- x) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456 1000 10 18446744073709551615"
	for _, tt := range []struct {
		stat, uptime string
		want         time.Duration
	}{
		{stat, "1334.56 2000.00\n", 100 * time.Second},
		{stat, "1.00 2.00\n", 0}, // another clock than the kernel's
		{"", "1.00 2.00\n", 0},
		{"1 (x) S 0", "1.00 2.00\n", 0},
		{stat, "soon", 0},
	} {
		if got := ageOf(tt.stat, tt.uptime).Round(time.Millisecond); got != tt.want {
			t.Errorf("%q at %q: %v, want %v", tt.stat, tt.uptime, got, tt.want)
		}
	}
	if age := containerAge(); age <= 0 {
		t.Errorf("this machine is %v old", age)
	}
}

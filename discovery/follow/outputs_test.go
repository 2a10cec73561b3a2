package follow_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"flink-ha-sidecar/discovery"
	"flink-ha-sidecar/discovery/follow"
)

// serve runs an output for the test.
func serve(t *testing.T, o follow.Output) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := o.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
}

func known(l discovery.Leader) follow.Told { return follow.Told{Leader: l, Known: true} }

func TestAFileTellsTheAddressOrIsNotThere(t *testing.T) {
	t.Parallel()
	for format, want := range map[string]string{
		"url": "http://10.0.0.1:8081\n", "hostport": "10.0.0.1:8081\n",
		"json": `{"format":1,"epoch":{"generation":"g","counter":5},"since":"0001-01-01T00:00:00Z","session":"x","rpc_host":"10.0.0.1","rpc_port":6123,"rest_url":"http://10.0.0.1:8081"}` + "\n",
		"env":  "FLINK_LEADER_REST_URL=http://10.0.0.1:8081\nFLINK_LEADER_REST=10.0.0.1:8081\nFLINK_LEADER_RPC=10.0.0.1:6123\nFLINK_LEADER_SESSION=x\nFLINK_LEADER_POD=\nFLINK_LEADER_EPOCH=g/5\n",
	} {
		path := filepath.Join(t.TempDir(), "leader")
		o := follow.NewFile(path, format, zap.NewNop())
		serve(t, o)
		o.Tell(known(doc(5, "x")))
		until(t, format, func() bool {
			got, _ := os.ReadFile(path)
			return string(got) == want
		})
		o.Tell(follow.Told{Reason: "no contact"})
		until(t, "the file is gone", func() bool { _, err := os.Stat(path); return errors.Is(err, fs.ErrNotExist) })
	}
}

func TestACommandRunsAtEachChangeNeverTwoAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	line := `mkdir lock || echo "two at once"; echo "$FLINK_LEADER_SESSION:$FLINK_LEADER_REST"; while [ "$FLINK_LEADER_SESSION" = a ] && [ ! -e go ]; do sleep 0.02; done; rmdir lock`
	var out buffer
	o := follow.NewExec("cd "+dir+"; "+line, &out, &out, zap.NewNop())
	serve(t, o)
	o.Tell(known(doc(1, "a")))
	until(t, "the first runs", func() bool { return out.String() == "a:10.0.0.1:8081\n" })
	for n, session := range []string{"b", "c", "d"} {
		o.Tell(known(doc(uint64(2+n), session)))
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "the newest runs", func() bool { return out.String() == "a:10.0.0.1:8081\nd:10.0.0.1:8081\n" })
	o.Tell(follow.Told{})
	until(t, "it runs for none", func() bool { return strings.HasSuffix(out.String(), "\n:\n") })
}

func TestACommandEndsWithTheFollower(t *testing.T) {
	t.Parallel()
	var out buffer
	o := follow.NewExec(`trap 'echo ended; exit 0' TERM; echo begun; while :; do sleep 0.02; done`, &out, &out, zap.NewNop())
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = o.Run(ctx) })
	o.Tell(known(doc(1, "a")))
	until(t, "it runs", func() bool { return out.String() == "begun\n" })
	cancel()
	wg.Wait()
	if !strings.HasSuffix(out.String(), "ended\n") {
		t.Errorf("it printed %q", out.String())
	}
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) { b.mu.Lock(); defer b.mu.Unlock(); return b.b.Write(p) }
func (b *buffer) String() string              { b.mu.Lock(); defer b.mu.Unlock(); return b.b.String() }

func TestAServerHandsOnWhatIsKnown(t *testing.T) {
	t.Parallel()
	s, err := follow.NewServer("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, s)
	e := start(t, &follow.Sidecars{List: []string{"http://" + s.Address()}})
	s.Tell(known(doc(5, "x")))
	until(t, "a follower of the follower", func() bool { return e.last().Leader == doc(5, "x") })
	s.Tell(follow.Told{Reason: "no contact for more than 3m0s", Out: time.Now().Add(-3 * time.Minute)})
	until(t, "it hears that there is no contact", func() bool { return !e.last().Out.IsZero() })
}

func TestWaitEndsWhenALeaderAnswers(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	code := http.StatusServiceUnavailable
	jm := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.WriteHeader(code)
	}))
	defer jm.Close()
	var w follow.Waiter
	done := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	go func() { done <- w.Run(ctx) }()
	l := doc(5, "x")
	l.RESTURL = jm.URL
	w.Tell(known(l))
	short, stop := context.WithTimeout(t.Context(), 800*time.Millisecond)
	defer stop()
	var other follow.Waiter
	other.Tell(known(l))
	if err := other.Run(short); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("with a leader that is not ready: %v", err)
	}
	mu.Lock()
	code = http.StatusOK
	mu.Unlock()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

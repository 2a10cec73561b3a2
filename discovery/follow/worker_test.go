package follow

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestAWorkerIsNeverBusyTwiceAndTheNewestWins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var busy int
		var done []string
		w := worker{last: true, do: func(_ context.Context, told Told) {
			if busy++; busy > 1 {
				t.Error("two at once")
			}
			time.Sleep(time.Minute)
			busy--
			done = append(done, told.Leader.Session)
		}}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { w.run(ctx) })
		for _, session := range []string{"a", "b", "c", "c"} {
			w.tell(Told{Known: true, Leader: doc("g", 1, session)})
			synctest.Wait()
		}
		time.Sleep(3 * time.Minute)
		w.tell(Told{Known: true, Leader: doc("g", 1, "c"), Reason: "nothing new"})
		synctest.Wait()
		w.tell(Told{Known: true, Leader: doc("g", 1, "d")})
		synctest.Wait()
		w.tell(Told{})
		cancel()
		wg.Wait()
		if want := []string{"a", "c", "d", ""}; !slices.Equal(done, want) {
			t.Errorf("done %q, want %q", done, want)
		}
	})
}

package hastate_test

import (
	"testing"

	"flink-ha-sidecar/hastate"
	"flink-ha-sidecar/hastate/hastatetest"
	"flink-ha-sidecar/leader"
)

func TestMemoryContract(t *testing.T) {
	hastatetest.Contract(t, func(*testing.T) hastatetest.Harness {
		m := hastatetest.NewMemory()
		return hastatetest.Harness{
			Client: func(*testing.T) hastate.Store { return m.Client() },
			Put:    func(_ *testing.T, raw []byte) { m.Put(raw) },
			Delete: func(*testing.T) { m.Put(nil) },
			Outage: func(_ *testing.T, on bool) {
				if on {
					m.Fail(leader.ErrUnavailable)
				} else {
					m.Fail(nil)
				}
			},
			Forbid: func(*testing.T) { m.Fail(leader.ErrForbidden) },
		}
	})
}

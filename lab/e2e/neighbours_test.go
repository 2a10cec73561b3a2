package e2e

import (
	"syscall"
	"testing"
	"time"
)

func TestIntegrationTwoClustersInOneNamespaceDoNotTouchEachOther(t *testing.T) {
	p := shared(t)
	t.Parallel()
	one, other := start(t, lease(p.standIns(), 60*time.Second)), start(t, lease(p.standIns(), 60*time.Second))
	leader, neighbour := ready(t, one), ready(t, other)
	held, neighbours := one.Lock.Last(), other.Lock.Last()

	signal(t, leader, syscall.SIGKILL)
	awaitTakeover(t, one, held).mustBeFreed(t, one)
	mustStay(t, other, neighbours, 3)
	mustNotFree(t, other.Sidecars...)

	held = one.Lock.Last()
	signal(t, neighbour, syscall.SIGKILL)
	awaitTakeover(t, other, neighbours).mustBeFreed(t, other)
	mustStay(t, one, held, 3)
	mustNotFree(t, one.SidecarOf(standbyOf(t, one, leader)))
}

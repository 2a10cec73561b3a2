package leadertest

import "testing"

func TestMemoryKeepsTheContract(t *testing.T) {
	Contract(t, func(*testing.T) Harness { return NewMemory().Harness() })
}

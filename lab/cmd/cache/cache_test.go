package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

func TestCacheCommand(t *testing.T) {
	root := filepath.Join(t.TempDir(), "cache")
	t.Setenv("FLINK_HA_LAB_CACHE", root)
	for name, row := range map[string]struct {
		args           []string
		status         int
		stdout, stderr string
	}{
		"no verb":                  {nil, 2, "", "usage: cache VERB"},
		"an unknown verb":          {[]string{"everything"}, 2, "", "usage: cache VERB"},
		"flink without a version":  {[]string{"flink"}, 2, "", "usage: cache VERB"},
		"clean with an argument":   {[]string{"clean", "flink"}, 2, "", "usage: cache VERB"},
		"a version that is none":   {[]string{"flink", "new"}, 1, "", `cache: unknown Flink version "new"`},
		"the folder":               {[]string{"path"}, 0, root + "\n", ""},
		"clean with nothing there": {[]string{"clean"}, 0, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if status := run(t.Context(), row.args, &stdout, &stderr); status != row.status {
				t.Errorf("status %d, want %d", status, row.status)
			}
			if stdout.String() != row.stdout || !strings.HasPrefix(stderr.String(), row.stderr) {
				t.Errorf("says %q and %q; want %q and %q", stdout.String(), stderr.String(), row.stdout, row.stderr)
			}
		})
	}
}

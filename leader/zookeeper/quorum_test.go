package zookeeper

import (
	"slices"
	"testing"
)

func TestParseQuorum(t *testing.T) {
	for name, row := range map[string]struct {
		text    string
		servers []string
		chroot  string
		bad     bool
	}{
		"one server":                 {text: "zk:2181", servers: []string{"zk:2181"}},
		"no port":                    {text: "zk", servers: []string{"zk:2181"}},
		"three servers and a chroot": {text: "a:1,b:2, c:3/flink/prod/", servers: []string{"a:1", "b:2", "c:3"}, chroot: "/flink/prod"},
		"IPv6 with a port":           {text: "[fd00::5]:2182", servers: []string{"[fd00::5]:2182"}},
		"IPv6 without":               {text: "[fd00::5]", servers: []string{"[fd00::5]:2181"}},
		"an empty chroot":            {text: "a:1/", servers: []string{"a:1"}},
		"nothing":                    {text: "", bad: true},
		"a chroot alone":             {text: "/flink", bad: true},
		"a port that is none":        {text: "a:0", bad: true},
		"a chroot with dots":         {text: "a:1/../x", bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			servers, chroot, err := ParseQuorum(row.text)
			if (err != nil) != row.bad || !slices.Equal(servers, row.servers) && !row.bad || chroot != row.chroot && !row.bad {
				t.Errorf("got %q, %q, %v", servers, chroot, err)
			}
		})
	}
}

func TestClusterPath(t *testing.T) {
	for name, row := range map[string]struct{ chroot, root, id, want string }{
		"Flink's defaults":   {"", "/flink", "/default", "/flink/default"},
		"without slashes":    {"", "flink", "a", "/flink/a"},
		"with a chroot":      {"/prod", "/flink/", "/a/", "/prod/flink/a"},
		"a root that is all": {"", "/", "a", "/a"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := ClusterPath(row.chroot, row.root, row.id); err != nil || got != row.want {
				t.Errorf("got %q, %v; want %q", got, err, row.want)
			}
		})
	}
	if got, err := ClusterPath("", "/", "/"); err == nil {
		t.Errorf("the root of the store is taken for a cluster: %q", got)
	}
}

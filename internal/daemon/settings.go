package daemon

import (
	"errors"
	"time"

	"flink-ha-sidecar/leader/vvp"
)

// ErrConfiguration marks what no restart can mend.
var ErrConfiguration = errors.New("configuration")

// Settings are the flags of "flink-ha run".
type Settings struct {
	Version string
	// Environ is the process's environment, as in os.Environ.
	Environ []string

	FlinkConfDir  string
	Backend       string
	Namespace     string
	ClusterID     string
	Kubeconfig    string
	PodName       string
	NodeName      string
	PodIP         string
	SharedNetwork bool
	Match         []string
	PIDFile       string
	Container     string
	StateDir      string
	Listen        string
	TLSCertFile   string
	TLSKeyFile    string
	// Socket is control.DefaultPath if empty; then the sidecar does without where
	// it cannot be made.
	Socket      string
	ReadyPolicy string
	Workload    string
	HungAfter   time.Duration
	RESTCAFile  string
	Publish     bool
	// Election is how long everything takes with vvp-kubernetes.
	Election      vvp.Timing
	PublishFile   string
	MaxFollowers  int
	ShutdownGrace time.Duration
	LogLevel      string
	LogFormat     string
}

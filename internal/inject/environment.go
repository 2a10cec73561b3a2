package inject

import (
	"fmt"
	"strconv"

	"flink-ha-sidecar/internal/manifest"
)

// defaultPort is that of --listen.
const defaultPort = 8088

// environment is the sidecar's: who it is by the downward API, and what it cannot
// read in Flink's configuration.
func (r *run) environment(p *pod) []any {
	env := []any{
		fromField("FLINK_HA_POD_NAME", "metadata.name"), fromField("FLINK_HA_POD_IP", "status.podIP"),
		fromField("FLINK_HA_NODE_NAME", "spec.nodeName"),
	}
	set := func(name, value string) {
		if value != "" {
			env = append(env, variable{Name: name, Value: value})
		}
	}
	set("FLINK_HA_CONTAINER", p.jobManager)
	if p.conf.dir != defaultConfDir {
		set("FLINK_HA_FLINK_CONF_DIR", p.conf.dir)
	}
	if !p.conf.byFile {
		set("FLINK_HA_BACKEND", p.cluster.Backend)
		set("FLINK_HA_CLUSTER_ID", p.cluster.ID)
		set("FLINK_HA_NAMESPACE", p.cluster.Namespace)
		jm := manifest.Named(p.template.view, p.jobManager, "spec", "containers")
		if e := manifest.Named(jm, "FLINK_PROPERTIES", "env"); e != nil {
			env = append(env, manifest.Copy(e))
		}
	}
	if p.hostNetwork || manifest.Text(p.template.view, "spec", "hostNetwork") == "true" {
		set("FLINK_HA_SHARED_NETWORK", "true")
	}
	if r.Port != defaultPort {
		set("FLINK_HA_LISTEN", ":"+strconv.Itoa(r.Port))
	}
	// A little less than the pod has, so that it ends by itself.
	if seconds, err := strconv.Atoi(manifest.Text(p.template.view, "spec", "terminationGracePeriodSeconds")); err == nil {
		set("FLINK_HA_SHUTDOWN_GRACE", fmt.Sprintf("%ds", max(seconds-5, 1)))
	}
	set("FLINK_HA_MAX_FOLLOWERS", p.quality.followers(r.Memory))
	set("GOMEMLIMIT", p.quality.memoryLimit(r.Memory))
	return env
}

package inject

import (
	"errors"

	"go.yaml.in/yaml/v3"

	"flink-ha-sidecar/internal/manifest"
)

// deployment changes a Deployment if it is a JobManager's.
func (r *run) deployment(o *yaml.Node) (*Result, error) {
	own := manifest.Get(o, "spec", "template")
	result := &Result{Object: nameOf(o)}
	if own == nil {
		return nil, nil
	}
	if r.Remove {
		if !remove(own) {
			return nil, nil
		}
		return result, nil
	}
	jm, err := r.jobManagerOf(o, own)
	if jm == nil || err != nil {
		return nil, err
	}
	remove(own)
	view := manifest.Copy(own)
	jm = manifest.Named(view, manifest.Text(jm, "name"), "spec", "containers")
	conf, err := r.confOf(o, view, jm)
	if err != nil {
		return nil, err
	}
	result.Cluster.Pods = manifest.Text(o, "metadata", "namespace")
	result.Cluster.Workload = manifest.Text(o, "metadata", "name")
	result.Cluster.ServiceAccount = serviceAccount(view)
	if err := conf.check(r, result); err != nil {
		return nil, err
	}
	if len(conf.mounts) == 0 && result.Cluster.Backend == "" {
		return nil, errors.New("its HA service is not known: " + conf.missing + "; give --backend")
	}
	p := &pod{
		template: &template{own: own, view: view}, jobManager: manifest.Text(jm, "name"),
		conf: conf, cluster: result.Cluster, classic: r.Classic, quality: qualityOf(view, "", bestEffort),
	}
	return result, r.add(p, result)
}

// serviceAccount is a pod's, "" if it names none.
func serviceAccount(pod *yaml.Node) string {
	return first(manifest.Text(pod, "spec", "serviceAccountName"), manifest.Text(pod, "spec", "serviceAccount"))
}

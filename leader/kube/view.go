package kube

import (
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"flink-ha-sidecar/leader"
)

// leaderPrefix begins the keys of data under which components publish
// (Flink Constants.LEADER_ADDRESS and KubernetesUtils: "<session>,<address>").
const leaderPrefix = "org.apache.flink.k8s.leader."

// ConfigMapName is the object that carries the lock of a cluster
// (KubernetesLeaderElectionHaServices.getClusterConfigMap).
func ConfigMapName(clusterID string) string { return clusterID + "-cluster-config-map" }

// viewOf turns the object into a view. It never fails: what does not parse is
// told in the view.
func viewOf(cm *corev1.ConfigMap, at time.Time) leader.View {
	v := leader.View{At: at, Revision: revisionOf(cm.ResourceVersion), Published: published(cm.Data)}
	v.Tenure.Generation = string(cm.UID)
	annotation, there := cm.Annotations[Annotation]
	if !there {
		v.Lock = leader.LockUnreadable
		v.Problem = "ConfigMap " + cm.Name + " has no annotation " + Annotation +
			": Flink cannot elect a leader until it is restored; left alone"
		return v
	}
	v.Record = annotation
	r, err := ParseRecord(annotation)
	if err != nil {
		v.Lock = leader.LockUnreadable
		v.Problem = "annotation " + Annotation + " of ConfigMap " + cm.Name + " does not parse: " + err.Error() + "; left alone"
		return v
	}
	v.Lock = leader.LockHeld
	if r.Holder == "" {
		v.Lock = leader.LockVacant
	}
	v.Tenure.Holder, v.Tenure.Acquired = r.Holder, r.AcquiredRaw
	v.Renewed, v.Acquired, v.Lease = r.Renewed, r.Acquired, r.Lease
	return v
}

// absent is the view of an object that is not there.
func absent(at time.Time, revision uint64) leader.View {
	return leader.View{At: at, Lock: leader.LockAbsent, Revision: revision}
}

func published(data map[string]string) map[string]leader.Publication {
	out := make(map[string]leader.Publication)
	for key, value := range data {
		component, ok := strings.CutPrefix(key, leaderPrefix)
		if !ok {
			continue
		}
		session, address, ok := strings.Cut(value, ",")
		if ok {
			out[component] = leader.Publication{Session: session, Address: address}
		}
	}
	return out
}

// revisionOf reads a resourceVersion as the number that it is on every
// Kubernetes with etcd behind it (KEP-5504 makes the order official). One that
// is no number orders nothing: 0 makes each such view old news, so that the
// reads that say Resync are all that counts.
func revisionOf(resourceVersion string) uint64 {
	n, err := strconv.ParseUint(resourceVersion, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

package flinkconf

import "strings"

// HA is the kind of Flink's HA service.
type HA int

const (
	// HANone: no HA service.
	HANone HA = iota
	// HAKubernetes is Flink's own service on ConfigMaps.
	HAKubernetes
	// HAZooKeeper is Flink's own service on ZooKeeper.
	HAZooKeeper
	// HAVVP is the service of Ververica Platform, "vvp-kubernetes".
	HAVVP
	// HAOther is a factory class, or a name that Flink takes for one.
	HAOther
)

var haNames = [...]string{"none", "kubernetes", "zookeeper", "vvp-kubernetes", "other"}

// String returns the name as users write it.
func (h HA) String() string { return haNames[h] }

// kubernetesFactory is the class that Flink itself resolves "kubernetes" to;
// users wrote it down in place of the name before the name existed.
const kubernetesFactory = "org.apache.flink.kubernetes.highavailability.KubernetesHaServicesFactory"

// parseHA reads high-availability.type. Names are good in any case, a class name
// is not. "standalone" is what none was called under recovery.mode.
func parseHA(text string) HA {
	switch strings.ToLower(text) {
	case "none", "standalone":
		return HANone
	case "kubernetes":
		return HAKubernetes
	case "zookeeper":
		return HAZooKeeper
	case "vvp-kubernetes":
		return HAVVP
	}
	if text == kubernetesFactory {
		return HAKubernetes
	}
	return HAOther
}

// haActive says whether merged settings turn any HA service on.
func haActive(merged map[string]Value) bool {
	_, value, found := lookup(merged, haKeys)
	return found && parseHA(value.Text) != HANone
}

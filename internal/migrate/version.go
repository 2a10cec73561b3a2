package migrate

import (
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// version is Flink's, as far as the spelling depends on it; zero if not known.
type version struct{ major, minor int }

var versionPattern = regexp.MustCompile(`^v?(\d+)[._](\d+)(\D|$)`)

// versionOf reads "1.17", "1.17.2-stream1-scala_2.12-java8" and the operator's
// "v1_17".
func versionOf(text string) version {
	m := versionPattern.FindStringSubmatch(text)
	if m == nil {
		return version{}
	}
	major, errMajor := strconv.Atoi(m[1])
	minor, errMinor := strconv.Atoi(m[2])
	if errMajor != nil || errMinor != nil {
		return version{}
	}
	return version{major, minor}
}

// imageVersion reads the tag of an image of Flink; of another one it says nothing.
func imageVersion(image string) version {
	image, _, _ = strings.Cut(image, "@")
	name, tag, found := strings.Cut(path.Base(image), ":")
	if !found || !strings.Contains(name, "flink") {
		return version{}
	}
	return versionOf(tag)
}

func (v version) known() bool { return v != version{} }

func (v version) below(major, minor int) bool {
	return v.major < major || v.major == major && v.minor < minor
}

func (v version) String() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }

// The names of the HA service's key, the newest first, as Flink looks for them
// (HighAvailabilityOptions.HA_MODE, 2.3).
const (
	keyType   = "high-availability.type"
	keyLegacy = "high-availability"
)

var haKeys = []string{keyType, "recovery.mode", keyLegacy}

// factory is what Flink itself resolves "kubernetes" to.
const factory = "org.apache.flink.kubernetes.highavailability.KubernetesHaServicesFactory"

// spelling is how a version of Flink is told to use its Kubernetes HA: by the class
// since it has it, in 1.12; by the name "kubernetes" since 1.16 (FLINK-27808); under
// the key with ".type" since 1.17. The older key goes on being read by all of them,
// so that one stays where the version is not known.
func (v version) spelling(key string, standard bool) (newKey, value string) {
	switch {
	case standard, v.known() && !v.below(1, 17):
		return keyType, "kubernetes"
	case !v.known():
		return key, "kubernetes"
	case v.below(1, 16):
		return keyLegacy, factory
	}
	return keyLegacy, "kubernetes"
}

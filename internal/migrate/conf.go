package migrate

import (
	"fmt"
	"net/netip"
	"strings"
)

// conf is one configuration of Flink, wherever it is written.
type conf interface {
	// get finds the entry of a key that counts.
	get(key string) (entry, bool)
	// change gives an entry another key and value.
	change(e entry, key, value string)
	// add puts a further key behind what was changed and added before.
	add(key, value string)
}

// entry is one setting; line is the file's.
type entry struct {
	key, value string
	line       int
	// at is for the conf that it came from.
	at any
}

// place says what surrounds a configuration.
type place struct {
	file *source
	way  Way
	// standard: by its name it is a config.yaml, which Flink reads from 1.19 on.
	standard bool
	version  version
}

// Further keys that Flink's HA service needs.
const (
	keyStorage   = "high-availability.storageDir"
	keyClusterID = "kubernetes.cluster-id"
	keyNamespace = "kubernetes.namespace"
	keyRetry     = "high-availability.kubernetes.leader-election.retry-period"
	keyAddress   = "jobmanager.rpc.address"
)

// retryPeriod makes a standby take over within 1.0 to 2.2 s; Flink's default is 5 s.
const retryPeriod = "1s"

// configuration migrates one if it names the old service, and reports whether.
func (r *run) configuration(c conf, p place) (bool, error) {
	e, found := named(c)
	if !found || !strings.EqualFold(e.value, oldName) {
		return false, nil
	}
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%s:%d: %s", p.file.name, e.line, fmt.Sprintf(format, args...))
	}
	v := r.version
	for _, told := range []version{p.version, r.facts.version} {
		if !v.known() {
			v = told
		}
	}
	if p.way == ByPlatform {
		return true, r.platform(c, e, p, v, refuse)
	}
	if v.known() && v.below(1, 12) {
		return false, refuse("Flink %s has no HA service on Kubernetes of its own; 1.12 is the first", v)
	}
	key, value := v.spelling(e.key, p.standard)
	r.replace(c, e, p, key, value)
	if !v.known() && !p.standard {
		r.note(p.file, e.line, "Flink's version is not known: %q is for 1.16 and later, give --flink-version for an earlier one", value)
	}
	r.noteAddress(c, p)
	return true, r.complete(c, p, refuse)
}

// refusal is an error that names the file and the line of the HA service.
type refusal func(format string, args ...any) error

// named is the entry of the HA service, by the first key that Flink looks for.
func named(c conf) (entry, bool) {
	for _, key := range haKeys {
		if e, found := c.get(key); found {
			return e, true
		}
	}
	return entry{}, false
}

func (r *run) replace(c conf, e entry, p place, key, value string) {
	c.change(e, key, value)
	p.file.changed[e.line] = true
	r.ranBy(p.way)
	r.note(p.file, e.line, "%s: %s is now %s: %s", e.key, e.value, key, value)
	for _, other := range haKeys { // under an older name it would stand beside the new one
		if o, found := c.get(other); found && other != key && other != e.key && strings.EqualFold(o.value, oldName) {
			c.change(o, o.key, value)
			p.file.changed[o.line] = true
			r.note(p.file, o.line, "%s is the same setting by another name, and has no effect beside %s; changed as well", o.key, key)
		}
	}
}

// complete adds what Flink's HA service needs and the configuration lacks.
func (r *run) complete(c conf, p place, refuse refusal) error {
	need := func(key, flag, given, guess string) (string, error) {
		have := r.told.of(key)
		if e, found := c.get(key); found {
			have = e.value
		}
		if given != "" && have != "" && have != given {
			return "", refuse("%s %s contradicts %s: %s", flag, given, key, have)
		}
		if given = first(given, guess); have == "" && given != "" {
			c.add(key, given)
		}
		return first(have, given), nil
	}
	storage, err := need(keyStorage, "--storage-dir", r.StorageDir, "")
	if err != nil {
		return err
	}
	if storage == "" {
		return refuse("%s is not set, and Flink's HA service does not start without it; give --storage-dir", keyStorage)
	}
	if _, found := c.get(keyRetry); !found {
		c.add(keyRetry, retryPeriod)
	}
	if p.way == ByOperator { // it sets both, from the object's name and namespace
		return nil
	}
	id, err := need(keyClusterID, "--cluster-id", r.ClusterID, "")
	if err != nil {
		return err
	}
	if id == "" {
		return refuse("%s is not set: give --cluster-id, a name that no other Flink cluster of the namespace has", keyClusterID)
	}
	namespace, err := need(keyNamespace, "--namespace", r.Namespace, r.facts.namespace)
	if err != nil {
		return err
	}
	if namespace == "" {
		r.note(p.file, 0, "%s is not set: Flink keeps its ConfigMaps in the namespace default; give --namespace if the pods are in another", keyNamespace)
	}
	cluster := Cluster{ID: id, Namespace: first(namespace, "default"), Pods: first(r.facts.namespace, namespace, "default"), ServiceAccount: r.facts.account}
	if have := r.result.Cluster; have.ID != "" && have.ID == cluster.ID {
		r.note(p.file, 0, "more than one configuration gets cluster id %s: that is right for one cluster's JobManager and TaskManagers, and for nothing else", id)
	}
	r.result.Cluster = cluster
	return nil
}

// platform migrates a configuration of Ververica Platform, which gives the cluster
// its id and its rights itself.
func (r *run) platform(c conf, e entry, p place, v version, refuse refusal) error {
	if v.known() && v.below(1, 15) {
		return refuse("with Flink %s Ververica Platform knows %s alone: Flink's own HA service comes with its images of Flink 1.15.2-stream3 and later; raise the version first", v, oldName)
	}
	r.replace(c, e, p, e.key, "kubernetes")
	if e.key == keyLegacy {
		r.note(p.file, e.line, "Ververica Platform 2.8 to 2.14.1 reads this key; from 2.14.2 on it must be %s", keyType)
	}
	storage, found := c.get(keyStorage)
	if r.StorageDir != "" && found && storage.value != r.StorageDir {
		return refuse("--storage-dir %s contradicts %s: %s", r.StorageDir, keyStorage, storage.value)
	}
	switch {
	case found:
	case r.StorageDir != "":
		c.add(keyStorage, r.StorageDir)
	default:
		r.note(p.file, e.line, "%s is not set: right with the platform's universal blob storage, else give --storage-dir", keyStorage)
	}
	if _, found := c.get(keyRetry); !found {
		c.add(keyRetry, retryPeriod)
	}
	return nil
}

// noteAddress tells of a name, behind which all JobManagers look alike.
func (r *run) noteAddress(c conf, p place) {
	e, found := c.get(keyAddress)
	if !found || p.way == ByOperator || strings.Contains(e.value, "$") {
		return
	}
	if _, err := netip.ParseAddr(strings.Trim(e.value, "[]")); err != nil {
		r.note(p.file, e.line, "%s is a name: with two JobManagers each must advertise its pod's IP address, add -D%s=$(POD_IP) to their arguments (before Flink 2.0: --host $(POD_IP))", keyAddress, keyAddress)
	}
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

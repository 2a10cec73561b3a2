package daemon

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"flink-ha-sidecar/internal/flinkconf"
	"flink-ha-sidecar/leader/zookeeper"
)

// Keys of Flink's ZooKeeper client that have no field of their own.
const (
	zkAuthorization = "high-availability.zookeeper.client.authorization"
	zkPath          = "high-availability.zookeeper.path."
	saslPrefix      = "zookeeper.sasl."
	loginContexts   = "security.kerberos.login.contexts"
)

// zookeeperOptions says how to reach the ensemble as Flink's own options do. What
// this release cannot do is refused by name.
func zookeeperOptions(conf flinkconf.Config, clusterID string) (zookeeper.Options, error) {
	zk := conf.ZooKeeper
	if zk.Quorum.Value == "" {
		return zookeeper.Options{}, refuse("%s is not set: the servers are not known", zk.Quorum.Key)
	}
	if err := refuseKerberos(zk.Raw); err != nil {
		return zookeeper.Options{}, err
	}
	o := zookeeper.Options{SubPaths: subPaths(zk.Raw), SessionTimeout: max(zk.SessionTimeout.Value, time.Minute)}
	var chroot string
	var err error
	if o.Servers, chroot, err = zookeeper.ParseQuorum(zk.Quorum.Value); err != nil {
		return o, refuse("%s: %w", zk.Quorum, err)
	}
	if o.Path, err = zookeeper.ClusterPath(chroot, zk.Root.Value, clusterID); err != nil {
		return o, refuse("%w", err)
	}
	if o.Auth, err = authorization(zk.Raw); err != nil {
		return o, err
	}
	switch acl := strings.ToLower(zk.ACL.Value); {
	case acl == "creator" && len(o.Auth) == 0:
		return o, refuse("%s: nodes are their creator's alone, and %s gives this sidecar no identity (Kerberos is not supported)", zk.ACL, zkAuthorization)
	case acl != "open" && acl != "creator":
		return o, refuse("%s: neither open nor creator", zk.ACL)
	default:
		o.Creator = acl == "creator"
	}
	o.TLS, err = zookeeperTLS(javaProperties(zk.Raw))
	return o, err
}

// refuseKerberos names the setting that makes Flink's client log in by SASL.
func refuseKerberos(raw map[string]flinkconf.Value) error {
	if strings.EqualFold(raw[saslPrefix+"disable"].Text, "true") {
		return nil
	}
	for key, v := range raw {
		if strings.HasPrefix(key, saslPrefix) {
			return refuse("%s: %s (%s): ZooKeeper with SASL and Kerberos is not supported", key, v.Text, v.From)
		}
	}
	for context := range strings.SplitSeq(raw[loginContexts].Text, ",") {
		if strings.TrimSpace(context) == "Client" {
			v := raw[loginContexts]
			return refuse("%s: %s (%s): ZooKeeper with SASL and Kerberos is not supported", loginContexts, v.Text, v.From)
		}
	}
	return nil
}

// authorization reads the map of schemes to credentials: one text
// "digest:'user:password'" or a nested key for each scheme.
func authorization(raw map[string]flinkconf.Value) ([]zookeeper.Auth, error) {
	var auth []zookeeper.Auth
	for key, v := range raw {
		if scheme, nested := strings.CutPrefix(key, zkAuthorization+"."); nested {
			auth = append(auth, zookeeper.Auth{Scheme: scheme, Data: v.Text})
		}
	}
	if v, ok := raw[zkAuthorization]; ok {
		for entry := range strings.SplitSeq(v.Text, ",") {
			scheme, data, found := strings.Cut(strings.TrimSpace(entry), ":")
			if !found || scheme == "" {
				return nil, refuse("%s (%s): not scheme:credentials", zkAuthorization, v.From) // the text is a secret
			}
			auth = append(auth, zookeeper.Auth{Scheme: unquote(scheme), Data: unquote(strings.TrimSpace(data))})
		}
	}
	for _, a := range auth {
		if a.Scheme == "sasl" {
			return nil, refuse("%s: scheme sasl is not supported", zkAuthorization)
		}
	}
	slices.SortFunc(auth, func(a, b zookeeper.Auth) int { return strings.Compare(a.Scheme, b.Scheme) })
	return auth, nil
}

// unquote takes the quotes off by which Flink keeps a separator in a value; one in
// the value itself is doubled.
func unquote(text string) string {
	for _, q := range []string{"'", `"`} {
		if len(text) >= 2 && strings.HasPrefix(text, q) && strings.HasSuffix(text, q) {
			return strings.ReplaceAll(text[1:len(text)-1], q+q, q)
		}
	}
	return text
}

// subPaths are where Flink keeps jobs, if the configuration moves them.
func subPaths(raw map[string]flinkconf.Value) []string {
	paths := slices.Clone(zookeeper.DefaultSubPaths)
	for i, name := range paths {
		if v, ok := raw[zkPath+name]; ok {
			paths[i] = strings.Trim(v.Text, "/")
		}
	}
	if v, ok := raw[zkPath+"jobgraphs"]; ok { // the older name of execution-plans
		paths = append(paths, strings.Trim(v.Text, "/"))
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// javaProperties are those that Flink's start scripts give the JobManager's JVM.
func javaProperties(raw map[string]flinkconf.Value) map[string]string {
	properties := make(map[string]string)
	for _, key := range []string{"env.java.default-opts.all", "env.java.default-opts.jobmanager", "env.java.opts", "env.java.opts.all", "env.java.opts.jobmanager"} {
		for _, option := range strings.Fields(raw[key].Text) {
			if name, value, found := strings.Cut(strings.TrimPrefix(strings.Trim(option, `"'`), "-D"), "="); found {
				properties[name] = value
			}
		}
	}
	return properties
}

// zookeeperRefusal says how a JobManager's own configuration differs from what
// this sidecar watches.
func (p *plan) zookeeperRefusal(conf flinkconf.Config) string {
	clusterID := first(p.clusterIDFlag, conf.ZooKeeper.ClusterID.Value)
	o, err := zookeeperOptions(conf, clusterID)
	switch {
	case err != nil:
		return err.Error()
	case o.Path != p.zookeeper.Path:
		return fmt.Sprintf("the JobManager's lock is at %s, this sidecar watches %s", o.Path, p.zookeeper.Path)
	}
	return ""
}
